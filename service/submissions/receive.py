"""A submission is taken as a whole, once: its resources, the receipt and what is noted are one transaction.

Its resources get ids that follow from the sender and the sender's ids, so that a newer submission writes new versions
of the same resources, and so that no sender can touch another one's or our own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from msgspec.structs import replace

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.errors import BadRequest, CartFhirError, Conflict, Issue, TooLarge, Unprocessable, operation_outcome
from service.fhir import references
from service.fhir.json import decode
from service.fhir.ledger import Note
from service.fhir.message import read, response
from service.fhir.operations import ABSENT, Applied, Operation, Plan, Update
from service.settings import Settings
from service.store.database import Database
from service.submissions import receipts
from service.submissions.envelope import VOID, Submission, is_submission, opened, receipt_id
from service.submissions.receipts import CURRENT, Record
from service.submissions.schedule import in_state
from service.submissions.supersede import Holdings, left_behind

LARGE = 50  # entries from which checking moves off the event loop
ATTEMPTS = 6  # against other writers of the same obligation

Resource = dict[str, Any]
Write = Callable[[Plan], Awaitable[Sequence[Applied]]]


@dataclass(frozen=True, slots=True)
class Desk:
    """What receiving needs: the reads, the validator, the way to write, our FHIR base, the limits."""

    database: Database
    definitions: Definitions
    validator: Validator
    write: Write
    base: str
    settings: Settings


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message: its receipt, and whether that was there before."""

    receipt: Resource
    repeated: bool


async def receive(desk: Desk, bundle: Resource) -> Taken:
    """Takes the message, or finds that it was taken before.

    Raises BadRequest where it is no message of this room, Unprocessable with every error of its content, Conflict
    where its id, its age or what it replaces speaks against it.
    """
    submission = await _understood(desk, bundle)
    for _ in range(ATTEMPTS):
        known = await desk.database.note(receipts.RECEIVED, submission.receipt_id)
        if known is not None:
            return await _again(desk, submission, receipts.record_of(known))
        try:
            await desk.write(await _planned(desk, submission))
        except CartFhirError as error:
            # What the same message did meanwhile, sent twice at once, may speak against it.
            if not _overtaken(error) and await desk.database.note(receipts.RECEIVED, submission.receipt_id) is None:
                raise
            continue
        return Taken(await stored_receipt(desk.database, submission.receipt_id), False)
    text = "Others submit for the same obligation all the time; try again"
    raise Conflict(text, code="lock-error", rule="note-changed", headers={"Retry-After": "1"})


def accepted(desk: Desk, asked: Resource, taken: Taken) -> Resource:
    """The message that answers a taken one with its receipt; for the same receipt always the same."""
    reference = f"{desk.base}/Provenance/{taken.receipt['id']}"
    text = f"The submission was taken; its receipt is Provenance/{taken.receipt['id']}"
    outcome = operation_outcome([Issue("informational", text, None, "submission-taken", "information")])
    entry = {"fullUrl": reference, "resource": taken.receipt}
    moment = datetime.fromisoformat(taken.receipt["recorded"])
    return response(asked, desk.base, "ok", outcome, moment, [{"reference": reference}], [entry])


def refused(desk: Desk, asked: Resource, status: int, outcome: Resource, moment: datetime) -> Resource:
    """The message that answers one that was not taken: `outcome` says why, `status` is that of HTTP."""
    code = "transient-error" if status >= 500 else "fatal-error"
    return response(asked, desk.base, code, outcome, moment)


async def _understood(desk: Desk, bundle: Resource) -> Submission:
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "message":
        text = "A submission is a Bundle of type message"
        raise BadRequest(text, expression="Bundle.type", code="value", rule="bundle-type")
    entries = bundle.get("entry")
    size = len(entries) if isinstance(entries, list) else 0
    if size > (most := desk.settings.max_bundle_entries):
        text = f"The message has {size} entries, more than {most}"
        raise TooLarge(text, expression="Bundle.entry", code="too-costly", rule="too-many-entries")
    message = read(bundle)
    if not is_submission(message):
        text = "Only messages with the event submission or submission-void are taken here"
        raise Unprocessable(text, expression=message.event_place, code="not-supported", rule="unknown-event")
    check = desk.validator.errors
    errors = await asyncio.to_thread(check, bundle) if size > LARGE else check(bundle)
    if errors:  # R4 itself or a profile: the sender has to mend its content in either case
        raise Unprocessable(issues=errors)
    return opened(message, bundle)


async def _again(desk: Desk, submission: Submission, known: Record) -> Taken:
    if known.digest != submission.digest:
        text = "A message with this id and another content was taken before; a new content is a new message"
        raise Conflict(text, expression="Bundle.entry[0].resource.id", code="duplicate", rule="submission-id-reused")
    return Taken(await stored_receipt(desk.database, submission.receipt_id), True)


async def stored_receipt(database: Database, id_: str) -> Resource:
    """The receipt as everybody reads it. Raises NotFound."""
    stored = await database.read("Provenance", id_)
    return decode(stored.content or b"{}", 10_000)


def _overtaken(error: CartFhirError) -> bool:
    """Whether somebody wrote what the plan was made of: a note, the receipt, the Task."""
    rules = {issue.rule for issue in error.issues}
    return bool(rules & {"note-changed", "version-mismatch"})


async def _planned(desk: Desk, submission: Submission) -> Plan:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return await (_void if submission.kind == VOID else _taken)(desk, submission, now)


