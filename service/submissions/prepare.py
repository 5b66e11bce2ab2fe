"""From an obligation to a message that is on its way: filled, packed, checked, and noted before anything leaves.

The message, the note that it is meant to be sent and the job that sends it are one transaction. What is not valid is
refused here, with every reason, and the obligation says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from msgspec.structs import replace

from service.errors import BadRequest, CartFhirError, Conflict, Unprocessable
from service.fhir.json import decode
from service.fhir.ledger import Note
from service.fhir.operations import ABSENT, Operation, Plan, Update
from service.jobs import Rooms, enqueue
from service.submissions import envelope, package, sent
from service.submissions.destinations import Destination, chosen
from service.submissions.forms import Form, form_of
from service.submissions.gathering import Asked, fill, record_of
from service.submissions.obligation import Owed, cleaned, obligation, with_outcome
from service.submissions.populate import REPORT_PERIOD
from service.submissions.schedule import in_state, state_of
from service.submissions.sent import Sent

JOB = "submit"
SENDABLE = frozenset({"DUE", "ERR", "QRY"})
TAKEN = frozenset({"received", "queried", "accepted"})
WAIVED = {"LTF": "Lost to follow-up", "NRQ": "Not required"}

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Queued:
    """A message on its way: the ids of obligation, message and job."""

    task: str
    message: str
    job: str


async def submit(rooms: Rooms, task_id: str, destination: str | None, response: str | None = None) -> Queued:
    """Fills the form of an obligation, or takes the `response` (QuestionnaireResponse/[id]), and queues the message.

    One that was queued before and has no answer is queued again as it was. Raises Unprocessable with every reason
    where it must not leave, Conflict where the state of the obligation speaks against it.
    """
    owed = await obligation(rooms.database, task_id)
    last = await sent.of_task(rooms.database, task_id)
    if state_of(owed.task) == "RCV" and last is not None and last.state == "received" and last.receipt is None:
        return await _queue_again(rooms, owed, last)
    if state_of(owed.task) not in SENDABLE:
        raise _not_now(owed, "sent", "DUE, ERR and QRY: a corrected one supersedes, one that is not due has to wait")
    to = await chosen(rooms.database, destination)
    if last is not None and last.state == "intended" and last.destination == to.name:
        return await _queue_again(rooms, owed, last)
    replaces = last.message if last is not None and last.state == "queried" else None
    bundle = await _checked(rooms, owed, to, response, replaces)
    return await _queue(
        rooms, owed, to, bundle, Sent("", task_id, to.name, envelope.SUBMISSION, "", "", replaces=replaces)
    )


async def supersede(rooms: Rooms, task_id: str, response: str | None = None) -> Queued:
    """Queues a corrected report that replaces the one that was sent: under an obligation of its own, based on this.

    Raises as `submit`, and Conflict where nothing was sent.
    """
    owed = await obligation(rooms.database, task_id)
    last = await _taken(rooms, owed, "superseded")
    to = await chosen(rooms.database, last.destination)
    successor = await _successor(rooms, owed)
    before = await sent.of_task(rooms.database, successor.id)
    if before is not None and before.state == "intended":
        return await _queue_again(rooms, successor, before)
    bundle = await _checked(rooms, successor, to, response, last.message)
    meant = Sent("", successor.id, to.name, envelope.SUBMISSION, "", "", replaces=last.message, before=task_id)
    return await _queue(rooms, successor, to, bundle, meant)


async def void(rooms: Rooms, task_id: str, reason: str) -> Queued:
    """Queues the message that takes back what was sent. Raises Conflict where nothing was."""
    owed = await obligation(rooms.database, task_id)
    last = await _taken(rooms, owed, "voided")
    to = await chosen(rooms.database, last.destination)
    space = uuid5(NAMESPACE_URL, to.sender)
    message_id = str(uuid5(space, f"void {last.message} {owed.version}"))
    task = in_state(cleaned(owed.task), "VOID", reason)
    base = to.sender.rstrip("/")
    entries = [{"fullUrl": f"{base}/Task/{task_id}", "resource": task}]
    bundle = envelope.enclosed(
        envelope.VOID, message_id, _source(to), to.address, _now().isoformat(timespec="seconds"), entries, last.message
    )
    rooms.validator.require(bundle)
    meant = Sent("", task_id, to.name, envelope.VOID, "", "", replaces=last.message, reason=reason)
    return await _queue(rooms, owed, to, bundle, meant)


async def waive(rooms: Rooms, task_id: str, code: str, reason: str) -> None:
    """A person says that the report will not be made: `code` is LTF or NRQ. Raises Conflict for one that was sent."""
    owed = await obligation(rooms.database, task_id)
    if code not in WAIVED or not reason.strip():
        text = "A report is waived as LTF (lost to follow-up) or NRQ (not required), with a reason"
        raise BadRequest(text, code="required", rule="submission-waiver")
    if state_of(owed.task) not in ("NOTDUE", "DUE", "ERR"):
        raise _not_now(owed, "waived", "NOTDUE, DUE and ERR: one that was sent can be voided")
    task = in_state(cleaned(owed.task), code, f"{WAIVED[code]}: {reason.strip()}")
    await rooms.database.write(Plan((Update(task, if_match=owed.version),)))


async def acknowledge(rooms: Rooms, task_id: str, reason: str) -> None:
    """A person says that the registry has the report: one that was written to a folder, or is filled there.

    Raises Conflict for any other.
    """
    owed = await obligation(rooms.database, task_id)
    last = await sent.of_task(rooms.database, task_id)
    state = state_of(owed.task)
    carried = last is not None and state == "RCV" and last.state == "received" and last.receipt is not None
    if not carried and not (state == "DUE" and owed.form is None):
        raise _not_now(owed, "acknowledged", "RCV from a folder, and DUE where the form is filled at the registry")
    text = f"Acknowledged: {reason.strip()}"
    notes: tuple[Note, ...] = ()
    if carried and last is not None:
        _, before = await sent.find(rooms.database, last.message)
        notes = (replace(last, state="accepted").note(before),)
    update = Update(in_state(owed.task, "CMP", text), if_match=owed.version)
    await rooms.database.write(Plan((update,), notes=notes))


async def _taken(rooms: Rooms, owed: Owed, wanted: str) -> Sent:
    """The message of an obligation that the registry has. Raises Conflict."""
    last = await sent.of_task(rooms.database, owed.id)
    if last is not None and last.kind == envelope.VOID and last.replaces:  # a void that was refused, or not sent
        last, _ = await sent.find(rooms.database, last.replaces)
    if last is None or last.state not in TAKEN or state_of(owed.task) not in ("RCV", "QRY", "CMP"):
        raise _not_now(owed, wanted, "those that a registry has taken: RCV, QRY and CMP")
    return last


def _not_now(owed: Owed, what: str, allowed: str) -> Conflict:
    text = f"The obligation is {state_of(owed.task)} and cannot be {what}; that is for {allowed}"
    return Conflict(text, expression="Task.businessStatus", code="business-rule", rule="submission-state")


async def _successor(rooms: Rooms, owed: Owed) -> Owed:
    """The obligation of the corrected report; made where it is not there yet. Raises Conflict where it was sent."""
    id_ = str(uuid5(UUID(owed.id), "successor"))
    try:
        found = await obligation(rooms.database, id_)
    except CartFhirError as error:
        if error.status != 404:
            raise
        left = ("id", "meta", "businessStatus", "status", "statusReason")
        task = {name: value for name, value in cleaned(owed.task).items() if name not in left}
        identifiers = [{**one, "value": id_} for one in task.get("identifier", [])]
        task |= {"id": id_, "identifier": identifiers, "basedOn": [{"reference": f"Task/{owed.id}"}]}
        meta = {name: value for name, value in owed.task["meta"].items() if name not in ("versionId", "lastUpdated")}
        return Owed(in_state({**task, "meta": meta}, "DUE"), ABSENT)
    if state_of(found.task) not in SENDABLE:
        raise _not_now(found, "sent", f"its correction Task/{id_} is {state_of(found.task)}: supersede that one")
    return found


async def _checked(rooms: Rooms, owed: Owed, to: Destination, response: str | None, replaces: str | None) -> Resource:
    """The message. Raises Unprocessable with every reason why it must not leave, which the obligation then says."""
    form = _form(owed)
    try:
        bundle = await _packed(rooms, owed, form, to, response, replaces)
        reasons = package.refusals(bundle, rooms.validator)
        if reasons:
            raise Unprocessable(issues=reasons)
    except Unprocessable as error:
        if state_of(owed.task) in SENDABLE:
            text = f"Refused before it left the house: {len(error.issues)} findings"
            task = with_outcome(in_state(cleaned(owed.task), "ERR", text), error.issues)
            await rooms.database.write(Plan((Update(task, if_match=owed.version),)))
        raise
    return bundle


async def _packed(
    rooms: Rooms, owed: Owed, form: Form, to: Destination, response: str | None, replaces: str | None
) -> Resource:
    patient_id = owed.patient.removeprefix("Patient/")
    if response is not None:
        stored = await rooms.database.read("QuestionnaireResponse", response.rpartition("/")[2])
        answers = decode(stored.content or b"{}", 10_000)
    else:
        known = owed.reference if owed.version != ABSENT else owed.task["basedOn"][0]["reference"]
        start = await _period_start(rooms, replaces) if replaces else None
        asked = Asked(owed.patient, obligation=known, start=start)
        answers = (await fill(rooms.database, form, asked, _now())).response
    patient, record = await record_of(rooms.database, form, patient_id)
    return package.make(
        answers,
        cleaned(owed.task),
        patient,
        record.held,
        sender=_source(to),
        to=to.address,
        made=_now(),
        replaces=replaces,
    )


async def _period_start(rooms: Rooms, message: str) -> date | None:
    """The first day of the period that a report speaks of: the one that replaces it speaks of the same."""
    for entry in (await sent.bundle_of(rooms.database, message))["entry"]:
        for extension in entry["resource"].get("extension", ()):
            if extension["url"] == REPORT_PERIOD and "start" in extension["valuePeriod"]:
                return date.fromisoformat(extension["valuePeriod"]["start"][:10])
    return None


def _form(owed: Owed) -> Form:
    url = owed.task.get("focus", {}).get("identifier", {}).get("value")
    if not url:
        text = "The service has no questionnaire of this form: it is filled at the registry"
        raise Unprocessable(text, expression="Task.focus", code="not-supported", rule="form-unknown")
    return form_of(url)


def _source(to: Destination) -> Resource:
    return {"name": "cart-fhir", "endpoint": to.sender}


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


async def _queue(rooms: Rooms, owed: Owed, to: Destination, bundle: Resource, meant: Sent) -> Queued:
    """Notes the intent, the bytes and the job in one transaction; a new obligation is written with them."""
    message_id = bundle["entry"][0]["resource"]["id"]
    answers = next((one["resource"] for one in bundle["entry"] if _is_response(one)), None)
    job_id = str(uuid4())
    note = replace(
        meant,
        message=message_id,
        digest=envelope.digest(bundle),
        made=bundle["timestamp"],
        response=answers["id"] if answers else None,
        job=job_id,
    )
    known = await rooms.database.note(sent.SENT, message_id)
    if known is not None:
        last, _ = await sent.find(rooms.database, message_id)
        return await _queue_again(rooms, owed, last)
    before = await rooms.database.note(sent.OF_TASK, owed.id)
    notes = (note.note(None), sent.payload_note(bundle), Note(sent.OF_TASK, owed.id, message_id.encode(), before))
    made: tuple[Operation, ...] = (Update(owed.task, if_match=ABSENT),) if owed.version == ABSENT else ()
    return await _enqueue(rooms, owed, note, made, notes)


def _is_response(entry: Resource) -> bool:
    return entry["resource"]["resourceType"] == "QuestionnaireResponse"


async def _queue_again(rooms: Rooms, owed: Owed, last: Sent) -> Queued:
    """The message that has no answer yet, as it was; its job may have failed."""
    _, before = await sent.find(rooms.database, last.message)
    note = replace(last, job=str(uuid4()))
    return await _enqueue(rooms, owed, note, (), (note.note(before),))


async def _enqueue(
    rooms: Rooms, owed: Owed, note: Sent, operations: tuple[Operation, ...], notes: tuple[Note, ...]
) -> Queued:
    assert note.job is not None
    what = {"submission": "Report", "submission-void": "Void of a report"}[note.kind]
    about = {"focus": {"reference": owed.reference}, "for": {"reference": owed.patient}}
    task = {**about, "description": f"{what} to {note.destination}"}
    alone = f"submission/{owed.id}"
    update, job = enqueue(JOB, {"message": note.message}, id=note.job, alone=alone, task=task)
    await rooms.database.write(Plan((*operations, update), notes=notes, jobs=(job,)))
    return Queued(owed.id, note.message, note.job)
