"""Query → SQL. One condition drives and the others are probed for each key that it yields.

Which one drives is decided by looking: how many rows each would yield, counted no further than it matters. Few rows
are gathered and sorted; where all are many, the rows come in the order that the page wants and the page stops early.
So a page costs what it shows and not what the store holds.
The statements are text with `?` for values, the same for SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from math import isqrt
from types import EllipsisType
from typing import Any

from service.fhir.conditions import Chain, Condition, Criterion, Either, Every, Has, Missing, Negation, Query
from service.fhir.values import Token
from service.store import ordering
from service.store.clauses import TABLES, Clause, of_criterion
from service.store.numbering import parameter_number
from service.store.ordering import PROBED

MOST = 5000  # rows that are counted, to see whether they are few
LEAST = 200
NEVER = 100
NOTHING = Clause("resource", "1 = 0", ())
# Lower drives first: few resources share an identifier or a patient, many share a code, a date is a wide range.
SELECTIVITY = {"_id": 0, "identifier": 1, "reference": 2, "string": 3, "uri": 5, "token": 6, "composite": 6} | {
    "date": 8,
    "number": 8,
}
IN_KEY_ORDER = {"_id", "identifier", "reference", "token", "uri"}  # with one clause their rows ascend by key

Count = Callable[["Sql"], int]
Few = Callable[[], int]  # looked up when somebody counts
Driver = Condition | EllipsisType | None  # `...`: whichever ranks first; None: all resources of the type


@dataclass(frozen=True, slots=True)
class Sql:
    """Text with `?` and its values."""

    text: str
    values: tuple[Any, ...] = ()


class Statements:
    """Makes the statements of queries; `numbers` numbers the resource types in the store, `types` is the way back."""

    def __init__(self, resource_types: Iterable[str]) -> None:
        # R4's list of types is closed, so a place in its alphabet never changes.
        self.numbers = {name: number for number, name in enumerate(sorted(resource_types), 1)}
        self.types = {number: name for name, number in self.numbers.items()}

    def pages(self, query: Query, cursor: tuple[Any, ...] | None, limit: int, count: Count) -> Iterable[Sql]:
        """Statements for one page, the first that fills it being the answer; the last one always is.

        Rows are key, type, id, version, updated, method, content, then the sort values.
        """
        few = cache(lambda: self._few(limit, count))
        conditions = tuple(self._settled(query.type, one, few, count) for one in query.conditions)
        query = replace(query, conditions=conditions)
        driver = self._choose(query, few, count)
        if query.parts and query.sort:
            parts = [(part, self.keys(part)) for part in query.parts]
            inner, values, order = ordering.gathered(parts, cursor, limit)
            yield _contents(inner, values, _sort_columns(query.parts[0]), order)
            return
        if not query.sort:
            keys = self.keys(query, cursor[-1] if cursor else None, limit, driver=driver)
            yield _contents(keys.text, keys.values, "", "m.key")
            return
        if driver is None and ordering.streams(query):
            # Resources without the value come last and are not in its index: only a full page is an answer.
            yield self._streamed(query, cursor, limit)
        keys = self.keys(query, driver=driver)
        inner, values, order = ordering.gathered([(query, keys)], cursor, limit)
        yield _contents(inner, values, _sort_columns(query), order)

    def keys(
        self,
        query: Query,
        after: int | None = None,
        limit: int | None = None,
        depth: int = 0,
        driver: Driver = ...,
    ) -> Sql:
        """The keys of the matches, ascending where `limit` is given; `depth` keeps aliases of subqueries apart."""
        if query.parts:
            return self._union(query, after, limit)
        row = f"d{depth}"
        clause, probes = self._plan(query, depth, driver)
        where, values = [clause.on(row)], list(clause.values)
        for condition in probes:
            probe = self._probe(query.type, condition, f"{row}.key", depth)
            where.append(probe.text)
            values += probe.values
        if after is not None:
            where.append(f"{row}.key > ?")
            values.append(after)
        text = f"SELECT DISTINCT {row}.key FROM {clause.table} {row} WHERE {' AND '.join(where)}"
        if limit is not None:
            text += f" ORDER BY {row}.key LIMIT ?"
            values.append(limit)
        return Sql(text, tuple(values))

    def _union(self, query: Query, after: int | None, limit: int | None) -> Sql:
        """The keys of a search of several types, which have none in common."""
        parts = [self.keys(part, after, limit) for part in query.parts]
        text = " UNION ALL ".join(
            f"SELECT u{place}.key FROM ({part.text}) u{place}" for place, part in enumerate(parts)
        )
        values = tuple(value for part in parts for value in part.values)
        if limit is None:
            return Sql(text, values)
        return Sql(f"SELECT a.key FROM ({text}) a ORDER BY a.key LIMIT ?", (*values, limit))

    def count(self, query: Query) -> Sql:
        """How many resources match."""
        keys = self.keys(query)
        return Sql(f"SELECT count(*) FROM ({keys.text}) c", keys.values)

    def _few(self, limit: int, count: Count) -> int:
        """How many rows are cheaper to gather than to avoid.

        Of n resources with the m matches anywhere among them, a page is full after about limit × n / m in any order;
        to gather all takes m. These are equal where m is the square root of limit × n.
        """
        resources = count(Sql("SELECT coalesce(max(key), 0) FROM resource"))
        return max(LEAST, min(MOST, isqrt(limit * resources)))

    def _choose(self, query: Query, few: Few, count: Count) -> Condition | None:
        """The condition to drive, or None where all are unselective."""
        if query.parts:
            return None
        drivers = sorted((c for c in query.conditions if _rank(c) < NEVER), key=_rank)
        if not drivers or _rank(drivers[0]) <= SELECTIVITY["reference"]:
            return drivers[0] if drivers else None
        if len(drivers) == 1 and not query.sort and _ascends(drivers[0]):
            return drivers[0]
        counted = [(count(self._bounded_count(query.type, condition, few())), condition) for condition in drivers]
        fewest, best = min(counted, key=lambda pair: pair[0])
        if fewest < few():
            return best
        return None if query.sort else next((c for c in drivers if _ascends(c)), None)

    def _settled(self, type_: str, condition: Condition, few: Few, count: Count) -> Condition:
        """The condition with the members of every inner conjunction ordered by how few rows they yield."""
        if isinstance(condition, Either):
            return Either(tuple(self._settled(type_, one, few, count) for one in condition.conditions))
        if not isinstance(condition, Every):
            return condition
        drivers = [one for one in condition.conditions if _rank(one) < NEVER]
        if len(drivers) < 2 or min(map(_rank, drivers)) <= SELECTIVITY["reference"]:
            return Every(tuple(sorted(condition.conditions, key=_rank)))
        counts = {id(one): count(self._bounded_count(type_, one, few())) for one in drivers}
        return Every(tuple(sorted(condition.conditions, key=lambda one: counts.get(id(one), few() + 1))))

    def _bounded_count(self, type_: str, condition: Condition, few: int) -> Sql:
        clause = self._driver(type_, condition, 0)
        text = f"SELECT count(*) FROM (SELECT 1 FROM {clause.table} d0 WHERE {clause.on('d0')} LIMIT {few}) c"
        return Sql(text, clause.values)

    def _plan(self, query: Query, depth: int, driver: Driver) -> tuple[Clause, list[Condition]]:
        """The driving clause and the conditions left to probe."""
        if driver is ...:
            best = min(query.conditions, key=_rank, default=None)
            driver = best if best is not None and _rank(best) < NEVER else None
        if driver is None:
            everything = Clause("resource", "§.type = ? AND NOT §.deleted", (self.numbers[query.type],))
            return everything, list(query.conditions)
        rest = [condition for condition in query.conditions if condition is not driver]
        return self._driver(query.type, driver, depth), rest

    def _driver(self, type_: str, condition: Condition, depth: int) -> Clause:
        clauses = self._clauses(type_, condition, depth)
        if len(clauses) == 1:  # keeps the index's own order by key
            return clauses[0]
        if not clauses:
            return NOTHING
        union = " UNION ALL ".join(f"SELECT u.key FROM {c.table} u WHERE {c.on('u')}" for c in clauses)
        return Clause(f"({union})", "1 = 1", tuple(value for c in clauses for value in c.values))

    def _probe(self, type_: str, condition: Condition, key: str, depth: int) -> Sql:
        """A test of the resource `key`."""
        if isinstance(condition, Missing):
            return self._missing(type_, condition, key)
        if isinstance(condition, Negation):
            inner = self._probe(type_, condition.condition, key, depth)
            return Sql(f"NOT {inner.text}", inner.values)
        if isinstance(condition, (Every, Either)):
            joined = " AND " if isinstance(condition, Every) else " OR "
            probes = [self._probe(type_, one, key, depth) for one in condition.conditions]
            text = joined.join(probe.text for probe in probes) or "1 = 1"
            return Sql(f"({text})", tuple(value for probe in probes for value in probe.values))
        clauses = self._clauses(type_, condition, depth) or [NOTHING]
        probe = f"p{depth}"
        parts = [
            f"EXISTS (SELECT 1 FROM {c.table} {probe} WHERE {probe}.key = {key} AND {c.probing(probe)} {PROBED})"
            for c in clauses
        ]
        text = f"({' OR '.join(parts)})"
        if isinstance(condition, Criterion) and condition.modifier == "not":
            text = f"NOT {text}"
        return Sql(text, tuple(value for clause in clauses for value in clause.values))

    def _missing(self, type_: str, condition: Missing, key: str) -> Sql:
        parameter = condition.parameter
        if parameter.code in ("_id", "_lastUpdated"):
            return Sql("1 = 0" if condition.missing else "1 = 1")
        number = parameter_number(type_, parameter.code)
        tables = ["reference_index", "uri_index"] if parameter.type == "reference" else [TABLES[parameter.type]]
        if parameter.type in ("token", "uri"):
            parts = [f"{key} IN (SELECT key FROM {table} WHERE param = ?)" for table in tables]
        else:
            parts = [f"EXISTS (SELECT 1 FROM {table} p WHERE p.key = {key} AND p.param = ?)" for table in tables]
        text = f"({' OR '.join(parts)})"
        return Sql(f"NOT {text}" if condition.missing else text, (number,) * len(tables))

    def _clauses(self, type_: str, condition: Condition, depth: int) -> list[Clause]:
        if isinstance(condition, Chain):
            number = parameter_number(type_, condition.parameter.code)
            return [self._chain(number, target, rest, depth) for target, rest in condition.rests]
        if isinstance(condition, Has):
            return [self._has(type_, condition, depth)]
        if isinstance(condition, Either):  # each of its own, so that no statement joins more than it may
            return [self._driver(type_, one, depth) for one in condition.conditions]
        if isinstance(condition, Every):
            first = condition.conditions[0]  # the best one where somebody has looked
            driver = first if _rank(first) < NEVER else ...
            keys = self.keys(Query(type_, condition.conditions), depth=depth + 1, driver=driver)
            return [Clause(f"({keys.text})", "1 = 1", keys.values)]
        assert isinstance(condition, Criterion)
        return of_criterion(self.numbers, type_, condition)

    def _chain(self, number: int, target: str, rest: Condition, depth: int) -> Clause:
        keys = self.keys(Query(target, (rest,)), depth=depth + 1)
        return Clause("reference_index", f"§.target IN ({keys.text}) AND §.param = ?", (*keys.values, number))

    def _has(self, type_: str, condition: Has, depth: int) -> Clause:
        keys = self.keys(Query(condition.type, (condition.rest,)), depth=depth + 1)
        number = parameter_number(condition.type, condition.parameter.code)
        pointing = f"SELECT h.target FROM reference_index h WHERE h.param = ? AND h.key IN ({keys.text})"
        where = f"§.type = ? AND NOT §.deleted AND §.key IN ({pointing})"
        return Clause("resource", where, (self.numbers[type_], number, *keys.values))

    def _streamed(self, query: Query, cursor: tuple[Any, ...] | None, limit: int) -> Sql:
        """The matches as the index of the sort parameter yields them."""
        probes = [self._probe(query.type, condition, "d.key", 1) for condition in query.conditions]
        conditions = [probe.text for probe in probes]
        values = [value for probe in probes for value in probe.values]
        text, values = ordering.streamed(query, self.numbers[query.type], conditions, values, cursor, limit)
        return _contents(text, tuple(values), ", m.s0", ordering.order(query))


def _contents(inner: str, values: tuple[Any, ...], sorts: str, order: str) -> Sql:
    return Sql(
        f"SELECT r.key, r.type, r.id, v.version, v.updated, v.method, v.content{sorts} FROM ({inner}) m "
        f"JOIN resource r ON r.key = m.key JOIN version v ON v.seq = r.seq ORDER BY {order}",
        values,
    )


def _sort_columns(query: Query) -> str:
    return "".join(f", m.s{place}" for place in range(len(query.sort)))


def _rank(condition: Condition) -> int:
    if isinstance(condition, Criterion) and condition.modifier != "not":
        code, type_ = condition.parameter.code, condition.parameter.type
        return SELECTIVITY.get(code, SELECTIVITY.get(type_, 7))
    if isinstance(condition, Either):  # all of them have to be gathered
        return max((_rank(one) for one in condition.conditions), default=NEVER)
    if isinstance(condition, Every):
        return min((_rank(one) for one in condition.conditions), default=NEVER)
    return 4 if isinstance(condition, (Chain, Has)) else NEVER


def _ascends(condition: Condition) -> bool:
    """Whether the rows of the condition come in the order of keys, so that a page can stop early."""
    if not isinstance(condition, Criterion) or len(condition.values) != 1:
        return False
    value = condition.values[0]
    if condition.modifier not in (None, "identifier", "of-type") or (isinstance(value, Token) and value.code is None):
        return False
    return condition.parameter.code in IN_KEY_ORDER or condition.parameter.type in IN_KEY_ORDER
