"""The R4 core definitions and our own profiles, loaded once.

Structures, value sets, code systems and concept maps stay packed until somebody asks for one.
Source: the package hl7.fhir.r4.core 4.0.1 and `fhir_profiles/fsh-generated/resources`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from service.conformance.concepts import CodeSystem, ConceptMap, ValueSet
from service.conformance.package import Package, read
from service.conformance.records import CORE, Structure, canonical
from service.fhir.json import decode
from service.fhir.parameters import SearchParameters
from service.settings import shipped

CORE_PACKAGE = ("fhir_profiles", "packages", "hl7.fhir.r4.core-4.0.1.tgz")
OWN_RESOURCES = ("fhir_profiles", "fsh-generated", "resources")

T = TypeVar("T")


class Definitions:
    """What is defined; every lookup by canonical ignores the version behind `|`."""

    def __init__(self, package: Package, own_folder: Path) -> None:
        self._package = package
        self._own_folder = own_folder
        self._structures: dict[str, Structure] = {}
        self.resource_types: frozenset[str] = frozenset(package.resource_types)
        self.search_parameters = SearchParameters(package.parameters)
        self.compartments: dict[str, dict[str, list[str]]] = package.compartments
        self.own_canonicals: frozenset[str] = frozenset(package.own)
        package.parameters = []

    def structure(self, url: str) -> Structure | None:
        """The type by its name (`Observation`, `Quantity`, `code`) or url, or the profile by its url; None if unknown.

        `elements` of a type are its snapshot, of a profile its differential.
        """
        url = canonical(url) if "/" in url else CORE + url
        found = self._structures.get(url)
        if found is None:
            found = _unpacked(self._package.structures, url, Structure)
            if found is not None:
                self._structures[url] = found
        return found

    def structures(self) -> tuple[str, ...]:
        """The urls of all StructureDefinitions: types, profiles and extensions."""
        return tuple(self._package.structures)

    def value_set(self, url: str) -> ValueSet | None:
        """The composition of a value set."""
        return _unpacked(self._package.value_sets, canonical(url), ValueSet)

    def code_system(self, url: str) -> CodeSystem | None:
        """The concepts of a code system."""
        return _unpacked(self._package.code_systems, canonical(url), CodeSystem)

    def concept_map(self, url: str) -> ConceptMap | None:
        """The rows of a concept map."""
        return _unpacked(self._package.concept_maps, canonical(url), ConceptMap)

    def concept_maps(self) -> tuple[str, ...]:
        """The canonicals of all concept maps."""
        return tuple(self._package.concept_maps)

    def resource(self, url: str) -> dict[str, Any] | None:
        """One of our own conformance resources by canonical, as JSON; None if it is not ours."""
        name = self._package.own.get(canonical(url))
        return decode((self._own_folder / name).read_bytes(), max_depth=200) if name else None

    def own_resources(self) -> list[dict[str, Any]]:
        """All of our own conformance resources (they have a `url`), read from their files at each call."""
        return [decode((self._own_folder / name).read_bytes(), max_depth=200) for name in self._package.own.values()]


def _unpacked(packed: dict[str, msgspec.Raw], url: str, kind: type[T]) -> T | None:
    raw = packed.get(url)
    return msgspec.msgpack.decode(raw, type=kind) if raw is not None else None


def load(cache_dir: Path | None = None, own: Path | None = None) -> Definitions:
    """The definitions; `cache_dir` keeps the compiled form, `own` replaces the folder of our resources."""
    folder = own or shipped(*OWN_RESOURCES)
    return Definitions(read(shipped(*CORE_PACKAGE), folder, cache_dir), folder)
