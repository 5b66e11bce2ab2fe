"""A worker: the runner of jobs without the server."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.jobs import Rooms, Runner
from service.settings import Settings
from service.store.database import Database
from service.work import KINDS


def run(settings: Settings, definitions: Definitions, jobs: int, started: Callable[[], None]) -> None:
    """Works on `jobs` at once until SIGINT or SIGTERM, then gives its leases back. Raises CartFhirError."""
    asyncio.run(_run(settings, definitions, jobs, started))


async def _run(settings: Settings, definitions: Definitions, jobs: int, started: Callable[[], None]) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    database = await Database.open(settings, definitions)
    runner = Runner(Rooms(settings, definitions, database, Validator(definitions)), KINDS, jobs)
    try:
        runner.start()
        started()
        await stopped.wait()
    finally:
        await runner.stop()
        await database.close()
