"""Whether search values meet a condition: the search of the few resources that a transaction has not written yet.

It must say what query.py's SQL says; a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.fhir.conditions import Condition, Criterion, Either, Every, Missing, Negation
from service.fhir.values import Canonical, Composite, Range, Target, Text, Token, Value, ancestors, normalize
from service.store.conversions import Values
from service.store.numbering import (
    bounded,
    canonical_number,
    identifier_number,
    parameter_number,
    system_number,
    text_number,
    typed_number,
)


def matches(condition: Condition, type_: str, id_: str, updated: int, values: Values) -> bool:
    """True where the resource with these values meets the condition, which looks at no other resource."""
    if isinstance(condition, Negation):
        return not matches(condition.condition, type_, id_, updated, values)
    if isinstance(condition, (Every, Either)):
        joined = all if isinstance(condition, Every) else any
        return joined(matches(one, type_, id_, updated, values) for one in condition.conditions)
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


def number_in_range(value: Range | Canonical, low: float, high: float, prefix: str = "") -> bool:
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
    }[prefix or value.prefix]  # type: ignore[union-attr]


def _token(value: Value, modifier: str | None, number: int, values: Values) -> bool:
    if isinstance(value, Text):
        return _uri(Text(normalize(value.text)), "below", text_number(number), values)
    if modifier == "of-type":
        return _token(value, None, typed_number(number), values)
    assert isinstance(value, Token)
    return any(param == number and _is_token(value, code, system) for param, code, system in values.token)


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
        "equal": lambda row, text: row == bounded(folded),
        "ends": lambda row, text: row.endswith(folded),
        "exact": lambda row, text: text == bounded(value.text),
    }[modifier]
    return any(param == number and test(row, text) for param, row, text in values.string)


def _uri(value: Value, modifier: str | None, number: int, values: Values) -> bool:
    assert isinstance(value, Text)
    asked = bounded(value.text)
    above = {bounded(one) for one in ancestors(value.text)} if modifier == "above" else {asked}
    return any(
        param == number and (row in above or (modifier == "below" and row.startswith(asked)))
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
    return any(_is_quantity(value, number, *row) for row in values.quantity)


def _is_quantity(value: Range, number: int, param: int, low: float, high: float, code: str, system: int) -> bool:
    """Whether a row, by the unit that was sent or by the canonical one, is the quantity that is asked for."""
    canonical = value.canonical
    if canonical is not None and param == canonical_number(number):
        return code == canonical.dimension and number_in_range(canonical, low, high, value.prefix)
    if param != number or (canonical is not None and value.system is not None):
        return False
    if value.system is not None and system != system_number(value.system):
        return False
    return (value.code is None or code == bounded(value.code)) and number_in_range(value, low, high)


def _composite(value: Value, modifier: str | None, number: int, values: Values) -> bool:
    assert isinstance(value, Composite)
    return any(_is_pair(value, number, row) for row in values.composite)


def _is_pair(value: Composite, number: int, row: tuple[Any, ...]) -> bool:
    param, code, system, text, text_system, low, high, low2, high2 = row
    if param not in (number, canonical_number(number)):
        return False
    first, second, *rest = value.values
    if not _is_token(first, code, system):
        return False
    if rest and not (isinstance(rest[0], Range) and number_in_range(rest[0], low2, high2)):
        return False
    if isinstance(second, Range):
        return _is_quantity(second, number, param, low, high, text, text_system)
    if isinstance(second, Target):
        return text == bounded(second.url or f"{second.type}/{second.id}")
    return _is_token(second, text, text_system)


def _is_token(value: Value, code: str, system: int) -> bool:
    assert isinstance(value, Token)
    return (value.code is None or bounded(value.code) == code) and (
        value.system is None or system_number(value.system) == system
    )


_TESTS: dict[str, Callable[[Value, str | None, int, Values], bool]] = {
    "token": _token,
    "reference": _reference,
    "string": _string,
    "uri": _uri,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "composite": _composite,
}
