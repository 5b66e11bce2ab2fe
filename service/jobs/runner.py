"""The runner of one process: claims jobs that are due, works on several at once, and notes how each ended."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from service.errors import CartFhirError, Conflict, Internal, Later, Unavailable, Upstream
from service.fhir.dates import micros
from service.fhir.ledger import Job, Step
from service.fhir.operations import Plan, Update
from service.jobs.kinds import Kind, Rooms
from service.jobs.run import Parked, Run
from service.jobs.tasks import task_of

POLL = 0.25  # seconds between two looks for work
LONGEST_DELAY = 3600.0  # seconds before a job that failed is tried again
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _End:
    """How a run ended: the job's state and what its Task says; no `status`: the Task stays as it is."""

    state: str
    status: str | None
    reason: str | None = None
    business: str | None = None
    until: datetime | None = None
    attempts: int = 0
    error: CartFhirError | None = None


class Runner:
    """Works on jobs of these kinds, `workers` at a time, from `start` to `stop`."""

    def __init__(self, rooms: Rooms, kinds: Sequence[Kind], workers: int = 4) -> None:
        self.rooms, self.workers = rooms, workers
        self.kinds = {kind.name: kind for kind in kinds}
        self._lease = min((kind.lease for kind in kinds), default=30.0)
        self._working: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to look for work."""
        self._loop = asyncio.create_task(self.run(), name="cart-fhir-jobs")

    async def stop(self) -> None:
        """Looks for no more work, breaks off what is under way and gives its leases back."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)

    async def run(self) -> None:
        """Looks for work until it is cancelled; a database that is away is asked again."""
        names = tuple(self.kinds)
        while names:
            with suppress(Unavailable):
                while len(self._working) < self.workers and (job := await self._next(names)) is not None:
                    task = asyncio.create_task(self._work(job), name=f"cart-fhir-job-{job.id}")
                    self._working.add(task)
                    task.add_done_callback(self._working.discard)
            await asyncio.sleep(POLL)

    async def _next(self, names: Sequence[str]) -> Job | None:
        """A claimed job. Most looks find nothing due and change nothing."""
        due = await self.rooms.database.next_due(names)
        if due is None or due > time.time_ns() // 1000:
            return None
        return await self.rooms.database.claim(names, self._lease)

    async def _work(self, job: Job) -> None:
        """One run of the job, its lease renewed meanwhile."""
        run = Run(self.rooms, job, await task_of(self.rooms.database, job.id))
        kind = self.kinds[job.kind]
        work = asyncio.ensure_future(kind.work(run))
        renewing = asyncio.create_task(self._renew(job, work))
        try:
            end = await self._ended(run, kind, work)
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            end = None if renewing.done() else _End("waiting", None, attempts=job.attempts)
        finally:
            renewing.cancel()
        if end is not None:
            await self._note(run, end)

    async def _renew(self, job: Job, work: asyncio.Future[None]) -> None:
        """Renews the lease until it is lost; then the work stops."""
        until = time.monotonic() + self._lease
        while time.monotonic() < until:
            await asyncio.sleep(self._lease / 3)
            with suppress(Unavailable):
                if not await self.rooms.database.renew(job.lease, self._lease):
                    break
                until = time.monotonic() + self._lease
        work.cancel()

    async def _ended(self, run: Run, kind: Kind, work: asyncio.Future[None]) -> _End | None:
        """How the work ended; None where the job is no longer this worker's."""
        try:
            await work
        except Parked as parked:
            status = None if parked.quiet else "on-hold"
            return _End("waiting", status, parked.reason, until=parked.until)
        except Later as error:
            return _End("waiting", "on-hold", str(error), until=error.until, attempts=run.job.attempts)
        except CartFhirError as error:
            if isinstance(error, Conflict) and error.issues[0].rule in ("lease-lost", "job-cancelled"):
                return None
            return self._failed(run, kind, error)
        except Exception as error:
            frames = [f"{one.filename}:{one.lineno} {one.name}" for one in traceback.extract_tb(error.__traceback__)]
            log.error("job failed", job=run.job.id, kind=kind.name, error=type(error).__name__, frames=frames[-12:])
            return self._failed(run, kind, Internal(f"The job failed inside the service ({type(error).__name__})"))
        return _End("done", "completed", business="partial" if run.partial else None)

    def _failed(self, run: Run, kind: Kind, error: CartFhirError) -> _End:
        """Tried again later where that may help, with full jitter between the attempts, else failed for good."""
        attempts = (0 if run.progressed else run.job.attempts) + 1
        helps = error.transient if isinstance(error, Upstream) else error.status >= 500
        if not helps or attempts >= kind.attempts:
            return _End("failed", "failed", str(error), attempts=attempts, error=error)
        delay = min(LONGEST_DELAY, 2.0**attempts) * random.uniform(0.5, 1.0)
        return _End("waiting", "on-hold", str(error), until=_in(delay), attempts=attempts)

    async def _note(self, run: Run, end: _End) -> None:
        """Writes how the run ended; where that cannot be written, the lease ends and the job is run again."""
        operations = ()
        if run.progress is not None and end.status is not None:
            progress = run.progress.told(end.error.issues) if end.error is not None else run.progress
            operations = (Update(progress.now(end.status, end.reason, end.business)),)
        due = micros(end.until) if end.until is not None else 0
        step = Step(run.job.lease, end.state, None, due, end.attempts)
        try:
            await self.rooms.database.write(Plan(operations, jobs=(step,)))
        except CartFhirError as error:
            log.warning("job not noted", job=run.job.id, rule=error.issues[0].rule)


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
