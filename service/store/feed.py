"""The change feed: versions in the order of their commits, which no writer ever fills in behind."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import merge
from itertools import islice

from service.fhir.operations import Stored
from service.store.reading import Reader


def changes(reader: Reader, types: Sequence[str], after: int, count: int) -> list[tuple[int, Stored]]:
    """The next versions of these types behind the sequence number `after`, deletions included, each with its own."""
    found = [_of_type(reader, type_, after, count) for type_ in types]
    return list(islice(merge(*found, key=lambda one: one[0]), count))


def _of_type(reader: Reader, type_: str, after: int, count: int) -> list[tuple[int, Stored]]:
    rows = reader.connection.rows(
        "SELECT v.seq, r.id, v.version, v.updated, v.method, v.content FROM version v JOIN resource r ON r.key = v.key "
        "WHERE v.type = ? AND v.seq > ? ORDER BY v.seq LIMIT ?",
        (reader.statements.numbers.get(type_, -1), after, count),
    )
    return [
        (seq, Stored(type_, id_, version, updated, bytes(content) if content is not None else None, method))
        for seq, id_, version, updated, method, content in rows
    ]
