"""Jobs in trouble: a database that goes away, work that breaks itself off or does not stop, inputs that are none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.errors import Conflict, Later, PreconditionFailed, Unavailable
from service.fhir.ledger import Enqueue
from service.fhir.operations import Create, Plan
from service.jobs import Kind, Rooms, Run, Runner
from service.store.database import Database
from tests.jobs.running import DEVICE, SECONDS, add, runner_of, state, task


async def test_input_that_cannot_be_read_fails_its_job(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.jobs.attempt.LONGEST_DELAY", 0.05)

    async def work(run: Run) -> None:
        raise AssertionError("not to be run")

    await rooms.database.write(Plan((), jobs=(Enqueue("bad", "work", b'{"name": "Ay\xc5\x9fe" oops'),)))
    with capture_logs() as logs:
        runner = runner_of(rooms, work, attempts=2)
        assert await state(rooms, "bad", "failed") == "failed"
        await runner.stop()
    assert "Ayşe" not in str(logs)


async def test_job_of_an_unknown_kind_waits_and_holds_nothing_up(rooms: Rooms) -> None:
    async def work(run: Run) -> None:
        return

    strange = [Enqueue(f"strange-{number}", "of-tomorrow", b"{}") for number in range(50)]
    await rooms.database.write(Plan((), jobs=tuple(strange)))
    runner = runner_of(rooms, work)
    assert await state(rooms, await add(rooms), "done") == "done"
    await runner.stop()
    assert {job.state for job in await rooms.database.jobs("of-tomorrow")} == {"waiting"}


async def test_work_that_breaks_itself_off_is_tried_again_and_fails_in_the_end(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.jobs.attempt.LONGEST_DELAY", 0.05)
    runs = 0

    async def work(run: Run) -> None:
        nonlocal runs
        runs += 1
        raise asyncio.CancelledError

    id_ = await add(rooms)
    runner = runner_of(rooms, work, attempts=3)
    await state(rooms, id_, "failed")
    await runner.stop()
    assert runs == 3


@pytest.mark.parametrize(
    "error", [Conflict("changed", rule="note-changed"), PreconditionFailed("changed", rule="version-mismatch")]
)
async def test_work_that_was_overtaken_is_tried_again(
    rooms: Rooms, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.jobs.attempt.LONGEST_DELAY", 0.05)
    errors = [error]

    async def work(run: Run) -> None:
        if errors:
            raise errors.pop()

    id_ = await add(rooms)
    runner = runner_of(rooms, work)
    assert await state(rooms, id_, "done", "failed") == "done"
    await runner.stop()


async def test_server_that_asks_to_wait_until_a_time_that_is_over_is_not_asked_without_pause(rooms: Rooms) -> None:
    runs = 0

    async def work(run: Run) -> None:
        nonlocal runs
        runs += 1
        raise Later.at(datetime.now(UTC) - timedelta(hours=1), "Wait")

    await add(rooms)
    runner = runner_of(rooms, work)
    await asyncio.sleep(1.5)
    await runner.stop()
    assert 1 <= runs <= 2


async def test_short_jobs_follow_each_other_without_a_pause(rooms: Rooms) -> None:
    async def work(run: Run) -> None:
        return

    jobs = [Enqueue(f"{number}", "work", b"{}") for number in range(60)]
    await rooms.database.write(Plan((), jobs=tuple(jobs)))
    runner = Runner(rooms, [Kind("work", work)], workers=1)
    looks = 0
    look = runner._take

    async def counted() -> None:
        nonlocal looks
        looks += 1
        await look()

    runner._take = counted  # type: ignore[method-assign]
    begun = time.monotonic()
    runner.start()
    await state(rooms, "59", "done")
    await runner.stop()
    assert looks >= 60
    assert time.monotonic() - begun < 60 * 0.25


class Away:
    """A database whose doors can be closed: everything but reads of the test itself raises Unavailable."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.closed = False
        self.asked = 0
        for name in ("write", "claim", "renew", "is_due"):
            monkeypatch.setattr(database, name, self._door(getattr(database, name)))

    def _door(self, real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*given: Any) -> Any:
            self.asked += 1
            if self.closed:
                raise Unavailable("The database did not answer")
            return await real(*given)

        return call


async def test_end_is_noted_when_the_database_is_back(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    away, runs = Away(rooms.database, monkeypatch), 0

    async def work(run: Run) -> None:
        nonlocal runs
        runs += 1
        away.closed = True

    id_ = await add(rooms)
    runner = runner_of(rooms, work, lease=9.0)
    while not away.closed:
        await asyncio.sleep(0.02)
    await asyncio.sleep(1.5)
    away.closed = False
    await state(rooms, id_, "done")
    await runner.stop()
    assert (runs, (await task(rooms, id_))["status"]) == (1, "completed")


async def test_work_goes_on_over_an_outage_that_is_shorter_than_its_lease(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, runs = Away(rooms.database, monkeypatch), 0

    async def work(run: Run) -> None:
        nonlocal runs
        runs += 1
        for _ in range(3):
            away.closed = True
            await asyncio.sleep(0.8)
            away.closed = False
            await asyncio.sleep(0.7)
        await run.write(Plan((Create(DEVICE),)))

    id_ = await add(rooms)
    runner = runner_of(rooms, work, lease=2.0)
    await state(rooms, id_, "done")
    await runner.stop()
    assert runs == 1


async def test_work_stops_when_its_lease_cannot_be_renewed(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    away, stopped, runs = Away(rooms.database, monkeypatch), asyncio.Event(), 0

    async def work(run: Run) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            away.closed = True
            try:
                await asyncio.sleep(60)
            finally:
                stopped.set()

    id_ = await add(rooms)
    runner = runner_of(rooms, work, lease=1.0)
    await asyncio.wait_for(stopped.wait(), SECONDS)
    away.closed = False
    await state(rooms, id_, "done")
    await runner.stop()
    assert runs == 2


async def test_stop_while_the_end_is_being_noted_keeps_it(rooms: Rooms) -> None:
    done = asyncio.Event()

    async def work(run: Run) -> None:
        await run.write(Plan((Create(DEVICE),)))
        done.set()

    for _ in range(5):
        done.clear()
        id_ = await add(rooms)
        runner = runner_of(rooms, work)
        await asyncio.wait_for(done.wait(), SECONDS)
        await runner.stop()
        assert (await rooms.database.job(id_)).state in ("done", "waiting")


async def test_stop_while_jobs_are_claimed_leaves_none_leased(rooms: Rooms) -> None:
    async def work(run: Run) -> None:
        await asyncio.sleep(60)

    for number in range(12):
        await add(rooms)
        runner = runner_of(rooms, work)
        await asyncio.sleep(number * 0.001)
        await runner.stop()
        assert {job.state for job in await rooms.database.jobs()} == {"waiting"}


async def test_stop_does_not_wait_for_work_that_does_not_stop(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.jobs.attempt.GRACE", 0.2)
    begun, freed = asyncio.Event(), asyncio.Event()

    async def work(run: Run) -> None:
        begun.set()
        while not freed.is_set():
            try:
                await freed.wait()
            except asyncio.CancelledError:
                continue

    id_ = await add(rooms)
    runner = runner_of(rooms, work)
    await asyncio.wait_for(begun.wait(), SECONDS)
    await asyncio.wait_for(runner.stop(), SECONDS)
    assert (await rooms.database.job(id_)).state == "running"  # nobody else may take it before its lease is over
    freed.set()
