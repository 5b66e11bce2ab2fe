"""The CapabilityStatement, from what is there: the interactions that have a route, the parameters, the profiles.

Source: https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from service import __version__
from service.conformance.definitions import Definitions
from service.fhir.parameters import COMMON, SearchParameter, searchable
from service.fhir.search import SPECIAL

BASE = "https://cart-fhir.example/fhir"
RESOURCE = {
    "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type",
}  # fmt: skip
SYSTEM = {"transaction", "batch", "history-system", "search-system"}


@dataclass(frozen=True, slots=True)
class Interaction:
    """What one route does: the R4 `codes` it answers, `conditional` when it works by criteria, `compartment` when it
    searches inside one.

    Of an operation, `definition` is the canonical and `of` the type it belongs to (`Resource`: every type; `system`).
    """

    name: str
    method: str
    path: str
    codes: tuple[str, ...] = ()
    conditional: bool = False
    compartment: bool = False
    definition: str = ""
    of: str = ""


def statement(definitions: Definitions, interactions: Iterable[Interaction]) -> dict[str, Any]:
    """The CapabilityStatement of a server with these interactions; `implementation.url` is left to the caller."""
    offered = tuple(interactions)
    codes = {code for interaction in offered for code in interaction.codes}
    profiles = _profiles(definitions)
    shared = [_parameter(one) for one in _searchable(definitions.search_parameters.of("Basic").values(), common=True)]
    resources = [
        _resource(definitions, name, profiles.get(name, []), offered, codes)
        for name in sorted(definitions.resource_types)
    ]
    rest = {
        "mode": "server",
        "documentation": "Every create, update and delete is one transaction; referential integrity is kept.",
        "security": {"cors": False, "description": "For a hospital's own network, behind its access control."},
        "resource": resources,
        "interaction": [{"code": code} for code in sorted(codes & SYSTEM)],
        "searchParam": [*shared, *({"name": name, "type": "special"} for name in SPECIAL)],
    }
    system = _operations(offered, ("system",))
    if system:
        rest["operation"] = system
    if any(interaction.compartment for interaction in offered):
        names = sorted(definitions.compartments)
        rest["compartment"] = [
            f"http://hl7.org/fhir/CompartmentDefinition/{name[0].lower()}{name[1:]}" for name in names
        ]
    return {**_head(), "rest": [rest]}


def _head() -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "id": "cart-fhir",
        "url": f"{BASE}/CapabilityStatement/cart-fhir",
        "version": __version__,
        "name": "CartFhir",
        "title": "cart-fhir: FHIR R4 for the ISIKOK-19 CAR-T trial",
        "status": "active",
        "experimental": False,
        "date": "2026-01-01",
        "publisher": "cart-fhir",
        "description": "What this server does, generated from its routes, search parameters and profiles.",
        "kind": "instance",
        "software": {"name": "cart-fhir", "version": __version__},
        "implementation": {"description": "cart-fhir"},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "patchFormat": ["application/fhir+json", "application/json-patch+json"],
    }


def _resource(
    definitions: Definitions, name: str, profiles: list[str], offered: tuple[Interaction, ...], codes: set[str]
) -> dict[str, Any]:
    conditional = {code for interaction in offered if interaction.conditional for code in interaction.codes}
    entry: dict[str, Any] = {"type": name, "profile": f"http://hl7.org/fhir/StructureDefinition/{name}"}
    if profiles:
        entry["supportedProfile"] = profiles
    entry |= {
        "interaction": [{"code": code} for code in sorted(codes & RESOURCE)],
        "versioning": "versioned",
        "readHistory": "vread" in codes,
        "updateCreate": "update" in codes,
        "conditionalCreate": "create" in codes,
        "conditionalRead": "full-support",
        "conditionalUpdate": "update" in conditional,
        "conditionalDelete": "single" if "delete" in conditional else "not-supported",
        "referencePolicy": ["literal", "logical", "enforced"],
    }
    own = _searchable(definitions.search_parameters.of(name).values(), common=False)
    references = [f"{name}:{one.code}" for one in own if one.type == "reference"]
    if references:
        entry["searchInclude"] = references
    if own:
        entry["searchParam"] = [_parameter(one) for one in own]
    operations = _operations(offered, ("Resource", name))
    if operations:
        entry["operation"] = operations
    return entry


def _operations(offered: Iterable[Interaction], of: Sequence[str]) -> list[dict[str, Any]]:
    """The operations that belong to one of `of`, each once: `$meta-add` is Resource-meta-add."""
    found = {one.definition: one.path.rpartition("$")[2] for one in offered if one.definition and one.of in of}
    return [{"name": name, "definition": url} for url, name in sorted(found.items())]


def _searchable(parameters: Iterable[SearchParameter], common: bool) -> list[SearchParameter]:
    found = [one for one in parameters if searchable(one) and any(base in COMMON for base in one.base) == common]
    return sorted(found, key=lambda one: one.code)


def _parameter(parameter: SearchParameter) -> dict[str, Any]:
    entry = {"name": parameter.code, "type": parameter.type}
    if parameter.url:
        entry["definition"] = parameter.url
    return entry


def _profiles(definitions: Definitions) -> dict[str, list[str]]:
    """Our profiles by the type that they constrain."""
    found: dict[str, list[str]] = {}
    for resource in definitions.own_resources():
        if resource["resourceType"] == "StructureDefinition" and resource.get("derivation") == "constraint":
            found.setdefault(resource["type"], []).append(resource["url"])
    return {name: sorted(urls) for name, urls in found.items()}
