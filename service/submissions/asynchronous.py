"""Submissions that are answered later: what was sent is kept, a durable job takes it, and the answer stays.

The same bytes are the same job: who asks twice polls one address. An answer is read as often as one likes and is
forgotten only when its address is deleted.
Source: https://hl7.org/fhir/R4/async.html
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import uuid5

from service.errors import CartFhirError, Conflict, Internal, NotFound
from service.fhir.json import decode
from service.fhir.ledger import Note
from service.fhir.message import read
from service.fhir.operations import Plan
from service.jobs import Kind, Rooms, Run, enqueue
from service.jobs.tasks import command
from service.store.database import Database
from service.submissions import bulk, outcomes
from service.submissions.outcomes import Outcome
from service.submissions.receive import Desk, Taken, Write, accepted, refused, stored_receipt
from service.trial.mapping.identity import NAMESPACE

INBOX, POLL, OUTCOME = "submission-inbox", "submission-poll", "submission-outcome"
MESSAGE, BULK = "submission-receive", "submission-bulk"
LIVING = frozenset({"waiting", "running"})

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pending:
    """Not done yet; `progress` says in words how far it has come."""

    progress: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer: HTTP status and resource."""

    status: int
    body: Resource


async def kick_off(database: Database, kind: str, content: bytes, base: str) -> str:
    """Keeps what was sent and makes the job for it; returns the id to poll. On disk when it returns."""
    name = f"{kind} {base} {sha256(content).hexdigest()}"
    generation = int(await database.note(POLL, name) or b"0")
    while True:
        id_ = str(uuid5(NAMESPACE, f"{name} {generation}"))
        if await database.note(INBOX, id_) is not None:
            return id_
        update, job = enqueue(kind, {"base": base}, id=id_, task={"description": "A submission, answered later"})
        notes = (Note(INBOX, id_, content, None), Note(POLL, name, str(generation).encode()))
        try:
            await database.write(Plan((update,), notes=notes, jobs=(job,)))
            return id_
        except CartFhirError as error:
            if not {issue.rule for issue in error.issues} & {"note-changed", "version-mismatch"}:
                raise
            if await database.note(INBOX, id_) is None:
                generation += 1  # that one was withdrawn


async def withdraw(database: Database, id_: str) -> None:
    """Cancels the job, if it is not done, and forgets what was sent and answered. Receipts stay.

    Raises NotFound where nothing is kept under the id.
    """
    if await database.note(INBOX, id_) is None:
        raise NotFound("There is no such submission to poll", rule="unknown-job")
    if (await database.job(id_)).state in LIVING:
        await _cancelled(database, id_)
    kept = [key for key, _ in await database.notes(OUTCOME, prefix=f"{id_}/", count=1_000_000)]
    await database.write(Plan((), notes=(Note(INBOX, id_, None), *(Note(OUTCOME, key, None) for key in kept))))


async def _cancelled(database: Database, id_: str) -> None:
    try:
        await command(database, id_, "cancel")
    except Conflict as error:
        if error.issues[0].rule != "job-state":  # done meanwhile
            raise


async def polled(desk: Desk, id_: str) -> Pending | Finished:
    """How far it is, or the answer: the same as that to a request that was answered at once.

    Raises NotFound where nothing is kept under the id, Internal where the job failed.
    """
    content = await desk.database.note(INBOX, id_)
    if content is None:
        raise NotFound("There is no such submission to poll", rule="unknown-job")
    job = await desk.database.job(id_)
    if job.state in LIVING:
        done = decode(job.checkpoint or b"{}").get("line", 0)
        return Pending(f"{done} lines are done" if job.kind == BULK else "The message waits to be taken")
    if job.state != "done":
        raise Internal(f"The job is {job.state}; Task/{id_} says why")
    here = replace(desk, base=decode(job.input)["base"])
    found = [outcomes.outcome_of(kept) for _, kept in await _kept(desk.database, id_)]
    if job.kind == MESSAGE:
        return await _message_answer(here, content, found[0])
    none = outcomes.all_refused(found)
    if none is not None and found:
        return Finished(422, none)
    return Finished(200, outcomes.told(here, found, bulk.lines(content)[1]))


async def _kept(database: Database, id_: str) -> list[tuple[str, bytes]]:
    return await database.notes(OUTCOME, prefix=f"{id_}/", count=1_000_000)


async def _message_answer(desk: Desk, content: bytes, outcome: Outcome) -> Finished:
    asked = read(decode(content, 10_000)).header
    if outcome.receipt is None:
        moment = datetime.fromisoformat(outcome.at)
        return Finished(outcome.status, refused(desk, asked, outcome.status, outcome.outcome(), moment))
    receipt = await stored_receipt(desk.database, outcome.receipt)
    return Finished(200, accepted(desk, asked, Taken(receipt, True)))


async def take_message(run: Run) -> None:
    """Takes the one message; its outcome is written with it."""
    if run.checkpoint:
        return
    content = await _content(run)
    await _step(run, 0, content, {"line": 1})


async def take_lines(run: Run) -> None:
    """Takes the lines behind the last checkpoint, each with its outcome and the next checkpoint."""
    numbered, _ = bulk.lines(await _content(run))
    for number, line in numbered:
        if number > run.checkpoint.get("line", 0):
            await _step(run, number, line, {"line": number})


async def _content(run: Run) -> bytes:
    content = await run.rooms.database.note(INBOX, run.job.id)
    if content is None:
        raise NotFound("What was sent is no longer kept: the submission was withdrawn", rule="unknown-job")
    return content


async def _step(run: Run, number: int, line: bytes, checkpoint: dict[str, int]) -> None:
    """One message and its outcome in one transaction, whether it is taken or not."""
    key = f"{run.job.id}/{number:08d}"
    written = False

    async def write(plan: Plan) -> Any:
        nonlocal written
        outcome = Outcome(outcomes.ACCEPTED, number, plan.notes[0].key)
        noted = replace(plan, notes=(*plan.notes, Note(OUTCOME, key, outcome.encoded())))
        applied = await run.write(noted, checkpoint=checkpoint, counts={outcomes.ACCEPTED: 1})
        written = True
        return applied

    desk = desk_of(run.rooms, run.input["base"], write)
    outcome = await bulk.take(desk, number, line)
    if not written:
        note = Note(OUTCOME, key, outcome.encoded())
        await run.write(Plan((), notes=(note,)), checkpoint=checkpoint, counts={outcome.result: 1})


def desk_of(rooms: Rooms, base: str, write: Write | None = None) -> Desk:
    """What receiving needs, from the open rooms."""
    write = write or rooms.database.write
    return Desk(rooms.database, rooms.definitions, rooms.validator, write, base, rooms.settings)


KINDS = (Kind(MESSAGE, take_message), Kind(BULK, take_lines))
