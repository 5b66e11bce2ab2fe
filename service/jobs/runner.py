"""The runner of one process: claims jobs that are due and works on several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from service.errors import Unavailable
from service.fhir.ledger import Job
from service.jobs.attempt import GRACE, Attempt
from service.jobs.kinds import Kind, Rooms

POLL = 0.25  # seconds between two looks for work
log = structlog.get_logger()


class Runner:
    """Works on jobs of these kinds, `workers` at a time, from `start` to `stop`; it is started once."""

    def __init__(self, rooms: Rooms, kinds: Sequence[Kind], workers: int = 4) -> None:
        self.rooms, self.workers = rooms, workers
        self.kinds = {kind.name: kind for kind in kinds}
        self._lease = min((kind.lease for kind in kinds), default=30.0)
        self._working: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        self._stopping, self._free = asyncio.Event(), asyncio.Event()

    def start(self) -> None:
        """Begins to look for work."""
        self._loop = asyncio.create_task(self.run(), name="cart-fhir-jobs")

    async def stop(self) -> None:
        """Looks for no more work, breaks off what is under way and gives its leases back."""
        self._stopping.set()
        self._free.set()
        await _ended({self._loop} if self._loop is not None else set())
        await _ended(set(self._working))

    async def run(self) -> None:
        """Looks for work until it is stopped; a database that is away is asked again."""
        while self.kinds and not self._stopping.is_set():
            self._free.clear()
            try:
                await self._take()
            except Unavailable:
                pass
            except Exception as error:
                log.error("jobs not looked for", error=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._free.wait(), POLL)

    async def _take(self) -> None:
        """Begins to work on what is due, as long as there is room for it."""
        names = tuple(self.kinds)
        while len(self._working) < self.workers and not self._stopping.is_set():
            # Most looks find nothing due and change nothing.
            if not await self.rooms.database.is_due(names):
                return
            job = await self.rooms.database.claim(names, self._lease)
            if job is None:
                return
            task = asyncio.create_task(self._work(job), name=f"cart-fhir-job-{job.id}")
            self._working.add(task)
            task.add_done_callback(self._finished)

    async def _work(self, job: Job) -> None:
        attempt = Attempt(self.rooms, self.kinds[job.kind], job, self._lease, self._stopping)
        try:
            await attempt.make()
        except Exception as error:
            log.error("job not noted", job=job.id, kind=job.kind, error=type(error).__name__)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._free.set()


async def _ended(tasks: set[asyncio.Task[None]]) -> None:
    """Waits for them, and cancels those that take too long."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=2 * GRACE)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
