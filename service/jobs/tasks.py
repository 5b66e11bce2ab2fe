"""The Task of a job: what is done, how far it has come, and what went wrong.

Source: https://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from service.errors import Gone, Issue, NotFound, PreconditionFailed, operation_outcome
from service.fhir.dates import micros
from service.fhir.json import decode, encode
from service.fhir.ledger import Command, Enqueue, Job
from service.fhir.operations import ABSENT, Plan, Update
from service.store.database import Database
from service.store.drafts import new_id

KINDS = "https://cart-fhir.example/fhir/CodeSystem/job-kind"
OUTCOME = "outcome"
TRIES = 5  # of writing on a Task that others write on
MOST_ISSUES = 100  # that a Task lists; how many there were stands beside them

Resource = dict[str, Any]


def enqueue(
    kind: str,
    input: Mapping[str, Any],
    *,
    id: str | None = None,
    due: datetime | None = None,
    alone: str | None = None,
    task: Resource | None = None,
) -> tuple[Update, Enqueue]:
    """A new job and its Task, which has the id of the job: both belong into one plan.

    `task` are elements of the Task beside the usual ones (`for`, `focus`, `description`). Of an `id` that is known
    already the plan fails with PreconditionFailed, of a living job with the same `alone` with Conflict.
    """
    job = enqueue_quiet(kind, input, id=id, due=due, alone=alone)
    now = _now()
    made = {
        "resourceType": "Task",
        "id": job.id,
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": KINDS, "code": kind}]},
        "authoredOn": now,
        "lastModified": now,
    }
    return Update({**made, **(task or {})}, if_match=ABSENT), job


def enqueue_quiet(
    kind: str,
    input: Mapping[str, Any],
    *,
    id: str | None = None,
    due: datetime | None = None,
    alone: str | None = None,
) -> Enqueue:
    """A new job without a Task; one whose `id` is known already is left as it is."""
    return Enqueue(id or new_id(), kind, encode(dict(input)), micros(due) if due is not None else 0, alone)


async def task_of(database: Database, id_: str) -> Resource | None:
    """The Task of a job; None for a quiet one."""
    with suppress(NotFound, Gone):
        return decode((await database.read("Task", id_)).content or b"{}", 10_000)
    return None


def version_of(task: Resource) -> int:
    """Which version of a stored Task this is."""
    return int(task["meta"]["versionId"])


class Progress:
    """The Task of a job as it will be written next; every method returns a new state and changes nothing."""

    def __init__(self, task: Resource) -> None:
        self.task = task

    def counted(self, counts: Mapping[str, int]) -> Progress:
        """With `counts` added to those of the Task, by name."""
        task = deepcopy(self.task)
        outputs = task.setdefault("output", [])
        for name, count in counts.items():
            for output in outputs:
                if output["type"].get("text") == name and "valueUnsignedInt" in output:
                    output["valueUnsignedInt"] += count
                    break
            else:
                outputs.append({"type": {"text": name}, "valueUnsignedInt": count})
        if not outputs:
            del task["output"]
        return Progress(task)

    def told(self, issues: Sequence[Issue]) -> Progress:
        """With `issues` behind those of its outcome, of which it lists the first."""
        if not issues:
            return self
        task = deepcopy(self.task)
        contained = task.setdefault("contained", [])
        outcome = next((one for one in contained if one.get("id") == OUTCOME), None)
        if outcome is None:
            outcome = {"id": OUTCOME, "issue": []}
            contained.append(outcome)
            link = {"type": {"text": OUTCOME}, "valueReference": {"reference": f"#{OUTCOME}"}}
            task.setdefault("output", []).append(link)
        listed = outcome["issue"] + operation_outcome(tuple(issues))["issue"]
        contained[contained.index(outcome)] = {
            "resourceType": "OperationOutcome",
            "id": OUTCOME,
            "issue": listed[:MOST_ISSUES],
        }
        return Progress(task).counted({"issues": len(issues)})

    def now(self, status: str, reason: str | None = None, business: str | None = None) -> Resource:
        """The Task in `status`: `reason` says why, `business` what that means here."""
        task = {name: value for name, value in self.task.items() if name not in ("statusReason", "businessStatus")}
        task |= {"status": status, "lastModified": _now()}
        if reason:
            task["statusReason"] = {"text": reason}
        if business:
            task["businessStatus"] = {"text": business}
        period = dict(task.get("executionPeriod", {}))
        period.setdefault("start", task["lastModified"])
        period.pop("end", None)
        if status in ("completed", "failed", "cancelled"):
            period["end"] = task["lastModified"]
        return {**task, "executionPeriod": period}


async def command(database: Database, id_: str, action: str) -> Job:
    """What a person does with a job: `cancel` or `retry`, noted on its Task. Raises NotFound or Conflict."""
    status = {"cancel": "cancelled", "retry": "requested"}[action]
    reason = {"cancel": "Cancelled by a person", "retry": "To be tried again, by a person"}[action]
    step = (Command(id_, action),)
    if not await _told(database, id_, status, reason, step):
        await database.write(Plan((), jobs=step))  # its worker, which writes without a pause, is stopped first
        await _told(database, id_, status, reason, ())
    return await database.job(id_)


async def _told(database: Database, id_: str, status: str, reason: str, steps: tuple[Command, ...]) -> bool:
    """Writes the steps and on the Task; False where others write on that all the time."""
    for _ in range(TRIES):
        task = await task_of(database, id_)
        said = [Update(Progress(task).now(status, reason), if_match=version_of(task))] if task is not None else []
        with suppress(PreconditionFailed):
            await database.write(Plan(tuple(said), jobs=steps))
            return True
    return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
