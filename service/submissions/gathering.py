"""A patient's record out of the store, and the form that is filled from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from service.errors import BadRequest, Issue, NotFound
from service.fhir import search
from service.fhir.json import decode
from service.fhir.operations import Resource, Stored
from service.store.compartment import Part
from service.store.database import Database
from service.submissions.forms import Form, Query
from service.submissions.populate import Occasion, Population, last_contact, populate
from service.submissions.record import Held, Record
from service.submissions.schedule import INFUSION, WORDS, input_of

INFUSIONS = Query("Procedure", frozenset({INFUSION}), frozenset())
BESIDE = frozenset({"Patient", "Procedure", "QuestionnaireResponse"})
_PAGE = 1000
_MOST = 100  # values of one search parameter


@dataclass(frozen=True, slots=True)
class Asked:
    """What a form is to be filled for. References are `Type/id`; dates are the first and last day of the period.

    Of an `obligation` (a Task) the infusion and the period are taken where they are not given. The period begins with
    `start`, else with the last contact that was reported by this form, else as the obligation says.
    """

    patient: str
    infusion: str | None = None
    obligation: str | None = None
    start: date | None = None
    end: date | None = None


async def fill(database: Database, form: Form, asked: Asked, authored: datetime) -> Population:
    """The form, filled from the stored record of a patient as it is now.

    Raises NotFound or Gone for the patient, the obligation or the infusion; BadRequest where they do not belong
    together.
    """
    issues: tuple[Issue, ...] = ()
    begins = asked.start
    if asked.obligation is not None:
        asked, begins = _owed(asked, await _task(database, asked.obligation))
    patient, record = await record_of(database, form, asked.patient.removeprefix("Patient/"))
    infusion = None
    if asked.infusion is not None:
        infusion = record.held.get(asked.infusion)
        if infusion is None or infusion.resource not in record.find(INFUSIONS, None):
            text = "The patient's record has no such infusion"
            raise NotFound(text, expression="Parameters.parameter.where(name = 'infusion')")
    else:
        done = [one for one in record.find(INFUSIONS, None) if one.get("status") == "completed"]
        if len(done) > 1:
            text = "The patient had several infusions: name the one that the report follows, as infusion or obligation"
            issues = (Issue("multiple-matches", text, None, "infusion-ambiguous", "warning"),)
        elif done:
            infusion = record.held[f"Procedure/{done[0]['id']}"]
    start = asked.start or last_contact(record, form, asked.end) or begins
    found = populate(form, patient, record, Occasion(authored, infusion, start, asked.end), database.zone)
    return replace(found, issues=(*issues, *found.issues))


async def record_of(database: Database, form: Form, patient: str) -> tuple[Resource, Record]:
    """The patient with this id, what of Patient/[id]/$everything the form asks for, and the doubts about that.

    Raises NotFound or Gone.
    """
    part = Part(BESIDE | {query.type for _, query in form.queries})
    held: list[Held] = []
    cursor: int | None = None
    while True:
        page = await database.everything(patient, part, _PAGE, cursor)
        held += [_held(stored) for stored in (*page.matches, *page.included)]
        if page.next is None:
            break
        cursor = page.next[0]
    doubts = await _doubts(database, held)
    return held[0].resource, Record([*held, *doubts], database.zone)


async def _doubts(database: Database, held: Sequence[Held]) -> list[Held]:
    """The DetectedIssues about resources of the record; one that speaks of several patients is in nobody's."""
    names = [one.reference.partition("/_history/")[0] for one in held if one.resource["resourceType"] not in BESIDE]
    found: dict[str, Held] = {}
    for first in range(0, len(names), _MOST):
        pairs = [("implicated", ",".join(names[first : first + _MOST])), ("_count", str(_PAGE))]
        query = search.parse("DetectedIssue", pairs, database.parameters, zone=database.zone, max_count=_PAGE)
        async for issue in database.resources(query):
            found[issue["id"]] = Held(issue, issue["meta"]["versionId"])
    return [found[id_] for id_ in sorted(found)]


async def _task(database: Database, reference: str) -> Resource:
    type_, _, id_ = reference.rpartition("/")
    task = decode((await database.read("Task", id_)).content or b"{}", 10_000)
    codes = {(one.get("system"), one.get("code")) for one in task.get("code", {}).get("coding", ())}
    if type_ not in ("", "Task") or (WORDS, "registry-report") not in codes:
        text = "The obligation is a Task of a registry report"
        raise BadRequest(text, code="value", rule="invalid-parameter")
    return task


def _owed(asked: Asked, task: Resource) -> tuple[Asked, date | None]:
    """What the obligation says where it was not given, and the day on which its period begins."""
    if task.get("for", {}).get("reference") != asked.patient:
        raise BadRequest("The obligation is of another subject", code="value", rule="invalid-parameter")
    period = input_of(task, "period") or {}
    infusion = input_of(task, "infusion") or {}
    start, end = (date.fromisoformat(period[name]) if name in period else None for name in ("start", "end"))
    return replace(asked, infusion=asked.infusion or infusion.get("reference"), end=asked.end or end), start


def _held(stored: Stored) -> Held:
    return Held(decode(stored.content or b"{}", 10_000), str(stored.version))
