"""Jobs end to end: worked on, parked, failed, cancelled, taken over, each with its Task."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from service.errors import CartFhirError, Conflict, Issue, Later, PreconditionFailed, Unavailable, Unprocessable
from service.fhir.ledger import Command
from service.fhir.operations import Create, Plan
from service.jobs import Rooms, Run, enqueue_quiet
from tests.jobs.running import DEVICE, SECONDS, add, counts, runner_of, state, task


async def test_job_works_step_by_step_and_its_task_tells(rooms: Rooms) -> None:
    async def work(run: Run) -> None:
        for done in range(run.checkpoint.get("done", 0), run.input["n"]):
            plan = Plan((Create(DEVICE),))
            (applied,) = await run.write(plan, checkpoint={"done": done + 1}, counts={"written": 1})
            assert applied.outcome == "created"
            await asyncio.sleep(0.01)

    id_ = await add(rooms, task={"description": "Three devices"})
    assert (await task(rooms, id_))["status"] == "requested"
    runner = runner_of(rooms, work)
    await state(rooms, id_, "done")
    await runner.stop()
    found = await task(rooms, id_)
    assert (found["status"], found["description"], counts(found)) == ("completed", "Three devices", {"written": 3})
    assert found["authoredOn"] <= found["executionPeriod"]["start"] < found["executionPeriod"]["end"]


async def test_job_goes_on_from_its_checkpoint_after_its_worker_is_gone(rooms: Rooms) -> None:
    runs: list[int] = []

    async def work(run: Run) -> None:
        runs.append(run.checkpoint.get("done", 0))
        for done in range(run.checkpoint.get("done", 0), 3):
            await run.write(Plan((Create(DEVICE),)), checkpoint={"done": done + 1}, counts={"written": 1})

    id_ = await add(rooms)
    job = await rooms.database.claim(["work"], 0.5)  # a worker that takes two steps and is never heard of again
    assert job is not None
    gone = Run(rooms, job, await task(rooms, id_))
    for done in (1, 2):
        await gone.write(Plan((Create(DEVICE),)), checkpoint={"done": done}, counts={"written": 1})
    runner = runner_of(rooms, work)
    await state(rooms, id_, "done")
    await runner.stop()
    assert runs == [2]
    assert counts(await task(rooms, id_)) == {"written": 3}
    with pytest.raises(Conflict):
        await gone.write(Plan((Create(DEVICE),)))


async def test_stopped_runner_gives_its_jobs_back_at_once(rooms: Rooms) -> None:
    begun = asyncio.Event()

    async def work(run: Run) -> None:
        if not run.checkpoint:
            await run.write(checkpoint={"begun": True})
            begun.set()
            await asyncio.sleep(3600)

    id_ = await add(rooms)
    first = runner_of(rooms, work)
    await asyncio.wait_for(begun.wait(), SECONDS)
    await first.stop()
    assert (await rooms.database.job(id_)).state == "waiting"
    second = runner_of(rooms, work)
    await state(rooms, id_, "done")
    await second.stop()


async def test_parked_job_waits_until_its_time_across_a_restart(rooms: Rooms) -> None:
    until = datetime.now(UTC) + timedelta(hours=2)
    runs = 0

    async def work(run: Run) -> None:
        nonlocal runs
        runs += 1
        raise Later.at(until, "The server asks to wait")

    id_ = await add(rooms)
    for _ in range(2):
        runner = runner_of(rooms, work)
        await state(rooms, id_, "waiting")
        while runs == 0:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.6)
        await runner.stop()
    job = await rooms.database.job(id_)
    assert (runs, job.state, job.due) == (1, "waiting", int(until.timestamp() * 1_000_000))
    found = await task(rooms, id_)
    assert (found["status"], found["statusReason"]["text"]) == ("on-hold", "The server asks to wait")


async def test_refused_job_fails_and_its_task_lists_why(rooms: Rooms) -> None:
    async def work(run: Run) -> None:
        issues = [Issue("invalid", f"Element {n} is wrong", f"Observation.e{n}", "e") for n in range(150)]
        raise Unprocessable(issues=issues)

    id_ = await add(rooms)
    runner = runner_of(rooms, work)
    assert await state(rooms, id_, "failed", "done") == "failed"
    await runner.stop()
    found = await task(rooms, id_)
    assert (found["status"], counts(found)) == ("failed", {"issues": 150})
    assert found["contained"][0]["issue"][3]["expression"] == ["Observation.e3"]
    assert len(found["contained"][0]["issue"]) == 100


@pytest.mark.parametrize("error", [Unavailable("gone"), ValueError("Ayşe Yılmaz")])
async def test_job_that_cannot_is_tried_again_a_bounded_number_of_times(
    rooms: Rooms, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.jobs.attempt.LONGEST_DELAY", 0.05)
    runs = 0

    async def work(run: Run) -> None:
        nonlocal runs
        runs += 1
        raise error

    id_ = await add(rooms)
    runner = runner_of(rooms, work, attempts=3)
    await state(rooms, id_, "failed")
    await runner.stop()
    assert runs == 3
    assert "Ayşe" not in str(await task(rooms, id_))


async def test_cancelled_job_writes_no_more(rooms: Rooms) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()
    caught: list[CartFhirError] = []

    async def work(run: Run) -> None:
        begun.set()
        await cancelled.wait()
        try:
            await run.write(Plan((Create(DEVICE),)))
        except Conflict as error:
            caught.append(error)
            raise

    id_ = await add(rooms)
    runner = runner_of(rooms, work)
    await asyncio.wait_for(begun.wait(), SECONDS)
    await rooms.database.write(Plan((), jobs=(Command(id_, "cancel"),)))
    cancelled.set()
    while not caught:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    await runner.stop()
    assert caught[0].issues[0].rule == "job-cancelled"
    assert (await rooms.database.job(id_)).state == "cancelled"
    assert await rooms.database.changes(["Device"], 0, 1) == []


async def test_quiet_job_has_no_task(rooms: Rooms) -> None:
    async def work(run: Run) -> None:
        assert run.task is None
        if run.checkpoint.get("cycles", 0) < 2:
            await run.write(checkpoint={"cycles": run.checkpoint.get("cycles", 0) + 1}, counts={"cycles": 1})
            await run.park(datetime.now(UTC), "the next cycle", quiet=True)

    job = enqueue_quiet("work", {}, id="quiet")
    for _ in range(2):
        await rooms.database.write(Plan((), jobs=(job,)))
    runner = runner_of(rooms, work)
    await state(rooms, "quiet", "done")
    await runner.stop()
    assert await rooms.database.changes(["Task"], 0, 10) == []


async def test_job_with_a_known_id_is_not_made_again(rooms: Rooms) -> None:
    await add(rooms, id="one")
    with pytest.raises(PreconditionFailed):
        await add(rooms, id="one")


async def test_partial_run_says_so(rooms: Rooms) -> None:
    async def work(run: Run) -> None:
        run.partial = True
        await run.write(issues=[Issue("incomplete", "The server left something out", None, "data-gap", "warning")])

    id_ = await add(rooms)
    runner = runner_of(rooms, work)
    await state(rooms, id_, "done")
    await runner.stop()
    found = await task(rooms, id_)
    assert (found["status"], found["businessStatus"]["text"]) == ("completed", "partial")
    assert found["contained"][0]["issue"][0]["severity"] == "warning"
