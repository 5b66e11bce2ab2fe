"""Notes: what the service keeps of its own under (room, key), written in the transaction of the plan that it is of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from service.errors import Conflict
from service.fhir.ledger import ANY, Note
from service.store.drafts import Prepared
from service.store.engine import Connection

UPSERT = (
    "INSERT INTO note (room, key, content) VALUES (?, ?, ?) "
    "ON CONFLICT (room, key) DO UPDATE SET content = excluded.content"
)


class Notes:
    """The notes of one write transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._known: dict[tuple[str, str], bytes | None] = {}
        self._changed: dict[tuple[str, str], bytes | None] = {}

    def load(self, group: Iterable[Prepared]) -> None:
        """Looks up at once all that the plans have conditions on."""
        rooms: dict[str, dict[str, None]] = {}
        for prepared in group:
            for note in prepared.plan.notes:
                if note.if_is is not ANY:
                    rooms.setdefault(note.room, {})[note.key] = None
        for room, keys in rooms.items():
            self._load(room, keys)

    def _load(self, room: str, keys: Iterable[str]) -> None:
        self._known.update({(room, key): None for key in keys})
        for key, content in self.connection.among(
            "SELECT key, content FROM note WHERE room = ? AND key IN", (room,), keys
        ):
            self._known[room, key] = bytes(content)

    def check(self, notes: Sequence[Note]) -> None:
        """Raises Conflict for a note that is not what the plan takes it for."""
        for note in notes:
            if note.if_is is ANY:
                continue
            place = (note.room, note.key)
            if place not in self._changed and place not in self._known:
                self._load(note.room, (note.key,))
            if self._changed.get(place, self._known.get(place)) != note.if_is:
                text = f"What is kept as {note.room} has changed meanwhile"
                raise Conflict(text, rule="note-changed")

    def keep(self, notes: Sequence[Note]) -> None:
        """Takes the notes of a plan that succeeded."""
        self._changed.update({(note.room, note.key): note.content for note in notes})

    def flush(self) -> int:
        """Writes what changed; returns how many."""
        changed = sorted(self._changed.items())  # always in one order
        self.connection.many(UPSERT, [(*place, content) for place, content in changed if content is not None])
        gone = [place for place, content in changed if content is None]
        self.connection.many("DELETE FROM note WHERE room = ? AND key = ?", gone)
        self._known.update(self._changed)
        self._changed.clear()
        return len(changed)


def find(connection: Connection, room: str, key: str) -> bytes | None:
    """One note; None where there is none."""
    rows = connection.rows("SELECT content FROM note WHERE room = ? AND key = ?", (room, key))
    return bytes(rows[0][0]) if rows else None


def listed(connection: Connection, room: str, prefix: str, after: str, count: int) -> list[tuple[str, bytes]]:
    """Notes of a room in the order of their keys, those behind `after`."""
    text = "SELECT key, content FROM note WHERE room = ? AND key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?"
    until = prefix + "\U0010ffff"
    return [(key, bytes(content)) for key, content in connection.rows(text, (room, after, prefix, until, count))]


def among(connection: Connection, room: str, keys: Iterable[str]) -> dict[str, bytes]:
    """The notes of a room that have one of these keys."""
    text = "SELECT key, content FROM note WHERE room = ? AND key IN"
    return {key: bytes(content) for key, content in connection.among(text, (room,), keys)}
