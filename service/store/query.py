"""Query → SQL. One condition drives, in the order of resource keys; the others are probed for each key it yields.

So a page costs what it looks at and not what the store holds. The statements are text with `?` for values, the same
for SQLite and PostgreSQL; nothing of a request ever becomes part of the text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from service.fhir.parameters import SearchParameter
from service.fhir.search import Chain, Condition, Criterion, Has, Missing, Query
from service.fhir.values import Range, Target, Text, Token, Value, normalize
from service.store.index import bounded, identifier_number, parameter_number, system_number

TABLES = {type_: f"{type_}_index" for type_ in ("token", "reference", "string", "date", "number", "quantity", "uri")}
LAST_CHARACTER = "\U0010ffff"
# Lower drives first: few resources share an identifier or a patient, many share a code, a date is a wide range.
SELECTIVITY = {"_id": 0, "identifier": 1, "reference": 2, "string": 3, "uri": 5, "token": 6, "date": 8, "number": 8}


@dataclass(frozen=True, slots=True)
class Sql:
    """Text with `?` and its values."""

    text: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Clause:
    """Rows of one index table that meet a condition; in `where` the table's alias is spelled `§`."""

    table: str
    where: str
    values: tuple[Any, ...]

    def on(self, alias: str) -> str:
        """The condition with the alias put in."""
        return self.where.replace("§", alias)


