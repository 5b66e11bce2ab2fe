"""Elements of a resource to rows of the index, one function for each type of search parameter.

Source: https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any

from service.fhir import references, ucum
from service.fhir.dates import EARLIEST, LATEST, date_range
from service.fhir.values import normalize, typed
from service.store.numbering import (
    bounded,
    canonical_number,
    identifier_number,
    system_number,
    text_number,
    typed_number,
)


@dataclass(slots=True)
class Values:
    """The search values of one resource, as rows without the resource's key (references by their text)."""

    token: set[tuple[int, str, int]] = field(default_factory=set)  # param, code, system
    reference: set[tuple[int, str, str]] = field(default_factory=set)  # param, type, id
    string: set[tuple[int, str, str]] = field(default_factory=set)  # param, folded, value
    date: set[tuple[int, int, int]] = field(default_factory=set)  # param, low, high
    number: set[tuple[int, float, float]] = field(default_factory=set)  # param, low, high
    quantity: set[tuple[int, float, float, str, int]] = field(default_factory=set)  # param, low, high, code, system
    uri: set[tuple[int, str]] = field(default_factory=set)  # param, value
    # param, code, system, value, value_system, low, high, low2, high2
    composite: set[tuple[int, str, int, str, int, float, float, float, float]] = field(default_factory=set)


Convert = Callable[[Any, int, Values, tzinfo], None]


def _token(node: Any, number: int, values: Values, zone: tzinfo) -> None:
    if type(node) is str:
        values.token.add((number, bounded(node), 0))
    elif type(node) is bool:
        values.token.add((number, "true" if node else "false", 0))
    elif type(node) is dict:
        if "coding" in node or "text" in node:
            for coding in node.get("coding", ()):
                _coding(coding, number, values)
            _text(node.get("text"), number, values)
        elif "code" in node:
            _coding(node, number, values)
        elif "value" in node:  # Identifier has a uri as its system, ContactPoint a code
            system = node.get("system", "")
            values.token.add((number, bounded(str(node["value"])), system_number(system if ":" in system else "")))
            if type(node.get("type")) is dict:
                _identifier_type(node["type"], str(node["value"]), number, values)


def _coding(coding: Any, number: int, values: Values) -> None:
    if type(coding) is dict and ("code" in coding or "system" in coding):
        values.token.add((number, bounded(coding.get("code", "")), system_number(coding.get("system", ""))))
        if "display" in coding:
            _text(coding["display"], number, values)


def _text(text: Any, number: int, values: Values) -> None:
    """The text of a code among the uris: one B-tree, shared by neighbours, is all that `:text` is worth."""
    if type(text) is str:
        values.uri.add((text_number(number), _folded(text)))


@lru_cache(maxsize=8192)
def _folded(text: str) -> str:
    return bounded(normalize(text))


def _identifier_type(node: dict[str, Any], value: str, number: int, values: Values) -> None:
    _text(node.get("text"), number, values)
    for coding in node.get("coding", ()):
        if "code" in coding:
            code = bounded(typed(coding["code"], value))
            values.token.add((typed_number(number), code, system_number(coding.get("system", ""))))


def _reference(node: Any, number: int, values: Values, zone: tzinfo) -> None:
    text = node.get("reference") if type(node) is dict else node
    if type(text) is str:
        target = references.local(text)
        if target:
            values.reference.add((number, target.type, target.id))
        elif not text.startswith("#"):
            values.uri.add((number, bounded(text)))
    if type(node) is dict and type(node.get("identifier")) is dict:
        _token(node["identifier"], identifier_number(number), values, zone)


_NAME_PARTS = (
    "text",
    "family",
    "given",
    "prefix",
    "suffix",
    "line",
    "city",
    "district",
    "state",
    "postalCode",
    "country",
)


def _string(node: Any, number: int, values: Values, zone: tzinfo) -> None:
    if type(node) is str:
        value = bounded(node)
        values.string.add((number, bounded(normalize(node)), value))
    elif type(node) is dict:
        for part in _NAME_PARTS:
            found = node.get(part, ())
            for text in found if type(found) is list else (found,) if found else ():
                if type(text) is str:
                    _string(text, number, values, zone)


def _uri(node: Any, number: int, values: Values, zone: tzinfo) -> None:
    if type(node) is str:
        values.uri.add((number, bounded(node)))


def _date(node: Any, number: int, values: Values, zone: tzinfo) -> None:
    if type(node) is str:
        values.date.add((number, *date_range(node, zone)))
    elif type(node) is dict:
        if "start" in node or "end" in node:
            low = date_range(node["start"], zone)[0] if "start" in node else EARLIEST
            high = date_range(node["end"], zone)[1] if "end" in node else LATEST
            values.date.add((number, low, high))
        for event in node.get("event", ()):
            _date(event, number, values, zone)
        bounds = node["repeat"].get("boundsPeriod") if type(node.get("repeat")) is dict else None
        if bounds:
            _date(bounds, number, values, zone)


def _number(node: Any, number: int, values: Values, zone: tzinfo) -> None:
    if type(node) is int or isinstance(node, Decimal):
        values.number.add((number, float(node), float(node)))


def _quantity(node: Any, number: int, values: Values, zone: tzinfo) -> None:
    if type(node) is not dict:
        return
    if "low" in node or "high" in node:  # Range
        low, high = node.get("low", {}), node.get("high", {})
        _units(low or high, number, (low.get("value"), high.get("value")), values)
    elif "value" in node:
        value, comparator = node["value"], node.get("comparator", "")
        sides = (None if comparator.startswith("<") else value, None if comparator.startswith(">") else value)
        _units(node, number, sides, values)


def _units(node: dict[str, Any], number: int, sides: tuple[Any, Any], values: Values) -> None:
    """The quantity by its code, by the unit's text where that differs, and in the canonical unit where there is one."""
    low = float("-inf") if sides[0] is None else float(sides[0])
    high = float("inf") if sides[1] is None else float(sides[1])
    code = node.get("code") or node.get("currency")
    unit = node.get("unit")
    if code or not unit:
        values.quantity.add((number, low, high, bounded(code or ""), system_number(node.get("system", ""))))
    if unit and unit != code:
        values.quantity.add((number, low, high, bounded(unit), 0))
    if code and node.get("system") == ucum.SYSTEM:
        with suppress(OverflowError):
            found = [side if side is None else ucum.canonical_float(code, Decimal(side)) for side in sides]
            known = found[0] or found[1]
            if known is not None:
                here = low if found[0] is None else found[0][1]
                there = high if found[1] is None else found[1][1]
                values.quantity.add((canonical_number(number), here, there, known[0], 0))


CONVERTERS: dict[str, Convert] = {
    "token": _token,
    "reference": _reference,
    "string": _string,
    "uri": _uri,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
}
