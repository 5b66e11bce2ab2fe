"""Writes what a page came to: the whole page in one plan, or, where that is refused, each resource by itself.

Whatever happens, the checkpoint goes on in the plan that writes the last of the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.errors import CartFhirError, Conflict, Issue
from service.fhir.json import decode
from service.fhir.ledger import Note
from service.fhir.operations import Delete, Plan, Update
from service.jobs import Run
from service.sync import peers, worklist
from service.sync.candidate import Batch, Candidate, as_sent, plan_of
from service.sync.conflicts import settle
from service.sync.connections import Connection
from service.sync.intake import Intake
from service.sync.origin import provenance
from service.sync.report import Report
from service.sync.worklist import Item

QUIET = ("unchanged", "waiting", "people", "refused")
LOST = frozenset({"lease-lost", "job-cancelled", "note-changed", "job-state"})


class Keeper:
    """Writes the pages of one run; `name` tells the run from others."""

    def __init__(self, run: Run, connection: Connection, intake: Intake, report: Report, name: str) -> None:
        self.run, self.connection, self.intake, self.report, self.name = run, connection, intake, report, name

    async def keep(
        self,
        batch: Batch,
        checkpoint: Mapping[str, Any],
        *,
        url: str,
        request_id: str = "",
        raw: bytes = b"",
        notes: Sequence[Note] = (),
        issues: Sequence[Issue] = (),
    ) -> None:
        """Writes a batch with its Provenance, `notes` and the checkpoint. `url` is the search that was answered.

        Raises what `Run.write` raises where the store is away or the job is another's.
        """
        for one in batch.diverged:
            await self._settle(one, raw, batch)
        page = plan_of(self.connection.name, batch.candidates)
        rest = [*batch.decided.operations, *self._provenance(batch.written(), url, request_id)]
        whole = Plan((*page.operations, *rest), notes=(*page.notes, *batch.decided.notes, *notes), beside=page.beside)
        try:
            await self._write(whole, checkpoint, batch, issues)
        except CartFhirError as error:
            if not _is_of_the_data(error) or not page.operations:
                raise
            await self._singly(batch, raw, url, request_id)
            page = plan_of(self.connection.name, [one for one in batch.candidates if one.operation is None])
            last = Plan(tuple(batch.decided.operations), notes=(*page.notes, *batch.decided.notes, *notes))
            await self._write(last, checkpoint, batch, issues)

    async def _write(self, plan: Plan, checkpoint: Mapping[str, Any], batch: Batch, issues: Sequence[Issue]) -> None:
        before, self.run.checkpoint = self.run.checkpoint, dict(checkpoint)
        counts = {**batch.counts}
        for name, count in batch.decided.counts.items():
            counts[name] = counts.get(name, 0) + count
        told = _telling(counts)
        try:
            await self.report.write(plan, told, [*batch.issues, *issues])
        except BaseException:
            self.run.checkpoint = before
            raise

    def _provenance(self, written: Sequence[str], url: str, request_id: str) -> list[Update]:
        return [Update(provenance(self.connection, url, request_id, written, self.name))] if written else []

    async def _singly(self, batch: Batch, raw: bytes, url: str, request_id: str) -> None:
        """Each resource in a plan of its own; those that refer to others of the page after them."""
        left = [one for one in batch.candidates if one.operation is not None]
        kept = [one for one in batch.candidates if one.operation is None]
        progress = True
        while left and progress:
            progress, waiting = False, []
            for one in left:
                error = await self._alone(one, url, request_id)
                if error is None:
                    progress = True
                    kept.append(one)
                elif _rule(error) == "unresolved-reference":
                    waiting.append(one)
                else:
                    await self._failed(one, error, raw, batch)
            left = waiting
        for one in left:
            await self.intake.detach(one)
            error = await self._alone(one, url, request_id)
            if error is None:
                kept.append(one)
            else:
                await self._failed(one, error, raw, batch)
        batch.candidates = kept

    async def _alone(self, one: Candidate, url: str, request_id: str) -> CartFhirError | None:
        assert one.peer is not None
        plan = plan_of(self.connection.name, [one])
        said = provenance(self.connection, url, request_id, [one.peer.local], f"{self.name}/{one.remote}")
        try:
            await self.run.write(replace(plan, operations=(*plan.operations, Update(said))))
        except CartFhirError as error:
            if not _is_of_the_data(error):
                raise
            return error
        return None

    async def _failed(self, one: Candidate, error: CartFhirError, raw: bytes, batch: Batch) -> None:
        """What becomes of a resource that the store refuses."""
        if not isinstance(one.operation, Delete):
            batch.counts["created" if one.before is None else "updated"] -= 1
        mismatch = _rule(error) == "version-mismatch"
        now = await peers.peer(self.run.rooms.database, self.connection.name, one.remote) if mismatch else None
        if now is not None and (now.remote_hash, now.deleted) == (one.hash, isinstance(one.operation, Delete)):
            batch.count("unchanged")  # another run took it meanwhile
        elif isinstance(one.operation, Delete):
            kind = worklist.REFERENCED if _rule(error) == "referenced" else worklist.CHANGED
            batch.count("not-deleted")
            await self._open(Item(kind, one.remote, 1, focus=one.before.local if one.before else None), batch)
        elif now is not None and not now.deleted:
            one.before = now
            await self._settle(one, raw, batch)
        else:
            await self.intake.refuse(one, error.issues, raw, batch)

    async def _open(self, item: Item, batch: Batch) -> None:
        database = self.run.rooms.database
        updates, notes = await worklist.opened(database, self.connection.name, [item], again=False)
        batch.decided.operations += updates
        batch.decided.notes += notes

    async def _settle(self, one: Candidate, raw: bytes, batch: Batch) -> None:
        """What was changed here and there: merged, or put before a person."""
        assert one.before is not None
        sent = decode(as_sent(one, raw), 10_000)
        settled = await settle(
            self.run.rooms,
            self.connection.name,
            one.remote,
            one.before,
            sent,
            one.resource,
            self.connection.push_corrections,
        )
        await self.run.write(Plan(settled.operations, notes=settled.notes))
        batch.count("unchanged" if settled.outcome == "same" else settled.outcome)


def _rule(error: CartFhirError) -> str | None:
    return error.issues[0].rule


def _is_of_the_data(error: CartFhirError) -> bool:
    """Whether it is the data that the store refuses, not the run that has ended or the store that is away."""
    lost = isinstance(error, Conflict) and any(issue.rule in LOST for issue in error.issues)
    return error.status < 500 and not lost


def _telling(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts of a page that the Task tells with it: what is only looked at, is told when the run ends."""
    return {name: count for name, count in counts.items() if name not in QUIET}


def quiet(counts: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """The counts that are told at the end, with those of the pages before."""
    return {name: counts.get(name, 0) + before.get(name, 0) for name in QUIET if name in counts or name in before}
