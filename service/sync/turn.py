"""Whose turn it is to work on a connection: its cycle, or a run that somebody asked for; never both at once.

Two that push at once could each find that a resource is not there, and make it twice.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from service.errors import Conflict, NotFound
from service.fhir.ledger import Note
from service.fhir.operations import Plan
from service.jobs import Run

ROOM = "sync-turn"
WAIT = timedelta(seconds=2)


async def take(run: Run, connection: str) -> None:
    """Goes on where nobody else works on the connection; else the run is parked without a word, and tries again.

    Who is no longer at work, because its process died, its lease ran out or it waits, has lost its turn.
    """
    mine = run.job.id.encode()
    holder = await run.rooms.database.note(ROOM, connection)
    if holder == mine:
        return
    if holder is not None and await _works(run, holder.decode()):
        await _wait(run)
    try:
        await run.write(Plan((), notes=(Note(ROOM, connection, mine, holder),)))
    except Conflict as error:
        if error.issues[0].rule != "note-changed":
            raise
        await _wait(run)


async def give(run: Run, connection: str) -> None:
    """Ends the turn."""
    await run.write(Plan((), notes=(Note(ROOM, connection, None),)))


async def _works(run: Run, id_: str) -> bool:
    try:
        job = await run.rooms.database.job(id_)
    except NotFound:
        return False
    return job.state == "running" and job.until > time.time_ns() // 1000


async def _wait(run: Run) -> None:
    await run.park(datetime.now(UTC) + WAIT, "another run of this connection is under way", quiet=True)
