"""The job that carries one message to its destination and brings the answer home.

Whatever stops it, it goes on from the message that was noted: the same bytes under the same id, for which a registry
gives the same receipt. Every end is one transaction: the obligation's state, the receipt, the Provenance, the notes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID, uuid5

from msgspec.structs import replace

from service.errors import CartFhirError, Upstream, UpstreamConflict, UpstreamGone, UpstreamRefused
from service.fhir import r4
from service.fhir.json import decode
from service.fhir.ledger import Note
from service.fhir.operations import ABSENT, Operation, Plan, Update
from service.jobs import Kind, Run
from service.remote import Got, Remote
from service.submissions import destinations, sent
from service.submissions.answer import Answer, answer_of, issues_of
from service.submissions.destinations import Destination
from service.submissions.envelope import EVENTS, MESSAGE_ID, VOID
from service.submissions.folder import deliver
from service.submissions.obligation import Owed, cleaned, obligation, with_outcome, with_receipt
from service.submissions.prepare import JOB
from service.submissions.receipts import HASH
from service.submissions.schedule import in_state, state_of
from service.submissions.sent import Sent
from service.trial.provenance import AGENT

ATTEMPTS = 60  # with an hour between two of them at most: two days and more
POLL_SECONDS = 5.0
TRIES, OVERTAKEN = 5, frozenset({"note-changed", "version-mismatch"})
MOST_RESENT = 3  # times that a registry may forget what it was to be polled for
REFUSALS = frozenset({400, 409, 412, 413, 422})  # of the content; others are of the connection
STATES = {"RCV": "received", "QRY": "queried", "CMP": "accepted", "ERR": "rejected"}

Resource = dict[str, Any]


async def work(run: Run) -> None:
    """Sends the message that the job is for, or asks again for its answer."""
    message, content = await sent.find(run.rooms.database, run.input["message"])
    if message.state not in ("intended", "received") or message.receipt is not None:
        return
    try:
        to = await destinations.find(run.rooms.database, message.destination)
        if to.kind == "directory":
            answer = await _file(run, message, to)
        else:
            async with to.remote() as remote:
                answer = await _ask(run, message, content, to, remote)
    except CartFhirError as error:
        await _tell(run, message, error)
        raise
    await _settled(lambda: _finish(run, message, answer, to))


async def _settled(write: Callable[[], Awaitable[None]]) -> None:
    """`write`, anew where somebody changed meanwhile what it read: the registry's answer must not get lost."""
    for left in reversed(range(TRIES)):
        try:
            return await write()
        except CartFhirError as error:
            if not left or not {issue.rule for issue in error.issues} & OVERTAKEN:
                raise


async def _file(run: Run, message: Sent, to: Destination) -> Answer:
    content = await sent.payload(run.rooms.database, message.message)
    name = await asyncio.to_thread(deliver, to, message.message, content)
    return Answer("RCV", (), name, message.digest)


async def _ask(run: Run, message: Sent, content: bytes, to: Destination, remote: Remote) -> Answer:
    """The registry's answer to the message. Parks the job where it is to come later."""
    place = run.checkpoint.get("poll")
    try:
        if place is None:
            bundle = await sent.bundle_of(run.rooms.database, message.message)
            prefer = "respond-async" if to.mode == "async" else None
            got = await remote.post("$process-message", bundle, prefer=prefer)
        else:
            got = await remote.get(place)
    except UpstreamGone:
        if place is None:
            raise
        await _forgotten(run)
    except (UpstreamRefused, UpstreamConflict) as error:
        if error.status_code not in REFUSALS:
            raise
        return Answer("ERR", tuple(issues_of(error.answer)) or error.issues)
    if got.status == 202:
        await _wait(run, message, content, got, place)
    return answer_of(got.resource, message.message, message.digest)


async def _wait(run: Run, message: Sent, content: bytes, got: Got, place: str | None) -> NoReturn:
    """Notes that the registry has the message, and parks the job until it may be asked again."""
    until = got.retry_at or datetime.now(UTC) + timedelta(seconds=POLL_SECONDS)
    if place is None:
        if not got.location:
            text = "The registry took the message for later (202) and did not say where to ask for its answer"
            raise Upstream(text, code="processing", rule="submission-answer")
        again = {"poll": got.location, "again": run.checkpoint.get("again", 0)}
        await _settled(lambda: _received(run, message, content, again))
    await run.park(until, f"{message.destination} has the message and will answer", quiet=place is not None)


async def _received(run: Run, message: Sent, content: bytes, checkpoint: dict[str, Any]) -> None:
    owed = await obligation(run.rooms.database, message.task)
    operations: tuple[Operation, ...] = ()
    if message.kind != VOID and state_of(owed.task) != "RCV":
        task = in_state(cleaned(owed.task), "RCV", f"{message.destination} has it and will answer")
        operations = (Update(task, if_match=owed.version),)
    note = replace(message, state="received").note(content)
    await run.write(Plan(operations, notes=(note,)), checkpoint=checkpoint)


async def _forgotten(run: Run) -> NoReturn:
    """The registry no longer knows what it was polled for: the same message is sent again, a few times."""
    again = run.checkpoint.get("again", 0) + 1
    if again > MOST_RESENT:
        text = "The registry forgets what it took for later before it is asked for; it took the message several times"
        raise Upstream(text, code="processing", rule="submission-answer")
    await run.write(checkpoint={"again": again})
    await run.park(datetime.now(UTC), "The answer is gone; the same message is sent again", quiet=True)


