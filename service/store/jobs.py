"""Jobs: rows that workers lease. What becomes of a job is written by the plan that did its work.

A lease is taken beside the write door, since it is a lock and no data: it waits for no group of writes, and of several
processes on PostgreSQL each takes another job (SKIP LOCKED). A step of a worker that has lost its lease fails with its
whole plan, so a job that two believe to have is still done once.

Jobs stay when they are done, as their Tasks do; the index by which work is found leads past them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from service.errors import Conflict, NotFound
from service.fhir.ledger import Command, Enqueue, Job, JobStep, Lease, Step
from service.store.drafts import Prepared
from service.store.engine import Connection

COLUMNS = (
    "id",
    "kind",
    "state",
    "due",
    "token",
    "until",
    "attempts",
    "created",
    "changed",
    "input",
    "checkpoint",
    "alone",
)
LIVING = frozenset({"waiting", "running"})
ENDED = frozenset({"failed", "cancelled"})
LONGEST_LEASE = 3600.0  # seconds
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM job"
_CHANGED = tuple(name for name in COLUMNS if name not in ("id", "kind", "created", "input", "alone"))


class Jobs:
    """The jobs of one write transaction. `now` in microseconds since 1970."""

    def __init__(self, connection: Connection, now: int) -> None:
        self.connection, self.now = connection, now
        self._jobs: dict[str, Job | None] = {}
        self._new: dict[str, Job] = {}
        self._changed: dict[str, Job] = {}

    def load(self, group: Iterable[Prepared]) -> None:
        """Looks up at once the jobs that the plans speak of."""
        self._load(step.lease.id if isinstance(step, Step) else step.id for one in group for step in one.plan.jobs)

    def _load(self, ids: Iterable[str]) -> None:
        wanted = dict.fromkeys(ids)
        self._jobs.update(wanted)
        for id_ in wanted:
            locked = "" if self.connection.sqlite else " FOR UPDATE"  # no other worker takes it before the commit
            for row in self.connection.rows(f"{_SELECT} WHERE id = ?{locked}", (id_,)):
                self._jobs[id_] = _job(row)

    def staged(self, steps: Sequence[JobStep]) -> dict[str, Job]:
        """What the steps make of their jobs. Raises Conflict or NotFound; nothing is changed yet."""
        staged: dict[str, Job] = {}
        for step in steps:
            id_ = step.lease.id if isinstance(step, Step) else step.id
            if id_ not in self._jobs:
                self._load((id_,))
            before = staged.get(id_) or self._jobs[id_]
            if isinstance(step, Enqueue):
                if before is None:
                    self._refuse_another(step.alone, staged)
                    staged[id_] = Job(
                        id_, step.kind, "waiting", step.due, 0, 0, 0, self.now, self.now, step.input, None, step.alone
                    )
            elif before is None:
                raise NotFound(f"There is no job {id_}", rule="unknown-job")
            else:
                staged[id_] = (
                    self._stepped(before, step) if isinstance(step, Step) else self._commanded(before, step, staged)
                )
        return staged

    def _stepped(self, job: Job, step: Step) -> Job:
        if job.state != "running" or job.token != step.lease.token:
            rule = "job-cancelled" if job.state == "cancelled" else "lease-lost"
            raise Conflict("The job is no longer this worker's", rule=rule)
        checkpoint = job.checkpoint if step.checkpoint is None else step.checkpoint
        return replace(
            job, state=step.state, checkpoint=checkpoint, due=step.due, attempts=step.attempts, changed=self.now
        )

    def _commanded(self, job: Job, command: Command, staged: dict[str, Job]) -> Job:
        if command.action == "cancel":
            if job.state not in LIVING:
                raise Conflict(f"The job is {job.state} and cannot be cancelled", rule="job-state")
            return replace(job, state="cancelled", changed=self.now)
        if job.state not in ENDED:
            raise Conflict(
                f"The job is {job.state}; only a failed or cancelled one can be tried again", rule="job-state"
            )
        self._refuse_another(job.alone, staged)
        return replace(job, state="waiting", due=0, attempts=0, changed=self.now)

    def _refuse_another(self, alone: str | None, staged: dict[str, Job]) -> None:
        """Raises Conflict where a living job already stands for `alone`."""
        if alone is None:
            return
        rows = self.connection.rows("SELECT id FROM job WHERE alone = ? AND state IN ('waiting', 'running')", (alone,))
        pending = {**self._new, **self._changed, **staged}
        living = [id_ for (id_,) in rows if id_ not in pending or pending[id_].state in LIVING]
        living += [job.id for job in pending.values() if job.alone == alone and job.state in LIVING]
        if living:
            text = f"The job {living[0]} does the same and is not done yet"
            raise Conflict(text, code="duplicate", rule="job-under-way")

    def keep(self, staged: dict[str, Job]) -> None:
        """Takes the jobs of a plan that succeeded."""
        for id_, job in staged.items():
            (self._new if self._jobs[id_] is None or id_ in self._new else self._changed)[id_] = job
            self._jobs[id_] = job

    def flush(self) -> int:
        """Writes what changed; returns how many."""
        new = [tuple(getattr(job, name) for name in COLUMNS) for job in self._new.values()]
        changed = [(*(getattr(job, name) for name in _CHANGED), job.id) for job in self._changed.values()]
        text = f"UPDATE job SET {', '.join(f'{name} = ?' for name in _CHANGED)} WHERE id = ?"
        self.connection.many(text, changed)  # first, so that a new one may take the place of one that ends now
        self.connection.insert("job", COLUMNS, new)
        self._new.clear()
        self._changed.clear()
        return len(new) + len(changed)


def claim(connection: Connection, kinds: Sequence[str], seconds: float) -> Job | None:
    """Leases a job whose worker is gone, else the one that is due for longest; None where there is none.

    That the last worker came to nothing counts as an attempt, so that a job that kills its workers ends, too.
    """
    lost, due = (f"{text} LIMIT 1{_unlocked(connection)}" for text in _claimable(connection, kinds))
    text = (
        "UPDATE job SET attempts = CASE state WHEN 'running' THEN attempts + 1 ELSE attempts END, state = 'running', "
        f"token = token + 1, until = {_clock(connection)} + ? WHERE id = coalesce(({lost}), ({due})) "
        f"RETURNING {', '.join(COLUMNS)}"
    )
    rows = connection.apart(text, (_length(seconds), *kinds, *kinds))
    return _job(rows[0]) if rows else None


def is_due(connection: Connection, kinds: Sequence[str]) -> bool:
    """Whether there is a job to claim, by the clock of the database."""
    lost, due = _claimable(connection, kinds)
    rows = connection.rows(f"SELECT coalesce(({lost} LIMIT 1), ({due} LIMIT 1)) IS NOT NULL", (*kinds, *kinds))
    return bool(rows[0][0])


def _claimable(connection: Connection, kinds: Sequence[str]) -> tuple[str, str]:
    """The ids of jobs that have lost their worker, and of those that are due, in the order in which they are taken.

    A lease that ends later than any can is from before the clock was set back.
    """
    clock, of_kinds = _clock(connection), f"kind IN ({', '.join('?' * len(kinds))})"
    ended = f"(until < {clock} OR until > {clock} + {_length(LONGEST_LEASE)})"
    return (
        f"SELECT id FROM job WHERE state = 'running' AND {of_kinds} AND {ended} ORDER BY due, created",
        f"SELECT id FROM job WHERE state = 'waiting' AND {of_kinds} AND due <= {clock} ORDER BY due, created",
    )


def renew(connection: Connection, lease: Lease, seconds: float) -> bool:
    """Makes a lease longer; False where it is lost.

    One whose job is being written to at this moment still holds and is left as it is: the wait for the end of that
    transaction would let other leases run out.
    """
    held = "SELECT id FROM job WHERE id = ? AND token = ? AND state = 'running'"
    text = f"UPDATE job SET until = {_clock(connection)} + ? WHERE id = ({held}{_unlocked(connection)}) RETURNING id"
    values = (lease.id, lease.token)
    return bool(connection.apart(text, (_length(seconds), *values)) or connection.apart(held, values))


def _length(seconds: float) -> int:
    return int(min(seconds, LONGEST_LEASE) * 1_000_000)


def _unlocked(connection: Connection) -> str:
    return "" if connection.sqlite else " FOR UPDATE SKIP LOCKED"


def find(connection: Connection, id_: str) -> Job:
    """One job. Raises NotFound."""
    rows = connection.rows(f"{_SELECT} WHERE id = ?", (id_,))
    if not rows:
        raise NotFound(f"There is no job {id_}", rule="unknown-job")
    return _job(rows[0])


def listed(
    connection: Connection, kind: str | None, states: Sequence[str], before: tuple[int, str] | None, count: int
) -> list[Job]:
    """Jobs, the newest first, those that stand behind `before` (created, id)."""
    where, values = ["1 = 1"], list[object]()
    if kind is not None:
        where.append("kind = ?")
        values.append(kind)
    if states:
        where.append(f"state IN ({', '.join('?' * len(states))})")
        values += states
    if before is not None:
        where.append("(created, id) < (?, ?)")
        values += before
    text = f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY created DESC, id DESC LIMIT ?"
    return [_job(row) for row in connection.rows(text, (*values, count))]


def _clock(connection: Connection) -> str:
    """Microseconds since 1970 as SQL, read when the statement runs: on PostgreSQL its own, one for all processes."""
    if connection.sqlite:
        return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"
    return "(extract(epoch FROM statement_timestamp()) * 1000000)::bigint"


def _job(row: Sequence[object]) -> Job:
    values = dict(zip(COLUMNS, row, strict=True))
    for name in ("input", "checkpoint"):
        if values[name] is not None:
            values[name] = bytes(values[name])  # type: ignore[call-overload]
    return Job(**values)  # type: ignore[arg-type]
