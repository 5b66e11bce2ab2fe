"""A search value as rows of an index table: each kind of value knows the clauses that find it.

Nothing of a request becomes part of the text; the alias of the table is spelled `§`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.fhir.parameters import SearchParameter
from service.fhir.values import Range, Target, Text, Token, Value, normalize
from service.store.index import bounded, identifier_number, parameter_number, system_number

TABLES = {type_: f"{type_}_index" for type_ in ("token", "reference", "string", "date", "number", "quantity", "uri")}
BY_KEY = frozenset({"string_index", "date_index", "number_index", "quantity_index"})
LAST_CHARACTER = "\U0010ffff"

Test = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Clause:
    """Rows of one index table that meet a condition: `table WHERE where`."""

    table: str
    where: str
    values: tuple[Any, ...]

    def on(self, alias: str) -> str:
        """The condition with the alias put in."""
        return self.where.replace("§", alias)

    def probing(self, alias: str) -> str:
        """The same as a test of one resource: the plus keeps SQLite from the index by value where one by key serves."""
        where = self.where.replace("§.param = ?", "+§.param = ?") if self.table in BY_KEY else self.where
        return where.replace("§", alias)


def of_value(
    numbers: dict[str, int], type_: str, parameter: SearchParameter, modifier: str | None, value: Value
) -> list[Clause]:
    """The clauses of one value, any of which finds it; `numbers` are those of the resource types."""
    number = parameter_number(type_, parameter.code)
    if parameter.code == "_id":
        assert isinstance(value, Token)
        return [Clause("resource", "§.type = ? AND §.id = ? AND NOT §.deleted", (numbers[type_], value.code))]
    if isinstance(value, Token):
        return [_token(number if parameter.type == "token" else identifier_number(number), value)]
    if isinstance(value, Target):
        return _target(numbers, number, parameter, value)
    if isinstance(value, Text):
        return [(_string if parameter.type == "string" else _uri)(number, modifier, value)]
    if parameter.code == "_lastUpdated":
        tests = ranges(value, "§.updated", "§.updated + 1")
        return [Clause("resource", f"§.type = ? AND {test}", (numbers[type_], *bounds)) for test, bounds in tests]
    if parameter.type == "date":
        tests = ranges(value, "§.low", "§.high")
        return [Clause("date_index", f"§.param = ? AND {test}", (number, *bounds)) for test, bounds in tests]
    return _numeric(TABLES[parameter.type], number, value)


def _target(numbers: dict[str, int], number: int, parameter: SearchParameter, value: Target) -> list[Clause]:
    if value.url is not None:
        return [Clause("uri_index", "§.param = ? AND §.value = ?", (number, bounded(value.url)))]
    types = (value.type,) if value.type else parameter.target or tuple(numbers)
    return [
        Clause(
            "reference_index",
            "§.target = (SELECT t.key FROM resource t WHERE t.type = ? AND t.id = ?) AND §.param = ?",
            (numbers[target], value.id, number),
        )
        for target in types
        if target in numbers
    ] or [Clause("resource", "1 = 0", ())]


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


def ranges(value: Range, low: str, high: str) -> list[Test]:
    """R4's prefixes over half-open ranges, each test bounded on one column: hl7.org/fhir/R4/search.html#prefix."""
    # A range that lies inside starts before its end, which bounds `low` on both sides.
    inside = (f"{low} >= ? AND {low} < ? AND {high} <= ?", (value.low, value.high, value.high))
    above, below = (f"{high} > ?", (value.high,)), (f"{low} < ?", (value.low,))
    return {
        "eq": [inside],
        "ne": [below, above],
        "gt": [above],
        "lt": [below],
        "ge": [above, inside],
        "le": [below, inside],
        "sa": [(f"{low} >= ?", (value.high,))],
        "eb": [(f"{high} <= ?", (value.low,))],
        "ap": [(f"{low} < ? AND {high} > ?", (value.high, value.low))],
    }[value.prefix]


def _numeric(table: str, number: int, value: Range) -> list[Clause]:
    """The same over numbers. Nearly all are points; the wide ones (ranges, comparators) have an index of their own."""
    low, high = value.low, value.high
    tests: list[Test] = {
        "eq": [("§.low >= ? AND §.low < ? AND §.high < ?", (low, high, high))],
        "ne": [("§.low < ?", (low,)), ("§.low >= ?", (high,)), ("§.low < §.high AND §.high >= ?", (high,))],
        "gt": [("§.low > ?", (high,)), ("§.low < §.high AND §.high > ?", (high,))],
        "lt": [("§.low < ?", (low,))],
        "ge": [("§.low >= ?", (high,)), ("§.low < §.high AND §.high >= ?", (high,))],
        "le": [("§.low <= ?", (low,))],
        "sa": [("§.low > ?", (high,))],
        "eb": [("§.low < ? AND §.high < ?", (low, low))],
        "ap": [
            ("§.low >= ? AND §.low <= ?", (low, high)),
            ("§.low < §.high AND §.low <= ? AND §.high >= ?", (high, low)),
        ],
    }[value.prefix]
    unit, values = "", []
    if value.code is not None:
        unit += " AND §.code = ?"
        values.append(bounded(value.code))
    if value.system is not None:
        unit += " AND §.system = ?"
        values.append(system_number(value.system))  # type: ignore[arg-type]
    return [Clause(table, f"§.param = ? AND {test}{unit}", (number, *bounds, *values)) for test, bounds in tests]
