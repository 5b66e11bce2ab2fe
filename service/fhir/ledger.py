"""What a plan writes beside resources: notes, and jobs that outlive their process. All are values."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

STATES = ("waiting", "running", "done", "failed", "cancelled")  # of a job


class _Any:
    """Says of a Note that it may replace whatever is there."""

    def __repr__(self) -> str:
        return "ANY"


ANY = _Any()


class Note(msgspec.Struct, frozen=True):
    """What the service keeps of its own under (`room`, `key`), in the transaction of a plan: a cursor, a link.

    `content` None takes the note away. `if_is` is what must be there now (None: nothing), else a Conflict.
    """

    room: str
    key: str
    content: bytes | None
    if_is: bytes | _Any | None = ANY


class Lease(msgspec.Struct, frozen=True):
    """The right to work on a job, until somebody else was given it: then `token` is no longer the job's."""

    id: str
    token: int


class Enqueue(msgspec.Struct, frozen=True):
    """A new job of a `kind`; one whose `id` is known is left as it is. `due` in microseconds since 1970.

    A Conflict where another living job stands for the same `alone`.
    """

    id: str
    kind: str
    input: bytes
    due: int = 0
    alone: str | None = None


class Step(msgspec.Struct, frozen=True):
    """How far a job has come: a Conflict unless the lease holds. `state`: running · waiting · done · failed.

    `checkpoint` None leaves the one that is there; `due` is for a job that waits, `attempts` how often it failed.
    """

    lease: Lease
    state: str = "running"
    checkpoint: bytes | None = None
    due: int = 0
    attempts: int = 0


class Command(msgspec.Struct, frozen=True):
    """What a person does with a job: `cancel` one that lives, `retry` one that failed or was cancelled."""

    id: str
    action: str


JobStep = Enqueue | Step | Command


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is stored; times in microseconds since 1970.

    `state`: waiting · running · done · failed · cancelled. A running one whose `until` has passed has lost its worker.
    """

    id: str
    kind: str
    state: str
    due: int
    token: int
    until: int
    attempts: int
    created: int
    changed: int
    input: bytes
    checkpoint: bytes | None
    alone: str | None

    @property
    def lease(self) -> Lease:
        return Lease(self.id, self.token)
