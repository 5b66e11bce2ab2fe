"""Which reports are owed, and when: Tasks that follow from a PlanDefinition and an infusion.

`obligations` is pure; `plan` compares it with what is stored and gives the changes. A Task that has been sent belongs
to the submission from then on: only NOTDUE and DUE are worked out here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from service.fhir import search
from service.fhir.operations import ABSENT, Plan, Resource, Update
from service.store.database import Database
from service.submissions.plan_definitions import CIBMTR, Report, known_plans, reports
from service.submissions.populate import RESTRICTED
from service.submissions.questionnaire import STRUCTURE
from service.trial.mapping.identity import BASE, NAMESPACE
from service.trial.provenance import ACTIVITY, AGENT

STATES = f"{BASE}/CodeSystem/submission-status"
WORDS = f"{BASE}/CodeSystem/submission"
OBLIGATION = f"{BASE}/identifier/obligation"
PROFILE = f"{STRUCTURE}/registry-report"
INFUSION = (f"{BASE}/CodeSystem/trial-concept", "car-t-infusion")
# https://hl7.org/fhir/R4/valueset-task-status.html: the status that belongs to each state.
STATUS = {
    "NOTDUE": "draft",
    "DUE": "requested",
    "RCV": "received",
    "QRY": "on-hold",
    "ERR": "rejected",
    "CMP": "completed",
    "SUP": "completed",
    "VOID": "entered-in-error",
    "LTF": "cancelled",
    "NRQ": "cancelled",
}
_OURS = ("NOTDUE", "DUE")
_DATED = (*_OURS, "ERR", "QRY")  # a moved infusion moves the dates of what is still to be answered
_GONE = "There is no completed infusion any more"
_UNDATED = "The date of the infusion is not recorded, so the report has no due date"


def obligations(plan_definition: Resource, patient: str, infusion: Resource, today: date) -> list[Resource]:
    """The Tasks of a patient (`Patient/[id]`) for one infusion Procedure, as they stand on the day `today`.

    The id is UUIDv5 of subject, form and time point. A window that is open makes the Task DUE, else it is NOTDUE;
    without a whole date of the infusion there are no due dates, and every Task is NOTDUE.
    """
    day = infused_on(infusion)
    canonical = f"{plan_definition['url']}|{plan_definition['version']}"
    return [_task(report, canonical, patient, infusion, day, today) for report in reports(plan_definition)]


def obligation_id(patient: str, form: str, point: str) -> str:
    """UUIDv5 of `Patient/[id]`, the registry's name of the form and the time point (`day-100`)."""
    return str(uuid5(NAMESPACE, f"obligation/{patient}/{form}/{point}"))


def infused_on(infusion: Resource) -> date | None:
    """The day of an infusion, the first of several; None where it is not recorded to the day."""
    text = infusion.get("performedDateTime") or infusion.get("performedPeriod", {}).get("start", "")
    return date.fromisoformat(text[:10]) if len(text) >= 10 else None


def state_of(task: Resource) -> str:
    """NOTDUE, DUE, RCV, … of an obligation; "" where it has none."""
    codings = task.get("businessStatus", {}).get("coding", ())
    return next((str(one.get("code", "")) for one in codings if one.get("system") == STATES), "")


def in_state(task: Resource, state: str, reason: str | None = None) -> Resource:
    """The obligation in another state, with the status that belongs to it; `reason` says why. Changes nothing."""
    made = {name: value for name, value in task.items() if name != "statusReason"}
    business = {"coding": [{"system": STATES, "code": state}]}
    made |= {"status": STATUS[state], "businessStatus": business}
    return made | ({"statusReason": {"text": reason}} if reason else {})


def input_of(task: Resource, name: str) -> Any:
    """The value of an input of an obligation (`form`, `time-point`, `infusion`, `period`); None where it has none."""
    for one in task.get("input", ()):
        if any(coding.get("code") == name for coding in one["type"].get("coding", ())):
            return next((value for key, value in one.items() if key.startswith("value")), None)
    return None


def infusion_of(procedures: Iterable[Resource]) -> Resource | None:
    """The infusion from which a patient's reports count: the first that was completed; None where there is none."""
    done = [one for one in procedures if one.get("status") == "completed"]
    return min(done, key=lambda one: (infused_on(one) or date.max, one["id"]), default=None)


async def plan(database: Database, now: datetime, plan_definition: Resource | None = None) -> Plan | None:
    """What has to change so that every obligation is stored as it should be; None where nothing has to.

    New infusions give new Tasks, windows open, a moved infusion moves the due dates and one that is gone voids what was
    not sent: the last two with a Provenance. Of a database that changes meanwhile the plan fails with
    PreconditionFailed; ask again.
    """
    definition = plan_definition or known_plans()[CIBMTR]
    today = now.astimezone(database.zone).date()
    procedures: dict[str, list[Resource]] = {}
    for procedure in await _found(database, "Procedure", INFUSION):
        procedures.setdefault(procedure.get("subject", {}).get("reference", ""), []).append(procedure)
    stored = {task["id"]: task for task in await _found(database, "Task", (WORDS, "registry-report"))}
    wanted: dict[str, Resource] = {}
    anchors: dict[str, Resource] = {}
    for patient, several in procedures.items():
        infusion = infusion_of(several)
        if patient.startswith("Patient/") and infusion is not None:
            anchors[patient] = infusion
            wanted |= {task["id"]: task for task in obligations(definition, patient, infusion, today)}
    updates = list(_changes(wanted, stored, anchors, now))
    return Plan(tuple(updates)) if updates else None


