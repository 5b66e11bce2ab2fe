"""One run of a job, as its work sees it: what it was given, how far it had come, and the way to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from service.errors import Issue, PreconditionFailed
from service.fhir.json import decode, encode
from service.fhir.ledger import Job, Step
from service.fhir.operations import Applied, Plan, Update
from service.jobs.tasks import Progress, task_of, version_of

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
        attempts = self.job.attempts if checkpoint is None and not self.progressed else 0
        step = Step(self.job.lease, "running", None if checkpoint is None else encode(dict(checkpoint)), 0, attempts)
        applied = await self._write(replace(plan, jobs=(*plan.jobs, step)), counts or {}, issues)
        if checkpoint is not None:
            self.progressed, self.checkpoint = True, dict(checkpoint)
        return applied[: len(plan.operations)]

    async def _write(self, plan: Plan, counts: Mapping[str, int], issues: Sequence[Issue]) -> tuple[Applied, ...]:
        """The plan, with the progress where there is some; again where somebody else wrote on the Task meanwhile."""
        while self.progress is not None and (counts or issues or not self.progressed):
            before = self.progress.task
            task = self.progress.counted(counts).told(issues).now("in-progress")
            operations = (*plan.operations, Update(task, if_match=version_of(before)))
            places = (*plan.places, "Task") if plan.places else ()
            try:
                applied = await self.rooms.database.write(replace(plan, operations=operations, places=places))
            except PreconditionFailed:
                now = await task_of(self.rooms.database, self.job.id)
                if now is not None and version_of(now) == version_of(before):
                    raise  # a condition of the plan
                self.progress = Progress(now) if now is not None else None
                continue
            stored = applied[len(plan.operations)].stored
            if stored is not None:
                self.progress = Progress({**task, "meta": {**before["meta"], "versionId": str(stored.version)}})
            return applied
        return await self.rooms.database.write(plan)

    async def park(self, until: datetime, reason: str, quiet: bool = False) -> NoReturn:
        """Ends this run; the job goes on from its checkpoint at `until`."""
        raise Parked(until, reason, quiet)
