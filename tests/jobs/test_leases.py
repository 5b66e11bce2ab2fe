"""Leases: who gets which job, when one is lost, whose clock counts, and what looking for work costs."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.fhir.ledger import Command, Enqueue
from service.fhir.operations import Plan
from service.jobs import Rooms, Run
from service.store.database import Database
from service.store.engine import Connection
from tests.jobs.running import add, counts, runner_of, state, task

HOUR = 3600


async def change(database: Database, text: str, *values: Any) -> None:
    """A change behind the store's back."""
    connection = Connection(database.engine, 10)
    await asyncio.to_thread(connection.apart, text, values)
    connection.close()


async def test_worker_that_is_lost_is_an_attempt_and_too_many_are_a_failure(rooms: Rooms) -> None:
    async def work(run: Run) -> None:
        raise AssertionError("not to be run again")

    id_ = await add(rooms)
    for lost in range(3):
        job = await rooms.database.claim(["work"], 0)
        assert job is not None
        assert job.attempts == lost
        await asyncio.sleep(0.01)
    runner = runner_of(rooms, work, attempts=3)
    assert await state(rooms, id_, "failed") == "failed"
    await runner.stop()
    found = await task(rooms, id_)
    assert (found["status"], counts(found)) == ("failed", {"issues": 1})
    assert "3 times" in found["statusReason"]["text"]


async def test_lost_workers_in_a_row_count_only_where_the_job_came_no_further(rooms: Rooms) -> None:
    await add(rooms)
    for done in range(4):
        job = await rooms.database.claim(["work"], 0)
        assert job is not None
        assert job.attempts == (1 if done else 0)
        await Run(rooms, job, None).write(checkpoint={"done": done})
        await asyncio.sleep(0.01)


async def test_jobs_are_taken_in_the_order_in_which_they_came(rooms: Rooms) -> None:
    names = [f"{number * 7 % 20:02d}" for number in range(20)]
    for name in names:
        await rooms.database.write(Plan((), jobs=(Enqueue(name, "work", b"{}"),)))
    taken = [await rooms.database.claim(["work"], 60) for _ in names]
    assert [job.id for job in taken if job is not None] == names


async def test_lease_from_before_the_clock_was_set_back_is_none(rooms: Rooms) -> None:
    id_ = await add(rooms)
    job = await rooms.database.claim(["work"], 60)
    assert job is not None
    far = (time.time_ns() // 1000) + 5 * HOUR * 1_000_000
    await change(rooms.database, "UPDATE job SET until = ? WHERE id = ? RETURNING id", far, id_)
    again = await rooms.database.claim(["work"], 60)
    assert again is not None
    assert again.token == job.token + 1


async def test_clock_of_a_worker_that_is_slow_does_not_hold_jobs_up(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    if rooms.database.sqlite:
        pytest.skip("has no clock but that of its process")

    async def work(run: Run) -> None:
        return

    id_ = await add(rooms, due=datetime.now(UTC) + timedelta(seconds=0.2))
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - HOUR * 10**9)
    runner = runner_of(rooms, work)
    await state(rooms, id_, "done")
    await runner.stop()


async def test_renewing_does_not_wait_for_a_long_write_and_holds_up_no_reads(rooms: Rooms) -> None:
    if rooms.database.sqlite:
        pytest.skip("locks no rows")
    await add(rooms)
    job = await rooms.database.claim(["work"], 60)
    assert job is not None
    connection = Connection(rooms.database.engine, 30)
    connection.rows("SELECT id FROM job FOR UPDATE")  # as the writer does for a step
    try:
        async with asyncio.timeout(5):
            assert all(await asyncio.gather(*(rooms.database.renew(job.lease, 60) for _ in range(8))))
            await rooms.database.job(job.id)
            assert await rooms.database.claim(["work"], 60) is None
    finally:
        connection.close()
    await rooms.database.write(Plan((), jobs=(Command(job.id, "cancel"),)))
    assert not await rooms.database.renew(job.lease, 60)


@pytest.mark.parametrize("states", [("waiting",), ("failed",), ()])
async def test_looking_for_work_and_listing_go_by_an_index(database: Database, states: tuple[str, ...]) -> None:
    """Among 20,000 done jobs neither looks at them; PostgreSQL is told nothing of how many there are."""
    from service.store import jobs

    connection = Connection(database.engine, 30)
    rows = [(f"d{n}", "work", "done", 0, 1, 0, 0, n, n, b"{}", None, None) for n in range(20_000)]
    connection.start()
    if connection.sqlite:
        connection.raw.execute("BEGIN")
    connection.insert("job", jobs.COLUMNS, rows)
    connection.commit()
    asked: list[tuple[str, Any]] = []
    rows_of = connection.rows

    def explained(text: str, values: Any = ()) -> list[tuple[Any, ...]]:
        asked.append((text, values))
        return rows_of(text, values)

    connection.rows = explained  # type: ignore[method-assign]
    assert not jobs.is_due(connection, ["work", "other"])
    assert jobs.claim(connection, ["work", "other"], 30) is None
    jobs.listed(connection, None, states, None, 50)
    explain = "EXPLAIN QUERY PLAN " if connection.sqlite else "EXPLAIN "
    for text, values in asked:
        plan = "\n".join(str(row[-1]) for row in rows_of(explain + text, values))
        assert "job_due" in plan or "job_of_state" in plan or "job_created" in plan
        assert "Seq Scan" not in plan
        assert "SCAN job\n" not in f"{plan}\n"
    connection.close()
