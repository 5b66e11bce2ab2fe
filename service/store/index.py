"""Resource → search values, from the SearchParameter definitions.

The parameters of a type are compiled once into a table from JSON key to extractors, so that a resource costs only
the elements it has. Source: https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo
from typing import Any

from service.fhir import references
from service.fhir.parameters import SearchParameters
from service.store.composites import Pairing, pairings
from service.store.conversions import CONVERTERS, Convert, Values
from service.store.numbering import bounded, identifier_number, parameter_number, system_number
from service.store.paths import Step, UnknownPath, compile_path

__all__ = ["UNCOVERED", "Indexer", "Values", "bounded", "identifier_number", "parameter_number", "system_number"]

UNCOVERED = 0  # parameter number of references that no search parameter covers

Extractor = tuple[int, tuple[Step, ...], Convert]


class Indexer:
    """Compiles the parameters of a type at its first use and extracts the values of resources."""

    def __init__(self, parameters: SearchParameters, zone: tzinfo) -> None:
        self.parameters, self.zone = parameters, zone
        self._tables: dict[str, dict[str, list[Extractor]]] = {}
        self._composites: dict[str, list[Pairing]] = {}

    def values(self, resource: dict[str, Any], local: Iterable[tuple[Any, Any, str]]) -> Values:
        """The search values; `local` are the resource's relative references (references.Links.local)."""
        type_ = resource["resourceType"]
        table = self._tables.get(type_) or self._compile(type_)
        values = Values()
        for key, element in resource.items():
            for number, steps, convert in table.get(key, ()):
                nodes = element if type(element) is list else (element,)
                for step in steps:
                    nodes = [child for node in nodes for child in step(node)]
                for node in nodes:
                    convert(node, number, values, self.zone)
        for pairing in self._composites[type_]:
            pairing.extract(resource, values, self.zone)
        covered = {(target, id_) for _, target, id_ in values.reference}
        for _, _, text in local:
            target = references.local(text)
            if target and (target.type, target.id) not in covered:
                values.reference.add((UNCOVERED, target.type, target.id))
        return values

    def _compile(self, resource_type: str) -> dict[str, list[Extractor]]:
        table: dict[str, list[Extractor]] = {}
        for parameter in self.parameters.of(resource_type).values():
            convert = CONVERTERS.get(parameter.type)
            if convert is None or parameter.parts or parameter.code in ("_id", "_lastUpdated"):
                continue
            try:
                paths = compile_path(parameter.expression)
            except UnknownPath:
                continue
            number = parameter_number(resource_type, parameter.code)
            for keys, steps in paths:
                for key in keys:
                    table.setdefault(key, []).append((number, steps, convert))
        self._composites[resource_type] = pairings(resource_type, self.parameters)
        self._tables[resource_type] = table
        return table
