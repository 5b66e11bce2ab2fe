"""A cycle and a run that somebody asked for do not work on one connection at once."""

from __future__ import annotations

import asyncio

import pytest

from service.conformance.definitions import Definitions
from service.fhir.ledger import Step
from service.fhir.operations import Plan
from service.jobs import Parked, Rooms, Run, Runner, enqueue, enqueue_quiet
from service.simulators.ehr import Quirks
from service.store.database import Database
from service.sync import turn
from service.sync.push import KINDS
from service.sync.report import KIND
from tests.sync.pushing import NAME, observation, ward

BARE = Quirks(transactions="absent", ignores_if_none_exist=True)


async def claimed(rooms: Rooms, seconds: float = 60) -> Run:
    await rooms.database.write(Plan((), jobs=(enqueue_quiet("test", {}),)))
    job = await rooms.database.claim(["test"], seconds)
    assert job is not None
    return Run(rooms, job, None)


async def test_second_waits_until_the_first_gives_its_turn(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions) as one:
        first, second = await claimed(one.rooms), await claimed(one.rooms)
        await turn.take(first, NAME)
        await turn.take(first, NAME)
        with pytest.raises(Parked):
            await turn.take(second, NAME)
        await turn.give(first, NAME)
        await turn.take(second, NAME)
        with pytest.raises(Parked):
            await turn.take(first, NAME)


async def test_turn_of_who_is_gone_is_free(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions) as one:
        next_, waits, dead = await claimed(one.rooms), await claimed(one.rooms), await claimed(one.rooms, 1.0)
        await turn.take(waits, NAME)
        await database.write(Plan((), jobs=(Step(waits.job.lease, "waiting", due=2**62),)))
        await turn.take(dead, NAME)
        await asyncio.sleep(1.1)
        await turn.take(next_, NAME)


async def test_pushes_at_once_make_nothing_twice(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions, BARE) as one:
        await one.put(*(observation(f"o{number}") for number in range(4)))
        ordered = [enqueue(KIND, {"connection": NAME}) for _ in range(2)]
        await database.write(Plan(tuple(update for update, _ in ordered), jobs=tuple(job for _, job in ordered)))
        runner = Runner(one.rooms, KINDS)
        runner.start()
        async with asyncio.timeout(60):
            for _, job in ordered:
                while (await database.job(job.id)).state != "done":
                    await asyncio.sleep(0.05)
        await runner.stop()
        assert [len(one.copies(f"Observation/o{number}")) for number in range(4)] == [1] * 4