class Statements:
    """Makes the statements of queries; `numbers` numbers the resource types in the store, `types` is the way back."""

    def __init__(self, resource_types: Iterable[str]) -> None:
        # R4's list of types is closed, so a place in its alphabet never changes.
        self.numbers = {name: number for number, name in enumerate(sorted(resource_types), 1)}
        self.types = {number: name for name, number in self.numbers.items()}

    def page(self, query: Query, cursor: tuple[Any, ...] | None, limit: int) -> Sql:
        """key, type, id, version, updated, method, content, then the sort values, of at most `limit` matches."""
        if not query.sort:
            keys = self.keys(query, cursor[-1] if cursor else None, limit)
            inner, values, sorts, order = keys.text, keys.values, "", "m.key"
        else:
            inner, values, order = self._sorted(query, cursor, limit)
            sorts = "".join(f", m.s{place}" for place in range(len(query.sort)))
        return Sql(
            "SELECT r.key, r.type, r.id, v.version, v.updated, v.method, v.content"
            f"{sorts} FROM ({inner}) m JOIN resource r ON r.key = m.key "
            f"JOIN version v ON v.seq = r.seq ORDER BY {order}",
            values,
        )

    def keys(self, query: Query, after: int | None = None, limit: int | None = None, depth: int = 0) -> Sql:
        """The keys of the matches, ascending where `limit` is given; `depth` keeps aliases of subqueries apart."""
        row = f"d{depth}"
        driver, probes = self._plan(query, depth)
        where, values = [driver.on(row)], list(driver.values)
        for condition in probes:
            probe = self._probe(query.type, condition, depth)
            where.append(probe.text)
            values += probe.values
        if after is not None:
            where.append(f"{row}.key > ?")
            values.append(after)
        text = f"SELECT DISTINCT {row}.key FROM {driver.table} {row} WHERE {' AND '.join(where)}"
        if limit is not None:
            text += f" ORDER BY {row}.key LIMIT ?"
            values.append(limit)
        return Sql(text, tuple(values))

    def count(self, query: Query) -> Sql:
        """How many resources match."""
        keys = self.keys(query)
        return Sql(f"SELECT count(*) FROM ({keys.text}) c", keys.values)

    def _plan(self, query: Query, depth: int) -> tuple[Clause, list[Condition]]:
        """The driving clause and the conditions left to probe."""
        drivers = [condition for condition in query.conditions if self._rank(condition) < 100]
        if drivers:
            best = min(drivers, key=self._rank)
            rest = [condition for condition in query.conditions if condition is not best]
            return self._driver(query.type, best, depth), rest
        everything = Clause("resource", "§.type = ? AND NOT §.deleted", (self.numbers[query.type],))
        return everything, list(query.conditions)

    def _rank(self, condition: Condition) -> int:
        if isinstance(condition, Criterion) and condition.modifier != "not":
            code, type_ = condition.parameter.code, condition.parameter.type
            return 100 if code == "_lastUpdated" else SELECTIVITY.get(code, SELECTIVITY.get(type_, 7))
        return 4 if isinstance(condition, (Chain, Has)) else 100

    def _driver(self, type_: str, condition: Condition, depth: int) -> Clause:
        clauses = self._clauses(type_, condition, depth)
        if len(clauses) == 1:  # keeps the index's own order by key
            return clauses[0]
        union = " UNION ALL ".join(f"SELECT u.key FROM {c.table} u WHERE {c.on('u')}" for c in clauses)
        return Clause(f"({union})", "1 = 1", tuple(value for c in clauses for value in c.values))

    def _probe(self, type_: str, condition: Condition, depth: int) -> Sql:
        """A test of the driver's key."""
        row, probe = f"d{depth}.key", f"p{depth}"
        if isinstance(condition, Missing):
            return self._missing(type_, condition, row)
        clauses = self._clauses(type_, condition, depth)
        parts = [
            f"EXISTS (SELECT 1 FROM {c.table} {probe} WHERE {probe}.key = {row} AND {c.on(probe)})" for c in clauses
        ]
        text = f"({' OR '.join(parts)})"
        if isinstance(condition, Criterion) and condition.modifier == "not":
            text = f"NOT {text}"
        return Sql(text, tuple(value for clause in clauses for value in clause.values))

    def _missing(self, type_: str, condition: Missing, row: str) -> Sql:
        parameter = condition.parameter
        if parameter.code in ("_id", "_lastUpdated"):
            return Sql("1 = 0" if condition.missing else "1 = 1")
        number = parameter_number(type_, parameter.code)
        tables = ["reference_index", "uri_index"] if parameter.type == "reference" else [TABLES[parameter.type]]
        if parameter.type in ("token", "reference", "uri"):
            parts = [f"{row} IN (SELECT key FROM {table} WHERE param = ?)" for table in tables]
        else:
            parts = [f"EXISTS (SELECT 1 FROM {table} p WHERE p.key = {row} AND p.param = ?)" for table in tables]
        text = f"({' OR '.join(parts)})"
        return Sql(f"NOT {text}" if condition.missing else text, (number,) * len(tables))

    def _clauses(self, type_: str, condition: Condition, depth: int) -> list[Clause]:
        if isinstance(condition, Chain):
            return [self._chain(type_, condition.parameter, target, rest, depth) for target, rest in condition.rests]
        if isinstance(condition, Has):
            return [self._has(type_, condition, depth)]
        assert isinstance(condition, Criterion)
        return [
            clause
            for value in condition.values
            for clause in self._value(type_, condition.parameter, condition.modifier, value)
        ]

    def _chain(self, type_: str, parameter: SearchParameter, target: str, rest: Condition, depth: int) -> Clause:
        keys = self.keys(Query(target, (rest,)), depth=depth + 1)
        number = parameter_number(type_, parameter.code)
        return Clause("reference_index", f"§.target IN ({keys.text}) AND §.param = ?", (*keys.values, number))

    def _has(self, type_: str, condition: Has, depth: int) -> Clause:
        keys = self.keys(Query(condition.type, (condition.rest,)), depth=depth + 1)
        number = parameter_number(condition.type, condition.parameter.code)
        pointing = f"SELECT h.target FROM reference_index h WHERE h.param = ? AND h.key IN ({keys.text})"
        where = f"§.type = ? AND NOT §.deleted AND §.key IN ({pointing})"
        return Clause("resource", where, (self.numbers[type_], number, *keys.values))

    def _value(self, type_: str, parameter: SearchParameter, modifier: str | None, value: Value) -> list[Clause]:
        number = parameter_number(type_, parameter.code)
        if parameter.code == "_id":
            assert isinstance(value, Token)
            return [Clause("resource", "§.type = ? AND §.id = ? AND NOT §.deleted", (self.numbers[type_], value.code))]
        if parameter.code == "_lastUpdated":
            assert isinstance(value, Range)
            test, bounds = _range(value, "§.updated", "(§.updated + 1)")
            return [Clause("resource", f"§.type = ? AND {test}", (self.numbers[type_], *bounds))]
        if isinstance(value, Token):
            return [_token(number if parameter.type == "token" else identifier_number(number), value)]
        if isinstance(value, Target):
            return self._target(number, parameter, value)
        if isinstance(value, Text):
            return [(_string if parameter.type == "string" else _uri)(number, modifier, value)]
        if parameter.type == "date":
            test, bounds = _range(value, "§.low", "§.high")
            return [Clause("date_index", f"§.param = ? AND {test}", (number, *bounds))]
        return [_numeric(TABLES[parameter.type], number, value)]

    def _target(self, number: int, parameter: SearchParameter, value: Target) -> list[Clause]:
        if value.url is not None:
            return [Clause("uri_index", "§.param = ? AND §.value = ?", (number, bounded(value.url)))]
        types = (value.type,) if value.type else parameter.target or tuple(self.numbers)
        return [
            Clause(
                "reference_index",
                "§.target = (SELECT t.key FROM resource t WHERE t.type = ? AND t.id = ?) AND §.param = ?",
                (self.numbers[target], value.id, number),
            )
            for target in types
            if target in self.numbers
        ] or [Clause("resource", "1 = 0", ())]

    def _sorted(self, query: Query, cursor: tuple[Any, ...] | None, limit: int) -> tuple[str, tuple[Any, ...], str]:
        matches = self.keys(query)
        columns, joins, column_values, join_values, order = [], [], [], [], []
        for place, (parameter, descending) in enumerate(query.sort):
            column, join, value = self._sort_column(query.type, parameter, descending, place)
            columns.append(f"{column} AS s{place}")
            joins.append(join)
            (join_values if join else column_values).extend(value)
            order += [f"m.s{place} IS NULL", f"m.s{place}{' DESC' if descending else ''}"]
        order.append("m.key")
        text = f"SELECT k.key, {', '.join(columns)} FROM ({matches.text}) k{''.join(joins)}"
        values = [*column_values, *matches.values, *join_values]
        after, after_values = _after(query, cursor)
        text = f"SELECT m.* FROM ({text}) m WHERE {after} ORDER BY {', '.join(order)} LIMIT ?"
        return text, (*values, *after_values, limit), ", ".join(order)

    def _sort_column(
        self, type_: str, parameter: SearchParameter, descending: bool, place: int
    ) -> tuple[str, str, tuple[Any, ...]]:
        """The sort value of `k.key`: by probe where the table can be probed by resource, else by a grouped join."""
        if parameter.code in ("_id", "_lastUpdated"):
            name = "id" if parameter.code == "_id" else "updated"
            return f"(SELECT o.{name} FROM resource o WHERE o.key = k.key)", "", ()
        pick = "max" if descending else "min"
        column = {"token": "code", "uri": "value", "string": "folded"}.get(parameter.type, "low")
        table, number = TABLES[parameter.type], (parameter_number(type_, parameter.code),)
        if parameter.type in ("token", "uri"):
            grouped = f"(SELECT key, {pick}({column}) AS s FROM {table} WHERE param = ? GROUP BY key)"
            return f"j{place}.s", f" LEFT JOIN {grouped} j{place} ON j{place}.key = k.key", number
        return f"(SELECT {pick}(o.{column}) FROM {table} o WHERE o.key = k.key AND o.param = ?)", "", number


