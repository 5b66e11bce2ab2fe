"""The Task of a job: no count is lost, and nothing that people write on it, whoever writes at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.errors import PreconditionFailed, Unavailable
from service.fhir.operations import ABSENT, Plan, Update
from service.jobs import Rooms, Run
from service.jobs.tasks import command, task_of
from tests.jobs.running import DEVICE, add, counts, runner_of, state, task


async def test_cancel_in_the_middle_of_counting_loses_no_count(rooms: Rooms) -> None:
    steps = 0

    async def work(run: Run) -> None:
        nonlocal steps
        while True:
            await run.write(checkpoint={"n": steps + 1}, counts={"steps": 1})
            steps += 1

    id_ = await add(rooms)
    runner = runner_of(rooms, work)
    for _ in range(4):
        await asyncio.sleep(0.1)
        await command(rooms.database, id_, "cancel")
        found = await task(rooms, id_)
        assert found["status"] == "cancelled"
        assert counts(found) == {"steps": steps}
        await command(rooms.database, id_, "retry")
    await runner.stop()
    assert steps
    assert counts(await task(rooms, id_)) == {"steps": steps}


async def test_what_people_write_on_the_task_of_a_running_job_stays(rooms: Rooms) -> None:
    noted = asyncio.Event()

    async def work(run: Run) -> None:
        await run.write(checkpoint={"n": 1}, counts={"steps": 1})
        found = await task_of(rooms.database, id_)
        assert found is not None
        await rooms.database.write(Plan((Update({**found, "note": [{"text": "Looked at"}]}),)))
        noted.set()
        await run.write(checkpoint={"n": 2}, counts={"steps": 1})
        with pytest.raises(PreconditionFailed):
            await run.write(Plan((Update({**DEVICE, "id": "d"}, if_match=7),)), counts={"steps": 1})

    id_ = await add(rooms)
    runner = runner_of(rooms, work)
    await state(rooms, id_, "done")
    await runner.stop()
    found = await task(rooms, id_)
    assert (found["note"], counts(found), found["status"]) == ([{"text": "Looked at"}], {"steps": 2}, "completed")


async def test_steps_at_once_are_all_counted(rooms: Rooms) -> None:
    async def work(run: Run) -> None:
        plans = [Plan((Update({**DEVICE, "id": f"d{n}"}, if_match=ABSENT),)) for n in range(10)]
        await asyncio.gather(*(run.write(plan, checkpoint={}, counts={"written": 1}) for plan in plans))

    id_ = await add(rooms)
    runner = runner_of(rooms, work)
    assert await state(rooms, id_, "done", "failed") == "done"
    await runner.stop()
    assert counts(await task(rooms, id_)) == {"written": 10}


async def test_write_whose_answer_was_lost_is_counted_once_and_not_undone_on_the_task(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.jobs.attempt.LONGEST_DELAY", 0.05)
    write = rooms.database.write

    async def deaf(plan: Plan) -> Any:
        await write(plan)
        monkeypatch.setattr(rooms.database, "write", write)
        raise Unavailable("not known", rule="outcome-unknown")

    async def work(run: Run) -> None:
        if not run.checkpoint:
            monkeypatch.setattr(rooms.database, "write", deaf)
            await run.write(checkpoint={"n": 1}, counts={"written": 1})

    id_ = await add(rooms)
    runner = runner_of(rooms, work)
    await state(rooms, id_, "done")
    await runner.stop()
    assert counts(await task(rooms, id_)) == {"written": 1}


async def test_output_of_other_people_is_no_count(rooms: Rooms) -> None:
    written = {"type": {"text": "steps"}, "valueString": "many"}

    async def work(run: Run) -> None:
        await run.write(counts={"steps": 2})

    id_ = await add(rooms, task={"output": [written]})
    runner = runner_of(rooms, work)
    assert await state(rooms, id_, "done", "failed") == "done"
    await runner.stop()
    found = await task(rooms, id_)
    assert (found["output"][0], counts(found)) == (written, {"steps": 2})