async def _found(database: Database, type_: str, code: tuple[str, str]) -> list[Resource]:
    pairs = [("code", "|".join(code)), ("_count", "1000")]
    query = search.parse(type_, pairs, database.parameters, zone=database.zone, handling="strict", max_count=1000)
    return [one async for one in database.resources(query)]


def _changes(
    wanted: Mapping[str, Resource], stored: Mapping[str, Resource], anchors: Mapping[str, Resource], now: datetime
) -> Iterator[Update]:
    stamp = now.isoformat(timespec="seconds")
    for id_, task in wanted.items():
        if id_ not in stored:
            yield Update({**task, "authoredOn": stamp, "lastModified": stamp}, if_match=ABSENT)
    for id_, before in stored.items():
        patient = before.get("for", {}).get("reference", "")
        if id_ in wanted:
            after, why = _brought(before, wanted[id_]), "The infusion or its date has changed"
        elif state_of(before) in _OURS and patient not in anchors:
            after, why = in_state(before, "VOID", _GONE), "The infusion is gone"
        else:
            continue
        if after == before:
            continue
        yield Update({**after, "lastModified": stamp}, if_match=int(before["meta"]["versionId"]))
        if _dates(after) != _dates(before) or "VOID" in (state_of(before), state_of(after)):
            yield Update(_provenance(before, why, stamp, anchors.get(patient)), if_match=ABSENT)


def _brought(before: Resource, wanted: Resource) -> Resource:
    """The stored Task with what is worked out anew; what others put into it stays."""
    state = state_of(before)
    open_ = state in _OURS or before.get("statusReason") == {"text": _GONE}
    if not open_ and state not in _DATED:
        return before
    renewed = {coding["code"] for one in wanted["input"] for coding in one["type"]["coding"]}
    kept = [
        one
        for one in before.get("input", ())
        if not any(coding.get("code") in renewed for coding in one["type"].get("coding", ()))
    ]
    names = ("instantiatesUri", "focus", "restriction")
    after = {name: value for name, value in before.items() if name not in names}
    after |= {name: wanted[name] for name in names if name in wanted}
    after["input"] = [*wanted["input"], *kept]
    if open_:
        after |= {name: wanted[name] for name in ("status", "businessStatus")}
        after.pop("statusReason", None)
        after |= {"statusReason": wanted["statusReason"]} if "statusReason" in wanted else {}
    return before if after == before else after


def _dates(task: Resource) -> Any:
    return task.get("restriction"), input_of(task, "infusion")


def _provenance(before: Resource, why: str, stamp: str, infusion: Resource | None) -> Resource:
    version = before["meta"]["versionId"]
    entities = [{"role": "revision", "what": {"reference": f"Task/{before['id']}/_history/{version}"}}]
    if infusion is not None:
        reference = f"Procedure/{infusion['id']}/_history/{infusion['meta']['versionId']}"
        entities.append({"role": "derivation", "what": {"reference": reference}})
    return {
        "resourceType": "Provenance",
        "id": str(uuid5(UUID(before["id"]), f"schedule/{version}")),
        "meta": {"profile": [f"{STRUCTURE}/trial-provenance"], "security": [RESTRICTED]},
        "target": [{"reference": f"Task/{before['id']}"}],
        "recorded": stamp,
        "policy": [before["instantiatesUri"]],
        "reason": [{"text": why}],
        "activity": {"coding": [{"system": ACTIVITY, "code": "UPDATE"}], "text": "schedule of reports"},
        "agent": [AGENT | {"who": AGENT["who"] | {"display": "cart-fhir schedule of reports"}}],
        "entity": entities,
    }


def _task(report: Report, plan: str, patient: str, infusion: Resource, day: date | None, today: date) -> dict[str, Any]:
    id_ = obligation_id(patient, report.form, report.point)
    focus = {"display": f"Form {report.form}: {report.title}"}
    if report.questionnaire:
        focus = {"type": "Questionnaire", "identifier": _uri(report.questionnaire), **focus}
    task = {
        "resourceType": "Task",
        "id": id_,
        "meta": {"profile": [PROFILE], "security": [RESTRICTED]},
        "identifier": [{"system": OBLIGATION, "value": id_}],
        "instantiatesUri": plan,
        "intent": "order",
        "code": {"coding": [{"system": WORDS, "code": "registry-report"}]},
        "description": f"{report.title} (form {report.form})",
        "focus": focus,
        "for": {"reference": patient},
        "input": [
            _input("form", valueString=report.form),
            _input("time-point", valueCode=report.point),
            _input("infusion", valueReference={"reference": f"Procedure/{infusion['id']}"}),
        ],
    }
    if day is None:
        return in_state(task, "NOTDUE", _UNDATED)
    opens, due = day + timedelta(report.opens), day + timedelta(report.due)
    begins = day + timedelta(report.begins)
    task["restriction"] = {"period": {"start": opens.isoformat(), "end": due.isoformat()}}
    task["input"].append(_input("period", valuePeriod={"start": begins.isoformat(), "end": due.isoformat()}))
    return in_state(task, "DUE" if today >= opens else "NOTDUE")


def _input(name: str, **value: Any) -> dict[str, Any]:
    return {"type": {"coding": [{"system": WORDS, "code": name}]}, **value}


def _uri(text: str) -> dict[str, str]:
    return {"system": "urn:ietf:rfc:3986", "value": text}
