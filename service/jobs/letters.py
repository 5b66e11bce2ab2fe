"""Dead letters: what could not be taken, kept byte by byte with the reasons until somebody replays or discards it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from service.errors import CartFhirError, Conflict, Issue, NotFound, operation_outcome
from service.fhir.json import decode, encode
from service.fhir.ledger import Note
from service.fhir.operations import Applied, Plan
from service.store.drafts import new_id

if TYPE_CHECKING:
    from service.jobs.kinds import Rooms

ROOM = "dead-letter"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`kind` says who can replay it, `source` where it came from (a connection), `place` what it is there.

    `issues` are OperationOutcome issues; `task` the reference to the run that gave it up.
    """

    id: str
    kind: str
    source: str
    place: str
    received: str
    content: bytes
    issues: list[dict[str, Any]]
    task: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Everything but the content."""
        named = ("id", "kind", "source", "place", "received", "task", "issues")
        return {name: getattr(self, name) for name in named if getattr(self, name) is not None}


Replay = Callable[["Rooms", DeadLetter], Awaitable[Plan]]


def letter(
    kind: str, source: str, place: str, content: bytes, issues: Sequence[Issue], task: str | None = None
) -> Note:
    """The note that keeps a new dead letter, for the plan of the step that gave it up."""
    received = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _note(DeadLetter(new_id(), kind, source, place, received, content, _listed(issues), task))


def _listed(issues: Sequence[Issue]) -> list[dict[str, Any]]:
    return operation_outcome(tuple(issues))["issue"]


def _note(one: DeadLetter) -> Note:
    content = b64encode(one.content).decode()
    return Note(ROOM, one.id, encode({**one.as_json(), "content": content}))


def _letter(content: bytes) -> DeadLetter:
    values = decode(content, 10_000)
    return DeadLetter(**{**values, "content": b64decode(values["content"])})


async def listed(rooms: Rooms, after: str = "", count: int = 50) -> list[DeadLetter]:
    """Dead letters, the oldest first, those behind the id `after`."""
    return [_letter(content) for _, content in await rooms.database.notes(ROOM, after=after, count=count)]


async def find(rooms: Rooms, id_: str) -> DeadLetter:
    """One dead letter. Raises NotFound."""
    return _letter(await _kept(rooms, id_))


async def discard(rooms: Rooms, id_: str) -> None:
    """Throws a dead letter away. Raises NotFound."""
    kept = await _kept(rooms, id_)
    await rooms.database.write(Plan((), notes=(Note(ROOM, id_, None, kept),)))


async def replay(rooms: Rooms, replays: Mapping[str, Replay], id_: str) -> tuple[Applied, ...]:
    """Takes the letter as if it came now; it is gone in the same transaction in which its content is written.

    Raises NotFound, or what is still against it: that is then kept with the letter instead of what it was before.
    """
    kept = await _kept(rooms, id_)
    one = _letter(kept)
    if one.kind not in replays:
        raise NotFound(f"Nothing here can replay a dead letter of the kind {one.kind}", rule="unknown-letter")
    try:
        plan = await replays[one.kind](rooms, one)
        return await rooms.database.write(replace(plan, notes=(*plan.notes, Note(ROOM, id_, None, kept))))
    except CartFhirError as error:
        if error.status < 500 and error.issues[0].rule != "note-changed":
            still = _note(replace(one, issues=_listed(error.issues)))
            with suppress(Conflict):  # somebody else has replayed or discarded it
                await rooms.database.write(Plan((), notes=(Note(ROOM, id_, still.content, kept),)))
        raise


async def _kept(rooms: Rooms, id_: str) -> bytes:
    content = await rooms.database.note(ROOM, id_)
    if content is None:
        raise NotFound(f"There is no dead letter {id_}", rule="unknown-letter")
    return content
