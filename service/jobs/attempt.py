"""One attempt at a job: its work, the lease that is renewed meanwhile, and how it ended."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from service.errors import CartFhirError, Internal, Later, Unavailable, Upstream
from service.fhir.dates import micros
from service.fhir.ledger import Job, Step
from service.fhir.operations import Plan, Update
from service.jobs.kinds import Kind, Rooms
from service.jobs.run import Parked, Run
from service.jobs.tasks import Progress, task_of, version_of

LONGEST_DELAY = 3600.0  # seconds before a job that failed is tried again
AGAIN = 1.0  # seconds before a database that is away is asked again, and a server that asks to wait at least
GRACE = 5.0  # seconds in which work that is broken off has to end
GONE = frozenset({"lease-lost", "job-cancelled"})
OVERTAKEN = frozenset({"note-changed", "version-mismatch"})  # something else was written meanwhile
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended: the job's state and what its Task says; no `status`: the Task stays as it is."""

    state: str
    status: str | None
    reason: str | None = None
    business: str | None = None
    until: datetime | None = None
    attempts: int = 0
    error: CartFhirError | None = None


class Attempt:
    """Works on `job`, claimed just now for `lease` seconds, until it ends, the lease is lost or `stopping` is set."""

    def __init__(self, rooms: Rooms, kind: Kind, job: Job, lease: float, stopping: asyncio.Event) -> None:
        self.rooms, self.kind, self.job, self.lease, self.stopping = rooms, kind, job, lease, stopping
        self._until = time.monotonic() + lease
        self._run: Run | None = None

    async def make(self) -> None:
        """Returns when the end is noted, or nothing can be noted any more."""
        works, lost, stop = (self._task(one) for one in (self._work(), self._hold(), self.stopping.wait()))
        try:
            await asyncio.wait({works, lost, stop}, return_when=asyncio.FIRST_COMPLETED)
            end = works.result() if works.done() and not works.cancelled() else await self._broken_off(works)
            while end is not None and not lost.done() and not await self._noted(end):
                if stop.done():
                    break
                await asyncio.wait({lost, stop}, timeout=AGAIN, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (works, lost, stop):
                one.cancel()

    def _task(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return asyncio.create_task(work, name=f"cart-fhir-job-{self.job.id}")

    async def _broken_off(self, work: asyncio.Task[Any]) -> End | None:
        """The job waits for its next worker, whatever the work says now; None where it does not stop."""
        if work.cancelled():
            return self._failed(Internal("The job was broken off inside the service"))
        work.cancel()
        await asyncio.wait({work}, timeout=GRACE)
        if not work.done():
            log.error("job does not stop", job=self.job.id, kind=self.kind.name)
            return None
        return End("waiting", None, attempts=self._attempts)

    async def _hold(self) -> None:
        """Renews the lease; returns when it is lost."""
        pause = self.lease / 3
        while (left := self._until - time.monotonic()) > 0:
            await asyncio.sleep(min(pause, left))
            asked, pause = time.monotonic(), self.lease / 3
            try:
                async with asyncio.timeout(max(self._until - asked, AGAIN)):
                    if not await self.rooms.database.renew(self.job.lease, self.lease):
                        return
                self._until = asked + self.lease
            except (CartFhirError, TimeoutError):
                pause = min(pause, AGAIN)

    @property
    def _attempts(self) -> int:
        """How often in a row the job came no further, without this attempt."""
        return 0 if self._run is not None and self._run.progressed else self.job.attempts

    async def _work(self) -> End | None:
        """How the work ended; None where the job is no longer this worker's."""
        try:
            if self.job.attempts >= self.kind.attempts:
                text = f"The job failed inside the service: {self.job.attempts} times its worker came to nothing"
                return End("failed", "failed", text, attempts=self.job.attempts, error=Internal(text))
            self._run = run = Run(self.rooms, self.job, await task_of(self.rooms.database, self.job.id))
            await self.kind.work(run)
        except Parked as parked:
            return End("waiting", None if parked.quiet else "on-hold", parked.reason, until=parked.until)
        except Later as error:
            until = max(error.until, _in(AGAIN))
            return End("waiting", "on-hold", str(error), until=until, attempts=self._attempts)
        except CartFhirError as error:
            return None if error.issues[0].rule in GONE else self._failed(error)
        except Exception as error:
            frames = [f"{one.filename}:{one.lineno} {one.name}" for one in traceback.extract_tb(error.__traceback__)]
            name = type(error).__name__  # its text may hold a patient's data
            log.error("job failed", job=self.job.id, kind=self.kind.name, error=name, frames=frames[-12:])
            return self._failed(Internal(f"The job failed inside the service ({name})"))
        return End("done", "completed", business="partial" if run.partial else None)

    def _failed(self, error: CartFhirError) -> End:
        """Tried again later where that may help, with full jitter between the attempts, else failed for good."""
        attempts = self._attempts + 1
        helps = error.transient if isinstance(error, Upstream) else error.status >= 500 or _rule(error) in OVERTAKEN
        if not helps or attempts >= self.kind.attempts:
            return End("failed", "failed", str(error), attempts=attempts, error=error)
        delay = min(LONGEST_DELAY, 2.0 ** min(attempts, 30)) * random.uniform(0.5, 1.0)
        return End("waiting", "on-hold", str(error), until=_in(delay), attempts=attempts)

    async def _noted(self, end: End) -> bool:
        """Writes how the run ended; False where that may be tried again."""
        due = micros(end.until) if end.until is not None else 0
        step = Step(self.job.lease, end.state, None, due, end.attempts)
        try:
            # Read anew: a write whose answer was lost may have counted, and people may have written on it.
            task = await task_of(self.rooms.database, self.job.id) if end.status is not None else None
            operations = (_told(task, end),) if task is not None else ()
            await self.rooms.database.write(Plan(operations, jobs=(step,)))
        except CartFhirError as error:
            rule = _rule(error)
            if isinstance(error, Unavailable) or rule in OVERTAKEN:
                return False
            if rule not in GONE:
                log.error("job not noted", job=self.job.id, rule=rule)
        return True


def _told(task: dict[str, Any], end: End) -> Update:
    progress = Progress(task).told(end.error.issues) if end.error is not None else Progress(task)
    return Update(progress.now(end.status or "", end.reason, end.business), if_match=version_of(task))


def _rule(error: CartFhirError) -> str | None:
    return error.issues[0].rule


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
