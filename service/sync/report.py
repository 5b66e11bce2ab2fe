"""The Task of a pull or push: counts and issues, written with what they speak of; none where nothing happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from service.errors import Issue
from service.fhir.ledger import Note
from service.fhir.operations import Applied, Plan, Update
from service.jobs import Run
from service.jobs.tasks import KINDS, Progress, task_of
from service.store.drafts import new_id
from service.sync.connections import endpoint_id

ROOM = "push-run"
KIND = "sync-push"


class Report:
    """Writes plans of a run. A job without a Task gets one for the push, once there is something to tell.

    `kind` is what the Task is about, and `room` where its id is kept while it is open.
    """

    def __init__(self, run: Run, connection: str, kind: str = KIND, room: str = ROOM) -> None:
        self.run, self.connection, self.kind, self.room = run, connection, kind, room
        self.counts: dict[str, int] = {}
        self._progress: Progress | None = None

    async def begin(self) -> None:
        """Goes on with the Task of a push that was broken off."""
        open_ = await self.run.rooms.database.note(self.room, self.connection)
        task = await task_of(self.run.rooms.database, open_.decode()) if open_ is not None else None
        self._progress = Progress(task) if task is not None else None

    async def write(
        self,
        plan: Plan = Plan(()),
        counts: Mapping[str, int] | None = None,
        issues: Sequence[Issue] = (),
        progressed: bool = True,
    ) -> tuple[Applied, ...]:
        """Applies a plan with what it comes to. Raises what `Run.write` raises.

        `progressed` False: the job is no further for it, so that it does not try for ever.
        """
        counts = {name: count for name, count in (counts or {}).items() if count}
        checkpoint = dict(self.run.checkpoint) if progressed else None
        if self.run.progress is not None:
            written = await self.run.write(plan, checkpoint=checkpoint, counts=counts, issues=issues)
        elif counts or issues:
            progress = (self._progress or self._new()).counted(counts).told(issues)
            task = Update(progress.now("in-progress"))
            note = Note(self.room, self.connection, progress.task["id"].encode())
            whole = replace(plan, operations=(*plan.operations, task), notes=(*plan.notes, note))
            written = (await self.run.write(whole, checkpoint=checkpoint))[: len(plan.operations)]
            self._progress = progress
        else:
            written = await self.run.write(plan, checkpoint=checkpoint)
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        return written

    async def end(self) -> None:
        """Ends the Task of the push, where it has one of its own."""
        if self._progress is None:
            return
        business = "partial" if self.run.partial else None
        done = Update(self._progress.now("completed", business=business))
        await self.run.write(Plan((done,), notes=(Note(self.room, self.connection, None),)))
        self._progress = None

    def _new(self) -> Progress:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Progress(
            {
                "resourceType": "Task",
                "id": new_id(),
                "status": "in-progress",
                "intent": "order",
                "code": {"coding": [{"system": KINDS, "code": self.kind}]},
                "focus": {"reference": f"Endpoint/{endpoint_id(self.connection)}"},
                "description": f"{'Push to' if self.kind == KIND else 'Pull from'} {self.connection}",
                "authoredOn": now,
            }
        )