def _token(number: int, value: Token) -> Clause:
    where, values = ["§.param = ?"], [number]
    if value.code is not None:
        where.append("§.code = ?")
        values.append(bounded(value.code))  # type: ignore[arg-type]
    if value.system is not None:
        where.append("§.system = ?")
        values.append(system_number(value.system))
    return Clause("token_index", " AND ".join(where), tuple(values))


def _string(number: int, modifier: str | None, value: Text) -> Clause:
    folded = normalize(value.text)
    if modifier == "exact":
        text = bounded(value.text)
        where, values = "§.folded = ? AND §.value = ?", (bounded(folded), text)
    elif modifier == "contains":
        where, values = "§.folded LIKE ? ESCAPE '\\'", (f"%{_escape_like(folded)}%",)  # type: ignore[assignment]
    else:
        where, values = "§.folded >= ? AND §.folded < ?", (folded, folded + LAST_CHARACTER)
    return Clause("string_index", f"§.param = ? AND {where}", (number, *values))


def _escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _uri(number: int, modifier: str | None, value: Text) -> Clause:
    text = bounded(value.text)
    if modifier == "below":
        return Clause(
            "uri_index", "§.param = ? AND §.value >= ? AND §.value < ?", (number, text, text + LAST_CHARACTER)
        )
    return Clause("uri_index", "§.param = ? AND §.value = ?", (number, text))


