"""kill -9 of workers while they synchronise with hospitals: every job done, everything there once, the counts right.

On PostgreSQL three workers beside a server that works on no jobs, on SQLite the one serving process. `make soak`
goes on for many rounds, `make test` for one; the numbers are printed with the result.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import time
from pathlib import Path

import pytest

from service.store.database import Database
from tests.jobs.processes import Hospital, Service, hospitals, task_of
from tests.jobs.running import counts

SOAK = bool(os.environ.get("CART_FHIR_SOAK"))
HOSPITALS = 20
ROUNDS, RESULTS, OURS = (8, 25, 3) if SOAK else (1, 6, 1)
KILLS = {"sqlite": 4 if SOAK else 2, "postgresql": 10 if SOAK else 2}  # in each round, at most
SECONDS = 240

pytestmark = pytest.mark.xdist_group("workers")


async def test_killed_workers_lose_nothing_and_do_nothing_twice(
    database_url: str, database: Database, prepared: Path
) -> None:
    seed = random.randrange(10**6)
    chance, killed, claims = random.Random(seed), 0, 0
    service = Service(database_url, prepared, workers=0 if database.sqlite else 3)
    try:
        with hospitals(HOSPITALS) as all_:
            service.start()
            async with service.http() as http:
                await asyncio.gather(*(one.connect(http) for one in all_))
            for _ in range(ROUNDS):
                async with service.http() as http:
                    await asyncio.gather(*(one.fill(http, RESULTS, OURS) for one in all_))
                    jobs = {await one.run(http): one for one in all_}
                killed += await killing(service, database, chance)
                claims += await ended(service, database, list(jobs))
                for id_, one in jobs.items():
                    await right(database, id_, one)
    finally:
        service.end()
    print(f"seed {seed}: {ROUNDS * HOSPITALS} jobs, {killed} kills, {claims} claims")
    assert killed
    assert claims > ROUNDS * HOSPITALS, "no kill has hit a job"


async def test_stopped_process_gives_its_jobs_back_at_once(
    database_url: str, database: Database, prepared: Path
) -> None:
    service = Service(database_url, prepared, workers=0 if database.sqlite else 1)
    try:
        service.start()
        with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections and never answers
            async with service.http() as http:
                given = {"base": f"http://127.0.0.1:{deaf.getsockname()[1]}/fhir", "patient_systems": ["urn:x"]}
                assert (await http.put("/sync/connections/deaf", json=given)).status_code == 200
                ordered = await http.post("/sync/connections/deaf/run")
            assert await worked_on(database)
            await asyncio.sleep(0.5)
            process = service.processes[-1]
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 30) == 0, service.logged()[-3000:]
    finally:
        service.end()
    job = await database.job(ordered.json()["job"])
    assert (job.state, job.attempts) == ("waiting", 0)


async def killing(service: Service, database: Database, chance: random.Random) -> int:
    """Kills while jobs are worked on, and starts anew; how often."""
    most = KILLS["sqlite" if database.sqlite else "postgresql"]
    for killed in range(most):
        if not await worked_on(database):
            return killed
        await asyncio.sleep(chance.uniform(0.05, 0.5))
        service.kill(chance.randrange(max(service.workers, 1)))
        await asyncio.to_thread(service.start)
    return most


async def worked_on(database: Database) -> bool:
    """Waits until a job is being worked on; False where none is left."""
    limit = time.monotonic() + SECONDS
    while await database.jobs(None, ("waiting", "running"), None, 1):
        now = time.time_ns() // 1000
        if any(job.until > now for job in await database.jobs(None, ("running",), None, 100)):
            return True
        assert time.monotonic() < limit, "nobody works"
        await asyncio.sleep(0.01)
    return False


async def ended(service: Service, database: Database, ids: list[str]) -> int:
    """Waits until all jobs have ended; how often they were claimed."""
    limit = time.monotonic() + SECONDS
    while living := await database.jobs(None, ("waiting", "running"), None, 1000):
        assert time.monotonic() < limit, f"{len(living)} jobs do not end: {service.logged()[-3000:]}"
        await asyncio.sleep(0.05)
    found = [await database.job(id_) for id_ in ids]
    assert [job.state for job in found] == ["done"] * len(ids), service.logged()[-3000:]
    return sum(job.token for job in found)


async def right(database: Database, id_: str, hospital: Hospital) -> None:
    """The Task of a run tells what it came to, and that is there."""
    await hospital.check(database)
    task = await task_of(database, id_)
    assert (task["status"], task.get("businessStatus")) == ("completed", None)
    assert counts(task)["created"] == RESULTS + OURS  # here and there
