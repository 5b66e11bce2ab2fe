"""One run of a job, as its work sees it: what it was given, how far it had come, and the way to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from service.errors import Issue
from service.fhir.json import decode, encode
from service.fhir.ledger import Job, Step
from service.fhir.operations import Applied, Plan, Update
from service.jobs.tasks import Progress

if TYPE_CHECKING:
    from service.jobs.kinds import Rooms

NOTHING = Plan(())


class Parked(Exception):
    """Ends a run: the job goes on from its checkpoint at `until`, without a word on its Task where `quiet`."""

    def __init__(self, until: datetime, reason: str, quiet: bool = False) -> None:
        self.until, self.reason, self.quiet = until, reason, quiet
        super().__init__(reason)


class Run:
    """What `work` has in hand. `input` and `checkpoint` are JSON objects, the latter {} at first.

    `partial` set to True ends the Task as completed with the business status "partial".
    """

    def __init__(self, rooms: Rooms, job: Job, task: dict[str, Any] | None) -> None:
        self.rooms, self.job = rooms, job
        self.input: dict[str, Any] = decode(job.input, 10_000)
        self.checkpoint: dict[str, Any] = decode(job.checkpoint, 10_000) if job.checkpoint else {}
        self.partial = False
        self.progressed = False  # whether this run has come further than the one before
        self.progress = Progress(task) if task is not None else None

    @property
    def task(self) -> str | None:
        """The reference to the Task of the job; None for a quiet one."""
        return f"Task/{self.job.id}" if self.progress is not None else None

    async def write(
        self,
        plan: Plan = NOTHING,
        *,
        checkpoint: Mapping[str, Any] | None = None,
        counts: Mapping[str, int] | None = None,
        issues: Sequence[Issue] = (),
    ) -> tuple[Applied, ...]:
        """Applies the plan, the checkpoint and the progress together, if the job is still this run's.

        `counts` are added up by name on the Task, `issues` listed there. Returns the results of the plan. Raises what
        `Database.write` raises; Conflict `lease-lost` or `job-cancelled` must not be caught by the work.
        """
        progress = self.progress
        operations, places = plan.operations, plan.places
        if progress is not None and (counts or issues or not self.progressed):
            task = progress.counted(counts or {}).told(issues).now("in-progress")
            progress = Progress(task)
            operations = (*operations, Update(task))
            places = (*places, "Task") if places else ()
        attempts = self.job.attempts if checkpoint is None and not self.progressed else 0
        step = Step(self.job.lease, "running", None if checkpoint is None else encode(dict(checkpoint)), 0, attempts)
        whole = replace(plan, operations=operations, places=places, jobs=(*plan.jobs, step))
        applied = await self.rooms.database.write(whole)
        self.progress = progress
        if checkpoint is not None:
            self.progressed, self.checkpoint = True, dict(checkpoint)
        return applied[: len(plan.operations)]

    async def park(self, until: datetime, reason: str, quiet: bool = False) -> NoReturn:
        """Ends this run; the job goes on from its checkpoint at `until`."""
        raise Parked(until, reason, quiet)