async def _tell(run: Run, message: Sent, error: CartFhirError) -> None:
    """Says on the obligation why its message did not get through, where it will not be tried again by itself."""
    if error.issues[0].rule in ("lease-lost", "job-cancelled"):
        return
    helps = error.transient if isinstance(error, Upstream) else error.status >= 500
    if helps and run.job.attempts + 1 < ATTEMPTS:
        return
    owed = await obligation(run.rooms.database, message.task)
    what = "The void was not sent" if message.kind == VOID else "Not sent"
    task = in_state(cleaned(owed.task), state_of(owed.task), f"{what} to {message.destination}: {error}")
    if cleaned(task) != cleaned(owed.task) or task.get("statusReason") != owed.task.get("statusReason"):
        await run.write(Plan((Update(task, if_match=owed.version),)))


async def _finish(run: Run, message: Sent, answer: Answer, to: Destination) -> None:
    """Writes what the answer means, all at once."""
    database = run.rooms.database
    _, content = await sent.find(database, message.message)
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    owed = await obligation(database, message.task)
    refused = answer.state == "ERR"
    ended = replace(
        message,
        state=STATES[answer.state],
        receipt=answer.receipt,
        receipt_hash=answer.receipt_hash,
        answered=now,
    )
    notes = [ended.note(content)]
    operations: list[Operation] = []
    task = _after(owed, message, answer)
    if not refused:
        provenance = _provenance(ended, to, now)
        operations.append(Update(provenance, if_match=ABSENT))
        task = with_receipt(task, provenance["id"])
        operations += await _responses(run, message)
        operations += await _forerunner(run, message)
        notes += await _replaced(run, message)
    operations.append(Update(task, if_match=owed.version))
    counts = {STATES[answer.state]: 1}
    await run.write(
        Plan(tuple(operations), notes=tuple(notes)), checkpoint={"done": True}, counts=counts, issues=answer.issues
    )


def _after(owed: Owed, message: Sent, answer: Answer) -> Resource:
    """The obligation once the message was answered."""
    task = cleaned(owed.task)
    if message.kind == VOID:
        if answer.state == "ERR":
            said = in_state(task, state_of(owed.task), f"{message.destination} refused to take it back")
            return with_outcome(said, answer.issues)
        return in_state(task, "VOID", message.reason)
    texts = {
        "RCV": f"Written to {message.destination} as {answer.receipt}; nobody has acknowledged it",
        "QRY": f"{message.destination} asks about {len(answer.issues)} findings",
        "ERR": f"{message.destination} refused it: {len(answer.issues)} findings",
        "CMP": None if answer.receipt else f"{message.destination} took it and gave no receipt",
    }
    return with_outcome(in_state(task, answer.state, texts[answer.state]), answer.issues)


async def _responses(run: Run, message: Sent) -> list[Operation]:
    """The response as it was sent, kept with the record; one that was taken back is entered in error."""
    database = run.rooms.database
    if message.kind == VOID:
        taken, _ = await sent.find(database, message.replaces or "")
        if taken.response is None:
            return []
        stored = await database.read("QuestionnaireResponse", taken.response)
        resource = decode(stored.content or b"{}", 10_000)
        return [Update({**resource, "status": "entered-in-error"}, if_match=stored.version)]
    bundle = await sent.bundle_of(database, message.message)
    resources = [entry["resource"] for entry in bundle["entry"]]
    return [Update(one) for one in resources if one["resourceType"] == "QuestionnaireResponse"]


async def _forerunner(run: Run, message: Sent) -> list[Operation]:
    """The obligation whose report this one replaces, superseded now."""
    if message.before is None:
        return []
    owed = await obligation(run.rooms.database, message.before)
    text = f"Replaced by Task/{message.task}"
    return [Update(in_state(owed.task, "SUP", text), if_match=owed.version)]


async def _replaced(run: Run, message: Sent) -> Sequence[Note]:
    if message.replaces is None:
        return ()
    before, content = await sent.find(run.rooms.database, message.replaces)
    state = "voided" if message.kind == VOID else "superseded"
    return (replace(before, state=state).note(content),)


def _provenance(message: Sent, to: Destination, now: str) -> Resource:
    """That it was sent, and the registry's receipt: as immutable as a receipt of ours."""
    registry = to.base if to.kind == "fhir" else to.address
    who = {"identifier": {"system": "urn:ietf:rfc:3986", "value": registry}, "display": to.name}
    what = {"identifier": {"system": MESSAGE_ID, "value": message.message}}
    entities = [{"role": "source", "what": what}]
    if message.receipt and to.kind == "fhir":
        entities.append({"role": "source", "what": {"reference": f"{to.base.rstrip('/')}/{message.receipt}"}})
    targets = [f"Task/{message.task}", *([f"QuestionnaireResponse/{message.response}"] if message.response else [])]
    return r4.make(
        "Provenance",
        id=str(uuid5(UUID(message.message), "sent")),
        extension=[{"url": HASH, "valueString": message.receipt_hash or message.digest}],
        target=[{"reference": target} for target in targets],
        recorded=now,
        policy=[to.address],
        activity={"coding": [{"system": EVENTS, "code": message.kind}]},
        agent=[AGENT | {"who": AGENT["who"] | {"display": "cart-fhir submissions"}}, {"who": who}],
        entity=entities,
    )


KINDS = (Kind(JOB, work, attempts=ATTEMPTS),)