async def _taken(desk: Desk, submission: Submission, now: str) -> Plan:
    before, held = await _before(desk, submission)
    updates = list(_updates(submission))
    brought = tuple(f"{one.resource['resourceType']}/{one.resource['id']}" for one in updates)
    task = next((one for one in brought if one.startswith("Task/")), None)
    obligation = before.obligation if before is not None else _obligation(submission)
    record = _record(submission, now, obligation, brought, task)
    holdings = await Holdings.of(desk.database, (*brought, *(before.resources if before is not None else ())))
    holdings.add(brought, submission.receipt_id)
    left: list[Operation] = []
    notes = [receipts.note_of(record, None)]
    if before is not None:
        left = await left_behind(desk.database, before, holdings, "SUP", brought)
        notes.append(_ended(before, "superseded", submission.receipt_id))
    if obligation:
        notes.append(Note(CURRENT, obligation, submission.receipt_id.encode(), held))
    receipt = receipts.receipt(submission, now, brought, _profiles(desk.definitions, updates))
    operations = (*updates, Update(receipt, if_match=ABSENT), *left)
    places = [place for place, _ in submission.message.entries]
    places += ["Bundle"] * (len(operations) - len(places))
    return Plan(operations, tuple(places), desk.base, notes=(*notes, *holdings.notes()))


async def _void(desk: Desk, submission: Submission, now: str) -> Plan:
    before, held = await _before(desk, submission)
    assert before is not None
    holdings = await Holdings.of(desk.database, before.resources)
    left = await left_behind(desk.database, before, holdings, "VOID")
    record = _record(submission, now, before.obligation, (), None)
    notes = [receipts.note_of(record, None), _ended(before, "voided", submission.receipt_id)]
    if before.obligation:
        notes.append(Note(CURRENT, before.obligation, None, held))
    targets = [f"Provenance/{before.receipt}", *([before.task] if before.task else [])]
    receipt = receipts.receipt(submission, now, targets, ())
    operations = (Update(receipt, if_match=ABSENT), *left)
    return Plan(operations, ("Bundle",) * len(operations), desk.base, notes=(*notes, *holdings.notes()))


async def _before(desk: Desk, submission: Submission) -> tuple[Record | None, bytes | None]:
    """What the message replaces or takes back, and what is noted as current for the obligation.

    Raises Conflict where it names nothing that is current, or is older than that and does not say so.
    """
    named = submission.replaces
    if named is not None:
        found = await receipts.received(desk.database, submission.sender, named)
        if found is None:
            raise _against("The message that it refers to was never taken from this sender", "submission-unknown")
        record, _ = found
        if record.state != "accepted" or record.kind == VOID:
            text = f"The message that it refers to is {record.state if record.kind != VOID else 'a void'} already"
            raise _against(text, "submission-state")
        return record, record.receipt.encode() if record.obligation else None
    obligation = _obligation(submission)
    held = await desk.database.note(CURRENT, obligation) if obligation else None
    if held is None:
        return None, None
    content = await desk.database.note(receipts.RECEIVED, held.decode())
    assert content is not None  # both are written together
    record = receipts.record_of(content)
    if submission.sent <= record.made:
        text = f"For this obligation message {record.message} of {record.sent} counts; an older one has to replace it"
        raise _against(text, "submission-older")
    return record, held


def _against(text: str, rule: str) -> Conflict:
    return Conflict(text, expression="Bundle.entry[0].resource.extension", code="conflict", rule=rule)


def _obligation(submission: Submission) -> str:
    """The key of the obligation: of the same sender and Task always the same; "" where there is no Task."""
    return receipt_id(submission.sender, f"Task {submission.obligation}") if submission.obligation else ""


def _record(submission: Submission, now: str, obligation: str, brought: tuple[str, ...], task: str | None) -> Record:
    sent = submission.sent.isoformat()
    return Record(
        submission.sender,
        submission.id,
        submission.digest,
        submission.kind,
        sent,
        now,
        obligation,
        resources=brought,
        task=task,
        replaces=submission.replaces,
    )


def _profiles(definitions: Definitions, updates: Sequence[Update]) -> set[str]:
    """What was checked, with versions: R4, and the profiles that were claimed."""
    claimed = {url for one in updates for url in one.resource.get("meta", {}).get("profile", ())}
    found = {"http://hl7.org/fhir/StructureDefinition/Bundle|4.0.1"}
    for url in claimed:
        name = url.partition("|")[0]
        version = (definitions.resource(name) or {}).get("version")
        found.add(f"{name}|{version}" if version else name)
    return found


def _ended(record: Record, state: str, by: str) -> Note:
    """The note of what no longer counts; guarded by what was read of it."""
    content = receipts.note_of(record, None).content
    return receipts.note_of(replace(record, state=state, by=by), content)


def _updates(submission: Submission) -> Iterator[Update]:
    """The resources under ids of ours, with the links among them; links to what stayed at home lead there."""
    space = uuid5(NAMESPACE_URL, submission.sender)
    copies = [(entry.get("fullUrl"), deepcopy(entry["resource"])) for _, entry in submission.message.entries]
    homes: list[str] = []
    targets: dict[str, str] = {}
    for full_url, resource in copies:
        type_, own = resource["resourceType"], resource.get("id")
        made = f"{type_}/{uuid5(space, f'{type_}/{own or full_url or submission.id}')}"
        name = f"{type_}/{own}"
        targets |= {key: made for key in (full_url, name if own else None) if key}
        homes.append(full_url.removesuffix(name) if full_url and full_url.endswith(f"/{name}") else "")
        resource["id"] = made.partition("/")[2]
    for home, (_, resource) in zip(homes, copies, strict=True):
        links = references.find(resource)
        references.relink(links, targets)
        for container, key, text in links.local:
            bare = text.partition("/_history/")[0]
            container[key] = targets.get(bare, f"{home}{text}")
        yield Update(in_state(resource, "CMP") if resource["resourceType"] == "Task" else resource)
