"""Reads: one resource, one version, a page of a search, a page of a history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.errors import Gone, NotFound
from service.fhir.conditions import Query
from service.fhir.operations import HistoryPage, SearchPage, Stored
from service.store import including
from service.store.engine import Connection
from service.store.index import Indexer
from service.store.query import Sql, Statements

READ = (
    "SELECT r.version, r.updated, v.method, v.content FROM resource r JOIN version v ON v.seq = r.seq "
    "WHERE r.type = ? AND r.id = ?"
)


@dataclass(frozen=True, slots=True)
class Reader:
    """The reads over one connection."""

    connection: Connection
    statements: Statements
    indexer: Indexer

    def current(self, type_: str, id_: str) -> Stored:
        """The newest version. Raises NotFound or Gone."""
        rows = self.connection.rows(READ, (self.statements.numbers.get(type_, -1), id_))
        if not rows:
            raise NotFound(f"There is no {type_}/{id_}")
        version, updated, method, content = rows[0]
        if content is None:
            raise Gone(f"{type_}/{id_} was deleted", headers={"ETag": f'W/"{version}"'})
        return Stored(type_, id_, version, updated, bytes(content), method)

    def version(self, type_: str, id_: str, version: int) -> Stored:
        """One version, as old as it may be. Raises NotFound, or Gone where that version is a deletion."""
        rows = self.connection.rows(
            "SELECT v.updated, v.method, v.content FROM resource r JOIN version v ON v.key = r.key "
            "WHERE r.type = ? AND r.id = ? AND v.version = ?",
            (self.statements.numbers.get(type_, -1), id_, min(version, 2**31 - 1)),
        )
        if not rows:
            raise NotFound(f"There is no {type_}/{id_} of version {version}")
        updated, method, content = rows[0]
        if content is None:
            raise Gone(f"Version {version} of {type_}/{id_} is its deletion", headers={"ETag": f'W/"{version}"'})
        return Stored(type_, id_, version, updated, bytes(content), method)

    def page(self, query: Query, cursor: tuple[Any, ...] | None = None) -> SearchPage:
        """One page; it looks one match further, so that `next` is never a link to nothing."""
        total = self._number(self.statements.count(query)) if query.total or query.summary_count else None
        if query.summary_count:
            return SearchPage((), total=total)
        rows: list[tuple[Any, ...]] = []
        for sql in self.statements.pages(query, cursor, query.count + 1, self._number):
            rows = self.connection.rows(sql.text, sql.values)
            if len(rows) > query.count:
                break
        shown = rows[: query.count]
        following = (*shown[-1][7:], shown[-1][0]) if len(rows) > query.count else None
        matches = tuple(self._stored(row) for row in shown)
        return SearchPage(matches, self._included(query, shown), total, following)

    def _number(self, sql: Sql) -> int:
        return int(self.connection.rows(sql.text, sql.values)[0][0])

    def _stored(self, row: Sequence[Any]) -> Stored:
        _, number, id_, version, updated, method, content = row[:7]
        return Stored(self.statements.types[number], id_, version, updated, bytes(content) if content else None, method)

    def _included(self, query: Query, rows: list[Sequence[Any]]) -> tuple[Stored, ...]:
        keys = including.keys(self.connection, self.statements.numbers, query.includes, [row[0] for row in rows])
        text = (
            "SELECT r.key, r.type, r.id, v.version, v.updated, v.method, v.content FROM resource r "
            "JOIN version v ON v.seq = r.seq WHERE NOT r.deleted AND r.key IN"
        )
        return tuple(self._stored(row) for row in sorted(self.connection.among(text, (), keys), key=lambda r: r[0]))

    def history(
        self,
        type_: str | None,
        id_: str | None,
        since: int | None,
        count: int,
        before: int | None,
    ) -> HistoryPage:
        """Versions newest first, behind the sequence number `before`; of an instance, a type or all."""
        where, values = self._scope(type_, id_)
        if since is not None:
            where.append("v.updated >= ?")
            values.append(since)
        condition = " AND ".join(where) or "1 = 1"
        (total,) = self.connection.rows(f"SELECT count(*) FROM version v WHERE {condition}", values)[0]
        if before is not None:
            condition += " AND v.seq < ?"
            values.append(before)
        rows = self.connection.rows(
            "SELECT v.seq, v.type, r.id, v.version, v.updated, v.method, v.content FROM version v "
            f"JOIN resource r ON r.key = v.key WHERE {condition} ORDER BY v.seq DESC LIMIT ?",
            (*values, count + 1),
        )
        following = rows[count - 1][0] if len(rows) > count > 0 else None
        return HistoryPage(tuple(self._stored(row) for row in rows[:count]), int(total), following)

    def _scope(self, type_: str | None, id_: str | None) -> tuple[list[str], list[Any]]:
        if type_ is None:
            return [], []
        number = self.statements.numbers.get(type_, -1)
        if id_ is None:
            return ["v.type = ?"], [number]
        rows = self.connection.rows("SELECT key FROM resource WHERE type = ? AND id = ?", (number, id_))
        if not rows:
            raise NotFound(f"There is no {type_}/{id_}")
        return ["v.key = ?"], [rows[0][0]]
