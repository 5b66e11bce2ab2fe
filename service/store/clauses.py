"""A search value as rows of an index table: each kind of value knows the clauses that find it.

Nothing of a request becomes part of the text; the alias of the table is spelled `§`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.fhir.conditions import Criterion
from service.fhir.parameters import SearchParameter
from service.fhir.values import Canonical, Composite, Range, Target, Text, Token, ancestors, normalize
from service.store.numbering import (
    bounded,
    canonical_number,
    identifier_number,
    parameter_number,
    system_number,
    text_number,
    typed_number,
)

TABLES = {
    type_: f"{type_}_index"
    for type_ in ("token", "reference", "string", "date", "number", "quantity", "uri", "composite")
}
BY_KEY = frozenset({"string_index", "date_index", "number_index", "quantity_index", "composite_index"})
MOST_BRANCHES = 8  # types of one reference that are looked up one by one
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


def of_criterion(numbers: dict[str, int], type_: str, criterion: Criterion) -> list[Clause]:
    """The clauses of a criterion, any of which finds it; `numbers` are those of the resource types."""
    parameter, modifier = criterion.parameter, criterion.modifier
    number = parameter_number(type_, parameter.code)
    if parameter.code == "_id":
        ids = [value.code for value in criterion.values if isinstance(value, Token)]
        where = f"§.type = ? AND §.id {_among(ids)} AND NOT §.deleted"
        return [Clause("resource", where, (numbers[type_], *ids))] if ids else []
    tokens = [value for value in criterion.values if isinstance(value, Token)]
    targets = [value for value in criterion.values if isinstance(value, Target)]
    clauses = _tokens(_token_number(number, parameter, modifier), tokens) if tokens else []
    if targets:
        clauses += _targets(numbers, number, parameter, targets)
    for value in criterion.values:
        if isinstance(value, Text):
            clauses.append(_text(number, parameter, modifier, value))
        elif isinstance(value, Composite):
            clauses += _composite(number, value)
        elif isinstance(value, Range):
            clauses += _range(numbers[type_], number, parameter, value)
    return clauses


def _token_number(number: int, parameter: SearchParameter, modifier: str | None) -> int:
    if parameter.type == "reference":
        return identifier_number(number)
    return typed_number(number) if modifier == "of-type" else number


def _text(number: int, parameter: SearchParameter, modifier: str | None, value: Text) -> Clause:
    if parameter.type == "string":
        return _string(number, modifier, value)
    if parameter.type == "token":
        return _uri(text_number(number), "text", Text(normalize(value.text)))
    return _uri(number, modifier, value)


def _range(type_number: int, number: int, parameter: SearchParameter, value: Range) -> list[Clause]:
    if parameter.code == "_lastUpdated":
        tests = ranges(value, "§.updated", "§.updated + 1")
        where = "§.type = ? AND NOT §.deleted AND"
        return [Clause("resource", f"{where} {test}", (type_number, *bounds)) for test, bounds in tests]
    if parameter.type == "date":
        tests = ranges(value, "§.low", "§.high")
        return [Clause("date_index", f"§.param = ? AND {test}", (number, *bounds)) for test, bounds in tests]
    if parameter.type == "number":
        return [Clause("number_index", f"§.param = ? AND {test}", (number, *b)) for test, b in numeric(value)]
    return _quantity(number, value)


def _among(values: Sequence[Any]) -> str:
    return "= ?" if len(values) == 1 else f"IN ({','.join('?' * len(values))})"


def _targets(
    numbers: dict[str, int], number: int, parameter: SearchParameter, values: Sequence[Target]
) -> list[Clause]:
    clauses = []
    urls = [bounded(value.url) for value in values if value.url is not None]
    if urls:
        clauses.append(Clause("uri_index", f"§.param = ? AND §.value {_among(urls)}", (number, *urls)))
    by_types: dict[tuple[str, ...], list[str]] = {}
    for value in values:
        if value.id is not None:
            types = (value.type,) if value.type else parameter.target or tuple(numbers)
            by_types.setdefault(types, []).append(value.id)
    for types, ids in by_types.items():
        known = [numbers[type_] for type_ in types if type_ in numbers]
        if len(ids) == 1 and len(known) <= MOST_BRANCHES:
            where = "§.target = (SELECT t.key FROM resource t WHERE t.type = ? AND t.id = ?) AND §.param = ?"
            clauses += [Clause("reference_index", where, (type_, ids[0], number)) for type_ in known]
        elif known:
            asked = f"t.type {_among(known)} AND t.id {_among(ids)}"
            where = f"§.target IN (SELECT t.key FROM resource t WHERE {asked}) AND §.param = ?"
            clauses.append(Clause("reference_index", where, (*known, *ids, number)))
    return clauses


def _tokens(number: int, values: Sequence[Token]) -> list[Clause]:
    """The codes, those that are asked for in the same manner together."""
    pairs = [(bounded(v.code), system_number(v.system)) for v in values if v.code is not None and v.system is not None]
    codes = [bounded(value.code) for value in values if value.code is not None and value.system is None]
    systems = [system_number(value.system) for value in values if value.code is None and value.system is not None]
    clauses = []
    if len(pairs) == 1:
        where = "§.param = ? AND §.code = ? AND §.system = ?"
        clauses.append(Clause("token_index", where, (number, *pairs[0])))
    elif pairs:
        distinct = sorted({code for code, _ in pairs})
        systems_of = {system for _, system in pairs}
        if len(systems_of) == 1:
            same, found = "§.system = ?", tuple(systems_of)
        else:
            same = f"(§.code, §.system) IN (VALUES {','.join(['(?, ?)'] * len(pairs))})"
            found = tuple(value for pair in pairs for value in pair)
        where = f"§.param = ? AND §.code {_among(distinct)} AND {same}"
        clauses.append(Clause("token_index", where, (number, *distinct, *found)))
    if codes:
        clauses.append(Clause("token_index", f"§.param = ? AND §.code {_among(codes)}", (number, *codes)))
    if systems:
        clauses.append(Clause("token_index", f"§.param = ? AND §.system {_among(systems)}", (number, *systems)))
    return clauses


def _string(number: int, modifier: str | None, value: Text) -> Clause:
    folded = normalize(value.text)
    if modifier == "exact":
        text = bounded(value.text)
        where, values = "§.folded = ? AND §.value = ?", (bounded(folded), text)
    elif modifier == "equal":
        where, values = "§.folded = ?", (bounded(folded),)  # type: ignore[assignment]
    elif modifier == "ends":
        where, values = "§.folded LIKE ? ESCAPE '\\'", (f"%{_escape_like(folded)}",)  # type: ignore[assignment]
    elif modifier == "contains":
        where, values = "§.folded LIKE ? ESCAPE '\\'", (f"%{_escape_like(folded)}%",)  # type: ignore[assignment]
    else:
        where, values = "§.folded >= ? AND §.folded < ?", (folded, folded + LAST_CHARACTER)
    return Clause("string_index", f"§.param = ? AND {where}", (number, *values))


def _escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _uri(number: int, modifier: str | None, value: Text) -> Clause:
    text = bounded(value.text)
    if modifier in ("below", "text"):
        start = "§.param = ? AND §.value >= ? AND §.value < ?"
        return Clause("uri_index", start, (number, text, text + LAST_CHARACTER))
    if modifier == "above":
        above = [bounded(one) for one in ancestors(value.text)]
        return Clause("uri_index", f"§.param = ? AND §.value {_among(above)}", (number, *above))
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


def numeric(value: Range | Canonical, prefix: str = "") -> list[Test]:
    """The same over numbers. Nearly all are points; the wide ones (ranges, comparators) have an index of their own."""
    low, high = value.low, value.high
    return {
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
    }[prefix or value.prefix]  # type: ignore[union-attr]


def _quantity(number: int, value: Range) -> list[Clause]:
    """By the unit that was sent; by the canonical one where the unit has one, so that `mg/L` finds `mg/dL`."""
    clauses = []
    for param, tests, unit, values in quantities(number, value):
        clauses += [
            Clause("quantity_index", f"§.param = ? AND {test}{unit}", (param, *bounds, *values))
            for test, bounds in tests
        ]
    return clauses


def quantities(number: int, value: Range) -> list[tuple[int, list[Test], str, tuple[Any, ...]]]:
    """How a quantity is asked for: (parameter's number, tests of the value, test of the unit, its values)."""
    found: list[tuple[int, list[Test], str, tuple[Any, ...]]] = []
    if value.canonical is not None:
        tests = numeric(value.canonical, value.prefix)
        found.append((canonical_number(number), tests, " AND §.code = ?", (value.canonical.dimension,)))
        if value.system is not None:
            return found
    unit, values = "", []
    if value.code is not None:
        unit += " AND §.code = ?"
        values.append(bounded(value.code))
    if value.system is not None:
        unit += " AND §.system = ?"
        values.append(system_number(value.system))  # type: ignore[arg-type]
    found.append((number, numeric(value), unit, tuple(values)))
    return found


def _composite(number: int, value: Composite) -> list[Clause]:
    """Rows whose components all fit; the first is a token, the third (of a sequence's coordinates) a number."""
    first = value.values[0]
    assert isinstance(first, Token)
    found: list[tuple[int, str, tuple[Any, ...]]] = [(number, "", ())]
    if first.code is not None:
        found = [(number, " AND §.code = ?", (bounded(first.code),))]
    if first.system is not None:
        found = [(p, f"{test} AND §.system = ?", (*v, system_number(first.system))) for p, test, v in found]
    second = _second(number, value.values[1])
    found = [(p, head + test, (*v, *more)) for _, head, v in found for p, test, more in second]
    if len(value.values) > 2 and isinstance(third := value.values[2], Range):
        last = [(_moved(test), bounds) for test, bounds in numeric(third)]
        found = [(p, f"{head} AND ({test})", (*v, *more)) for p, head, v in found for test, more in last]
    return [Clause("composite_index", f"§.param = ?{test}", (param, *values)) for param, test, values in found]


def _moved(test: str) -> str:
    return test.replace("§.low", "§.low2").replace("§.high", "§.high2")


def _second(number: int, value: Any) -> list[tuple[int, str, tuple[Any, ...]]]:
    if isinstance(value, Range):
        return [
            (param, f" AND ({test}){unit.replace('§.system', '§.value_system').replace('§.code', '§.value')}", (*b, *v))
            for param, tests, unit, v in quantities(number, value)
            for test, b in tests
        ]
    if isinstance(value, Target):
        return [(number, " AND §.value = ?", (bounded(value.url or f"{value.type}/{value.id}"),))]
    assert isinstance(value, Token)
    test, values = "", []
    if value.code is not None:
        test, values = " AND §.value = ?", [bounded(value.code)]
    if value.system is not None:
        test, values = f"{test} AND §.value_system = ?", [*values, system_number(value.system)]
    return [(number, test, tuple(values))]
