"""Resource → search values, from the SearchParameter definitions.

The parameters of a type are compiled once into a table from JSON key to extractors, so that a resource costs only
the elements it has. Source: https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import tzinfo
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from service.fhir import references
from service.fhir.dates import EARLIEST, LATEST, date_range
from service.fhir.parameters import SearchParameter, SearchParameters
from service.fhir.values import normalize
from service.store.paths import Step, UnknownPath, compile_path

LONGEST = 400  # characters of an indexed text; PostgreSQL's B-tree takes 2,700 bytes a row
UNCOVERED = 0  # parameter number of references that no search parameter covers


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


Convert = Callable[[Any, int, Values, tzinfo], None]
Extractor = tuple[int, tuple[Step, ...], Convert]


@lru_cache(maxsize=8192)
def parameter_number(resource_type: str, code: str) -> int:
    """The number of a parameter in the index: a CRC of its name, so that it needs no table and never changes."""
    return zlib.crc32(f"{resource_type}.{code}".encode()) & 0x7FFFFFFF


@lru_cache(maxsize=8192)
def system_number(uri: str) -> int:
    """The number of a code system in the index: 64 bits of BLAKE2b, signed; 0 is none."""
    return int.from_bytes(blake2b(uri.encode(), digest_size=8).digest(), "big", signed=True) if uri else 0


def bounded(text: str) -> str:
    """A text short enough for any B-tree; a longer one ends in its digest, so that equality still holds."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}…{blake2b(text.encode(), digest_size=16).hexdigest()}"


class Indexer:
    """Compiles the parameters of a type at its first use and extracts the values of resources."""

    def __init__(self, parameters: SearchParameters, zone: tzinfo) -> None:
        self.parameters, self.zone = parameters, zone
        self._tables: dict[str, dict[str, list[Extractor]]] = {}

    def values(self, resource: dict[str, Any], local: Iterable[tuple[Any, Any, str]]) -> Values:
        """The search values; `local` are the resource's relative references (references.Links.local)."""
        table = self._tables.get(resource["resourceType"]) or self._compile(resource["resourceType"])
        values = Values()
        for key, element in resource.items():
            for number, steps, convert in table.get(key, ()):
                nodes = element if type(element) is list else (element,)
                for step in steps:
                    nodes = [child for node in nodes for child in step(node)]
                for node in nodes:
                    convert(node, number, values, self.zone)
        covered = {(type_, id_) for _, type_, id_ in values.reference}
        for _, _, text in local:
            target = references.local(text)
            if target and (target.type, target.id) not in covered:
                values.reference.add((UNCOVERED, target.type, target.id))
        return values

    def targets(self, resource: dict[str, Any], parameter: SearchParameter) -> set[tuple[str, str]]:
        """(type, id) of the resources that the reference parameter points at: for `_include`."""
        number = parameter_number(resource["resourceType"], parameter.code)
        return {(type_, id_) for found, type_, id_ in self.values(resource, ()).reference if found == number}

    def _compile(self, resource_type: str) -> dict[str, list[Extractor]]:
        table: dict[str, list[Extractor]] = {}
        for parameter in self.parameters.of(resource_type).values():
            convert = CONVERTERS.get(parameter.type)
            if convert is None or not parameter.expression or parameter.code in ("_id", "_lastUpdated"):
                continue
            try:
                paths = compile_path(parameter.expression)
            except UnknownPath:
                continue
            number = parameter_number(resource_type, parameter.code)
            for keys, steps in paths:
                for key in keys:
                    table.setdefault(key, []).append((number, steps, convert))
        self._tables[resource_type] = table
        return table


def _token(node: Any, number: int, values: Values, zone: tzinfo) -> None:
    if type(node) is str:
        values.token.add((number, bounded(node), 0))
    elif type(node) is bool:
        values.token.add((number, "true" if node else "false", 0))
    elif type(node) is dict:
        if "coding" in node:
            for coding in node["coding"]:
                _coding(coding, number, values)
        elif "code" in node:
            _coding(node, number, values)
        elif "value" in node:  # Identifier has a uri as its system, ContactPoint a code
            system = node.get("system", "")
            values.token.add((number, bounded(str(node["value"])), system_number(system if ":" in system else "")))


def _coding(coding: Any, number: int, values: Values) -> None:
    if type(coding) is dict and ("code" in coding or "system" in coding):
        values.token.add((number, bounded(coding.get("code", "")), system_number(coding.get("system", ""))))


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


def identifier_number(number: int) -> int:
    """Where the `identifier` of a reference parameter's values is indexed, for the modifier of that name."""
    return number ^ 1 << 30


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
        bounds = [node.get(side, {}) for side in ("low", "high")]
        low = float(bounds[0].get("value", "-Infinity"))
        high = float(bounds[1].get("value", "Infinity"))
        _units(bounds[0] or bounds[1], number, low, high, values)
    elif "value" in node:
        value = float(node["value"])
        comparator = node.get("comparator", "")
        low = float("-inf") if comparator.startswith("<") else value
        high = float("inf") if comparator.startswith(">") else value
        _units(node, number, low, high, values)


def _units(node: dict[str, Any], number: int, low: float, high: float, values: Values) -> None:
    code = node.get("code") or node.get("currency")
    unit = node.get("unit")
    if code or not unit:
        values.quantity.add((number, low, high, bounded(code or ""), system_number(node.get("system", ""))))
    if unit and unit != code:
        values.quantity.add((number, low, high, bounded(unit), 0))


CONVERTERS: dict[str, Convert] = {
    "token": _token,
    "reference": _reference,
    "string": _string,
    "uri": _uri,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
}
