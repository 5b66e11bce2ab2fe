"""The jobs of a connection: a run that somebody asks for, and the cycle of one that has `every`.

Both acknowledge first what a push left open, then pull, then push.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from service.errors import CartFhirError, Later, Upstream
from service.fhir.json import decode, encode
from service.fhir.ledger import Note
from service.fhir.operations import Plan
from service.jobs import DeadLetter, Kind, Rooms, Run
from service.sync import connections, push, turn
from service.sync.candidate import plan_of
from service.sync.connections import Connection
from service.sync.harmonise import load_harmoniser
from service.sync.intake import KIND as LETTER
from service.sync.intake import Intake
from service.sync.linking import Linker
from service.sync.pull import KIND, LAST_ROOM, pull
from service.sync.streams import instant

CYCLE = "sync-cycle"


async def _work(run: Run) -> None:
    """A run that somebody asked for: what a push left open, then the pull, then the push."""
    connection = await connections.find(run.rooms.database, run.input["connection"])
    await _both(run, connection)


async def _both(run: Run, connection: Connection) -> None:
    await turn.take(run, connection.name)
    if connection.push:
        await push.finish(run, connection)
    if not run.checkpoint.get("pulled"):
        await pull(run, connection)
        await run.write(checkpoint={**run.checkpoint, "pulled": True, "partial": run.partial})
    run.partial = bool(run.checkpoint.get("partial"))
    if connection.push:
        await push.push(run, connection)
    await turn.give(run, connection.name)


async def _cycle(run: Run) -> None:
    """One cycle of a connection that has `every`; then the job waits for the next."""
    note = await run.rooms.database.note(connections.ROOM, run.input["connection"])
    connection = msgspec.json.decode(note, type=Connection) if note is not None else None
    if connection is None or connection.every is None:
        return
    begun = datetime.now(UTC)
    try:
        await _both(run, connection)
        run.checkpoint = {}
        await run.write(checkpoint={})
    except CartFhirError as error:
        if isinstance(error, Later) or (error.status >= 500 and not isinstance(error, Upstream)) or _is_lost(error):
            raise
        await run.write(Plan((), notes=(Note(LAST_ROOM, connection.name, _failure(begun, error)),)))
    until = max(begun + timedelta(seconds=connection.every), datetime.now(UTC) + timedelta(seconds=1))
    await run.park(until, "waits for the next cycle", quiet=True)


def _is_lost(error: CartFhirError) -> bool:
    return error.issues[0].rule in ("lease-lost", "job-cancelled")


def _failure(at: datetime, error: CartFhirError) -> bytes:
    return encode({"at": instant(at), "failed": str(error)})


async def _replay(rooms: Rooms, dead: DeadLetter) -> Plan:
    """Takes a resource that was refused as if it came now. Raises what is still against it."""
    connection = await connections.find(rooms.database, dead.source)
    remote = connection.remote()
    try:
        linker = Linker(rooms.database, connection, remote)
        await linker.load()
        intake = Intake(rooms, connection, linker, await load_harmoniser(rooms.database), dead.task)
        return await replayed(intake, dead)
    finally:
        await remote.close()


async def replayed(intake: Intake, dead: DeadLetter) -> Plan:
    """The plan that takes a dead letter. Raises what is against it still."""
    found = await intake.again(decode(dead.content, 10_000))
    page = plan_of(intake.connection.name, found.candidates)
    return Plan(
        (*page.operations, *found.decided.operations), notes=(*page.notes, *found.decided.notes), beside=page.beside
    )


KINDS = (Kind(KIND, _work), Kind(CYCLE, _cycle, attempts=1_000_000))
REPLAYS = {LETTER: _replay}
