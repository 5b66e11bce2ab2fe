"""Composite parameters over repeated elements: the values of one element stay in one row of the index.

A composite over the resource itself needs no row, since its components are simply both asked of the resource; and one
that joins several elements is searched as its parts. Source: https://hl7.org/fhir/R4/search.html#composite
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from service.fhir.parameters import SearchParameter, SearchParameters
from service.store.conversions import CONVERTERS, Convert, Values
from service.store.numbering import bounded, canonical_number, parameter_number
from service.store.paths import Path, UnknownPath, compile_path

_ROOT = "%resource."

Cell = tuple[str, int, float, float]  # text, system, low, high


@dataclass(frozen=True, slots=True)
class Side:
    """One component: where it is found in the element, or in the whole resource, and how it becomes values."""

    paths: tuple[Path, ...]
    root: bool
    convert: Convert


@dataclass(frozen=True, slots=True)
class Pairing:
    """One composite parameter of a type: its number, its elements, its components (the first is a token)."""

    number: int
    elements: tuple[Path, ...]
    sides: tuple[Side, ...]

    def extract(self, resource: dict[str, Any], values: Values, zone: tzinfo) -> None:
        """Adds the rows of every element."""
        for element in _walk(resource, self.elements):
            found = [_values(resource if side.root else element, side, zone) for side in self.sides]
            for canonical in (False, True):
                self._add(found, canonical, values)

    def _add(self, found: list[Values], canonical: bool, values: Values) -> None:
        number = canonical_number(self.number) if canonical else self.number
        others = [list(_cells(side, canonical)) for side in found[1:]]
        for _, code, system in found[0].token:
            for text, text_system, low, high in others[0]:
                for last in others[1] if len(others) > 1 else (("", 0, 0.0, 0.0),):
                    values.composite.add((number, code, system, text, text_system, low, high, last[2], last[3]))


def pairings(type_: str, parameters: SearchParameters) -> list[Pairing]:
    """The composites of a type that need rows."""
    found = []
    for parameter in parameters.of(type_).values():
        if parameter.type == "composite" and not parameter.parts and parameter.expression != type_:
            pairing = _pairing(type_, parameter, parameters)
            if pairing is not None:
                found.append(pairing)
    return found


def _pairing(type_: str, parameter: SearchParameter, parameters: SearchParameters) -> Pairing | None:
    components = parameters.components(type_, parameter)
    if not components or components[0].parameter.type != "token":
        return None
    try:
        sides = tuple(
            Side(
                tuple(compile_path(_rooted(type_, component.expression))),
                component.expression.startswith(_ROOT),
                CONVERTERS[component.parameter.type],
            )
            for component in components
        )
        return Pairing(parameter_number(type_, parameter.code), tuple(compile_path(parameter.expression)), sides)
    except UnknownPath:
        return None


def _rooted(type_: str, expression: str) -> str:
    """The component's alternatives as paths from something that has a name."""
    return " | ".join(f"{type_}.{part.strip().removeprefix(_ROOT)}" for part in expression.split(" | "))


def _walk(node: Any, paths: Iterable[Path]) -> Iterator[Any]:
    if type(node) is not dict:
        return
    for keys, steps in paths:
        for key in node.keys() & keys:
            nodes = node[key] if type(node[key]) is list else (node[key],)
            for step in steps:
                nodes = [child for one in nodes for child in step(one)]
            yield from nodes


def _values(node: Any, side: Side, zone: tzinfo) -> Values:
    values = Values()
    for found in _walk(node, side.paths):
        side.convert(found, 0, values, zone)
    return values


def _cells(values: Values, canonical: bool) -> Iterator[Cell]:
    """The values of a second or third component; `canonical` ones only exist of quantities."""
    marked = canonical_number(0)
    for param, low, high, unit, system in values.quantity:
        if (param == marked) == canonical:
            yield unit, system, low, high
    if canonical:
        return
    for param, code, system in values.token:
        if param == 0:
            yield code, system, 0.0, 0.0
    for _, type_, id_ in values.reference:
        yield f"{type_}/{id_}", 0, 0.0, 0.0
    for param, text in values.uri:
        if param == 0:
            yield bounded(text), 0, 0.0, 0.0
    for _, low, high in (*values.number, *values.date):
        yield "", 0, float(low), float(high)
