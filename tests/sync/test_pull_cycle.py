"""Connections that run by themselves, pauses that a hospital asks for, and what is changed here meanwhile."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec

from service.conformance.definitions import Definitions
from service.fhir.operations import Delete, Plan
from service.settings import Settings
from service.store.database import Database
from service.sync import operating
from tests.sync.pulling import counts, here, hospital, person, value

P1 = person("p1", "ISIKOK19-001")


async def until(condition, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_cycle_runs_by_itself_and_writes_nothing_when_nothing_is_new(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    with hospital([P1, value("o1")]) as (ehr, base):
        it = await here(settings, definitions, database, base)
        await it.connect(every=1)
        for _ in range(2):  # to save it again makes no second cycle
            await operating.save(database, it.connection)
        (job,) = await database.jobs("sync-cycle", ("waiting", "running"), None, 10)

        async def rested() -> bool:
            found = await database.job(job.id)
            return found.state == "waiting" and found.due > 0

        async def came() -> bool:
            runs = (await operating.status(database, "north"))["runs"]
            return len([one for one in runs if one["counts"].get("created") and one["status"] == "completed"]) == 2

        async with it.working():
            await until(rested)
            assert set(await it.observations()) == {"o1"}
            everything = (await database.history(count=1)).total
            asked = ehr.count("Observation?")

            async def asked_again() -> bool:
                return ehr.count("Observation?") > asked and await rested()

            await until(asked_again)
            assert (await database.history(count=1)).total == everything
            ehr.put([value("o2")])
            await until(came)
        assert set(await it.observations()) == {"o1", "o2"}
        await operating.remove(database, "north")
        assert (await database.job(job.id)).state == "cancelled"


async def test_pause_of_two_hours_is_kept_across_a_restart(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    with hospital([P1, value("o1")]) as (ehr, base):
        it = await here(settings, definitions, database, base)
        then = datetime.now(UTC) + timedelta(hours=2)
        ehr.down(requests=1, status=503, retryAfter=format_datetime(then, usegmt=True), match="Observation?")
        id_ = await it.start()
        async with it.working():
            task = await it.ended(id_, "waiting")
            assert task["status"] == "on-hold"
        async with it.working():
            await asyncio.sleep(0.6)
        job = await database.job(id_)
        assert abs(job.due / 1_000_000 - then.timestamp()) < 2
        assert ehr.count("Observation?") == 1


async def test_change_here_and_change_there_are_merged_or_put_before_a_person(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    with hospital([P1, value("o1"), value("o2"), value("o3")]) as (ehr, base):
        it = await here(settings, definitions, database, base)
        await it.run()
        found = await it.observations()
        for id_, change in (("o1", {"note": [{"text": "ours"}]}), ("o2", {"status": "amended"})):
            await it.put({**found[id_], **change})
        await database.write(Plan((Delete("Observation", found["o3"]["id"]),)))
        ehr.put([value("o1", status="corrected"), value("o2", status="corrected"), value("o3", status="corrected")])
        await it.run()
        now = await it.observations()
        assert (now["o1"]["note"], now["o1"]["status"]) == ([{"text": "ours"}], "corrected")
        assert now["o2"]["status"] == "amended"
        assert set(now) == {"o1", "o2"}
        assert len(await it.tasks("conflict")) == 1
        await it.run()
        assert len(await it.tasks("conflict")) == 1


async def test_two_runs_at_once_write_everything_once(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    with hospital([P1, *(value(f"o{number:03d}") for number in range(120))]) as (ehr, base):
        ehr.configure({"most_count": 20})
        it = await here(settings, definitions, database, base)
        ids = [await it.start(), await it.start()]
        async with it.working():
            tasks = [await it.ended(id_) for id_ in ids]
        assert [task["status"] for task in tasks] == ["completed", "completed"]
        found = await it.observations()
        assert len(found) == 120
        assert {one["meta"]["versionId"] for one in found.values()} == {"1"}
        assert sum(counts(task)["dead-letters"] for task in tasks) == 0


async def test_order_while_a_run_is_under_way_is_that_run(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    it = await here(settings, definitions, database, "http://127.0.0.1:9/fhir")
    first = await operating.order(database, "north")
    assert await operating.order(database, "north") == first
    assert len(await it.all("Task")) == 1
    assert msgspec.json.encode(it.connection.shown()).count(b"key_file") == 0
