"""The Task of an obligation as submissions read and change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.errors import BadRequest, Issue, operation_outcome
from service.fhir.json import decode
from service.store.database import Database
from service.submissions.schedule import WORDS

OUTCOME, RECEIPT = "outcome", "receipt"
MOST_ISSUES = 100

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Owed:
    """An obligation and the version of it that was read."""

    task: Resource
    version: int

    @property
    def id(self) -> str:
        return self.task["id"]

    @property
    def reference(self) -> str:
        return f"Task/{self.task['id']}"

    @property
    def patient(self) -> str:
        """`Patient/[id]`."""
        return self.task["for"]["reference"]

    @property
    def form(self) -> str | None:
        """The canonical of the form's Questionnaire; None where there is none here."""
        return self.task.get("focus", {}).get("identifier", {}).get("value")


async def obligation(database: Database, id_: str) -> Owed:
    """The obligation `id_`, or `Task/id`. Raises NotFound, Gone, or BadRequest for a Task that is none."""
    stored = await database.read("Task", id_.rpartition("/")[2])
    task = decode(stored.content or b"{}", 10_000)
    codes = {(one.get("system"), one.get("code")) for one in task.get("code", {}).get("coding", ())}
    if (WORDS, "registry-report") not in codes:
        text = "The Task is not a report that is owed to a registry"
        raise BadRequest(text, expression="Task.code", code="value", rule="no-obligation")
    return Owed(task, stored.version)


def cleaned(task: Resource) -> Resource:
    """The Task without what an earlier attempt left: reason, findings, receipt."""
    left = ("statusReason", "contained", "output")
    made = {name: value for name, value in task.items() if name not in left}
    contained = [one for one in task.get("contained", ()) if one.get("id") != OUTCOME]
    outputs = [one for one in task.get("output", ()) if one["type"].get("text") not in (OUTCOME, RECEIPT)]
    return made | ({"contained": contained} if contained else {}) | ({"output": outputs} if outputs else {})


def with_outcome(task: Resource, issues: Sequence[Issue]) -> Resource:
    """The Task with the findings as a contained OperationOutcome; without findings as it is."""
    if not issues:
        return task
    outcome = {
        "resourceType": "OperationOutcome",
        "id": OUTCOME,
        "issue": operation_outcome(issues[:MOST_ISSUES])["issue"],
    }
    link = {"type": {"text": OUTCOME}, "valueReference": {"reference": f"#{OUTCOME}"}}
    return {**task, "contained": [*task.get("contained", ()), outcome], "output": [*task.get("output", ()), link]}


def with_receipt(task: Resource, provenance: str) -> Resource:
    """The Task with a link to the Provenance of what was sent."""
    link = {"type": {"text": RECEIPT}, "valueReference": {"reference": f"Provenance/{provenance}"}}
    return {**task, "output": [*task.get("output", ()), link]}
