"""Idempotency keys: what a keyed plan did is written in its own transaction, and is found there the second time.

Kept are the outcome and the version of each operation, a few bytes each: a repeated request is answered from the
stored versions, so it sees what the first one saw. Keys are kept as digests; a client may put anything into them.
Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import msgspec

from service.errors import CartFhirError, Issue, Unprocessable
from service.fhir.operations import Answer, Applied, Once, Result, SearchPage, Stored
from service.store.drafts import Prepared
from service.store.engine import Connection

COLUMNS = ("key", "request", "created", "result")
_LOOK = "SELECT key, request, result FROM idempotency WHERE created >= ? AND key IN"
_VERSIONS = (
    "SELECT r.id, v.updated, v.method, v.content FROM resource r JOIN version v ON v.key = r.key "
    "WHERE r.type = ? AND v.version = ? AND r.id IN"
)

Place = tuple[str, str, int]  # type, id, version
Kept = tuple[str, tuple[Result, ...] | bytes]  # digest of the request; the results, or how they are stored


class Keys:
    """The keys of one write transaction, or of one read. `oldest`: in microseconds; older keys count as never sent."""

    def __init__(self, connection: Connection, numbers: dict[str, int], oldest: int) -> None:
        self.connection, self.numbers, self.oldest = connection, numbers, oldest
        self._known: dict[str, Kept | None] = {}
        self._new: dict[str, tuple[Any, ...]] = {}

    def load(self, group: Iterable[Prepared]) -> None:
        """Looks up the keys of all plans at once."""
        self._load(prepared.plan.once.key for prepared in group if prepared.plan.once is not None)

    def find(self, once: Once) -> tuple[Result, ...] | None:
        """What the request with this key did; None where there was none. Unprocessable for another request's key."""
        if once.key not in self._known:
            self._load((once.key,))
        kept = self._known[once.key]
        if kept is None:
            return None
        if kept[0] != once.request:
            text = "The Idempotency-Key was used for another request; every new request needs a new key"
            raise Unprocessable(text, rule="idempotency-key-reused")
        results = self._restored(kept[1]) if isinstance(kept[1], bytes) else kept[1]
        return tuple(msgspec.structs.replace(r, replayed=True) if isinstance(r, Applied) else r for r in results)

    def keep(self, once: Once, results: tuple[Result, ...], now: int) -> None:
        """Notes what the plan did, to be written with it."""
        done = results if once.results is None else once.results
        self._known[once.key] = (once.request, done)
        self._new[once.key] = (once.key, once.request, now, msgspec.msgpack.encode([_packed(one) for one in done]))

    def flush(self) -> None:
        """Writes the new keys and takes those away that are too old."""
        if self._new:
            self.connection.many("DELETE FROM idempotency WHERE created < ?", [(self.oldest,)])
            self.connection.insert("idempotency", COLUMNS, list(self._new.values()))
            self._new.clear()

    def _load(self, keys: Iterable[str]) -> None:
        wanted = dict.fromkeys(keys)
        self._known.update(wanted)
        for key, request, result in self.connection.among(_LOOK, (self.oldest,), wanted):
            self._known[key] = (request, bytes(result))

    def _restored(self, packed: bytes) -> tuple[Result, ...]:
        rows = msgspec.msgpack.decode(packed)
        versions = self._versions(place for row in rows for place in _places(row))
        return tuple(_unpacked(row, versions) for row in rows)

    def _versions(self, places: Iterable[Place]) -> dict[Place, Stored]:
        """The versions, those of one type and number by one statement: most of a transaction is version 1."""
        groups: dict[tuple[str, int], dict[str, None]] = {}
        for type_, id_, version in places:
            groups.setdefault((type_, version), {})[id_] = None
        found: dict[Place, Stored] = {}
        for (type_, version), ids in groups.items():
            for id_, updated, method, content in self.connection.among(_VERSIONS, (self.numbers[type_], version), ids):
                body = bytes(content) if content is not None else None
                found[type_, id_, version] = Stored(type_, id_, version, updated, body, method)
        return found


def _place(stored: Stored) -> Place:
    return stored.type, stored.id, stored.version


def _packed(result: Result) -> dict[str, Any]:
    if isinstance(result, CartFhirError):
        issues = [asdict(issue) for issue in result.issues]
        return {"error": type(result).__name__, "issues": issues, "headers": result.headers}
    if isinstance(result, Answer):
        return {"status": result.status, "content": result.content, "etag": result.etag}
    row: dict[str, Any] = {"outcome": result.outcome}
    if result.stored is not None:
        row["at"] = _place(result.stored)
    if result.page is not None:
        page = result.page
        row |= {"matches": [_place(one) for one in page.matches], "included": [_place(one) for one in page.included]}
        row |= {"total": page.total, "next": page.next}
    return row


def _places(row: dict[str, Any]) -> Iterable[Place]:
    yield from (tuple(place) for place in (*row.get("matches", ()), *row.get("included", ())))
    if "at" in row:
        yield tuple(row["at"])


def _unpacked(row: dict[str, Any], versions: dict[Place, Stored]) -> Result:
    if "error" in row:
        kinds = {kind.__name__: kind for kind in CartFhirError.__subclasses__()}
        issues = [Issue(**issue) for issue in row["issues"]]
        return kinds.get(row["error"], CartFhirError)(issues=issues, headers=row["headers"])
    if "status" in row:
        return Answer(**row)
    stored = versions[tuple(row["at"])] if "at" in row else None
    page = None
    if "matches" in row:
        matches, included = ([versions[tuple(place)] for place in row[name]] for name in ("matches", "included"))
        following = tuple(row["next"]) if row["next"] is not None else None
        page = SearchPage(tuple(matches), tuple(included), row["total"], following)
    return Applied(row["outcome"], stored, page)
