"""Whether search values meet a condition: the search of the few resources that a transaction has not written yet.

It must say what query.py's SQL says; a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.fhir.search import Condition, Criterion, Missing
from service.fhir.values import Range, Target, Text, Token, Value, normalize
from service.store.index import Values, bounded, identifier_number, parameter_number, system_number


def matches(condition: Condition, type_: str, id_: str, updated: int, values: Values) -> bool:
    """True where the resource with these values meets the condition (a Criterion or Missing)."""
    assert isinstance(condition, (Criterion, Missing))
    parameter = condition.parameter
    number = parameter_number(type_, parameter.code)
    if isinstance(condition, Missing):
        if parameter.code in ("_id", "_lastUpdated"):
            return not condition.missing
        return condition.missing != any(row[0] == number for table in _tables(parameter.type, values) for row in table)
    if parameter.code == "_id":
        found = any(isinstance(value, Token) and value.code == id_ for value in condition.values)
    elif parameter.code == "_lastUpdated":
        found = any(in_range(value, updated, updated + 1) for value in condition.values if isinstance(value, Range))
    else:
        test = _TESTS[parameter.type]
        found = any(test(value, condition.modifier, number, values) for value in condition.values)
    return found != (condition.modifier == "not")


def _tables(type_: str, values: Values) -> tuple[Any, ...]:
    return (values.reference, values.uri) if type_ == "reference" else (getattr(values, type_),)


def in_range(value: Range, low: float, high: float) -> bool:
    """R4's comparison of the target range [low, high) with the asked one: hl7.org/fhir/R4/search.html#prefix."""
    return {
        "eq": low >= value.low and high <= value.high,
        "ne": low < value.low or high > value.high,
        "gt": high > value.high,
        "lt": low < value.low,
        "ge": high > value.high or (low >= value.low and high <= value.high),
        "le": low < value.low or (low >= value.low and high <= value.high),
        "sa": low >= value.high,
        "eb": high <= value.low,
        "ap": low < value.high and high > value.low,
    }[value.prefix]


def number_in_range(value: Range, low: float, high: float) -> bool:
    """The same for numbers, which are points (low = high) or closed ranges."""
    return {
        "eq": value.low <= low and high < value.high,
        "ne": low < value.low or high >= value.high,
        "gt": high > value.high,
        "lt": low < value.low,
        "ge": high >= value.high,
        "le": low <= value.low,
        "sa": low > value.high,
        "eb": high < value.low,
        "ap": low <= value.high and high >= value.low,
    }[value.prefix]


def _token(value: Value, modifier: str | None, number: int, values: Values) -> bool:
    assert isinstance(value, Token)
    system = None if value.system is None else system_number(value.system)
    code = None if value.code is None else bounded(value.code)
    return any(
        param == number and (code is None or code == row_code) and (system is None or system == row_system)
        for param, row_code, row_system in values.token
    )


def _reference(value: Value, modifier: str | None, number: int, values: Values) -> bool:
    if isinstance(value, Token):
        return _token(value, None, identifier_number(number), values)
    assert isinstance(value, Target)
    if value.url is not None:
        return (number, bounded(value.url)) in values.uri
    return any(
        param == number and id_ == value.id and value.type in (None, type_) for param, type_, id_ in values.reference
    )


def _string(value: Value, modifier: str | None, number: int, values: Values) -> bool:
    assert isinstance(value, Text)
    folded = normalize(value.text)
    test: Callable[[str, str], bool] = {
        None: lambda row, text: row.startswith(folded),
        "contains": lambda row, text: folded in row,
        "exact": lambda row, text: text == bounded(value.text),
    }[modifier]
    return any(param == number and test(row, text) for param, row, text in values.string)


def _uri(value: Value, modifier: str | None, number: int, values: Values) -> bool:
    assert isinstance(value, Text)
    asked = bounded(value.text)
    return any(
        param == number and (row == asked or (modifier == "below" and row.startswith(asked)))
        for param, row in values.uri
    )


def _date(value: Value, modifier: str | None, number: int, values: Values) -> bool:
    return isinstance(value, Range) and any(p == number and in_range(value, lo, hi) for p, lo, hi in values.date)


def _number(value: Value, modifier: str | None, number: int, values: Values) -> bool:
    return isinstance(value, Range) and any(
        p == number and number_in_range(value, lo, hi) for p, lo, hi in values.number
    )


def _quantity(value: Value, modifier: str | None, number: int, values: Values) -> bool:
    assert isinstance(value, Range)
    system = None if value.system is None else system_number(value.system)
    return any(
        param == number
        and number_in_range(value, low, high)
        and (value.code is None or value.code == code)
        and (system is None or system == row_system)
        for param, low, high, code, row_system in values.quantity
    )


_TESTS: dict[str, Callable[[Value, str | None, int, Values], bool]] = {
    "token": _token,
    "reference": _reference,
    "string": _string,
    "uri": _uri,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
}