def _range(value: Range, low: str, high: str) -> tuple[str, tuple[Any, ...]]:
    """R4's prefixes over half-open ranges: hl7.org/fhir/R4/search.html#prefix."""
    inside = f"{low} >= ? AND {high} <= ?"
    return {
        "eq": (inside, (value.low, value.high)),
        "ne": (f"({low} < ? OR {high} > ?)", (value.low, value.high)),
        "gt": (f"{high} > ?", (value.high,)),
        "lt": (f"{low} < ?", (value.low,)),
        "ge": (f"({high} > ? OR ({inside}))", (value.high, value.low, value.high)),
        "le": (f"({low} < ? OR ({inside}))", (value.low, value.low, value.high)),
        "sa": (f"{low} >= ?", (value.high,)),
        "eb": (f"{high} <= ?", (value.low,)),
        "ap": (f"{low} < ? AND {high} > ?", (value.high, value.low)),
    }[value.prefix]


def _numeric(table: str, number: int, value: Range) -> Clause:
    """The same over points: `low` and `high` of a row are equal unless it is a Range or has a comparator."""
    test, bounds = {
        "eq": ("§.low >= ? AND §.high < ?", (value.low, value.high)),
        "ne": ("(§.low < ? OR §.high >= ?)", (value.low, value.high)),
        "gt": ("§.high > ?", (value.high,)),
        "lt": ("§.low < ?", (value.low,)),
        "ge": ("§.high >= ?", (value.high,)),
        "le": ("§.low <= ?", (value.low,)),
        "sa": ("§.low > ?", (value.high,)),
        "eb": ("§.high < ?", (value.low,)),
        "ap": ("§.low <= ? AND §.high >= ?", (value.high, value.low)),
    }[value.prefix]
    where, values = [f"§.param = ? AND {test}"], [number, *bounds]
    if value.code is not None:
        where.append("§.code = ?")
        values.append(bounded(value.code))
    if value.system is not None:
        where.append("§.system = ?")
        values.append(system_number(value.system))
    return Clause(table, " AND ".join(where), tuple(values))


def _after(query: Query, cursor: tuple[Any, ...] | None) -> tuple[str, list[Any]]:
    """The rows behind the cursor (sort values…, key); missing values come last."""
    if cursor is None:
        return "1 = 1", []
    alternatives, values, same, same_values = [], [], [], []
    for place, (_, descending) in enumerate(query.sort):
        if cursor[place] is not None:
            column = f"m.s{place}"
            later = f"({column} {'<' if descending else '>'} ? OR {column} IS NULL)"
            alternatives.append(" AND ".join([*same, later]))
            values += [*same_values, cursor[place]]
            same.append(f"{column} = ?")
            same_values.append(cursor[place])
        else:
            same.append(f"m.s{place} IS NULL")
    alternatives.append(" AND ".join([*same, "m.key > ?"]))
    return f"({' OR '.join(f'({a})' for a in alternatives)})", [*values, *same_values, cursor[-1]]
