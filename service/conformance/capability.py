"""The CapabilityStatement, from what is there: the interactions that have a route, the parameters, the profiles.

Parameters that choose resources are searchParams, those of every type once for all; R4 has no place for those that
shape the answer (`_count`, `_sort`, …), so that the text of `rest.documentation` names them.
Source: https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from service import __version__
from service.conformance.definitions import Definitions
from service.conformance.links import links
from service.fhir.parameters import COMMON, SearchParameter, searchable
from service.fhir.search import RESULT, SPECIAL

BASE = "https://cart-fhir.example/fhir"
RESOURCE = {
    "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type",
}  # fmt: skip
SYSTEM = {"transaction", "batch", "history-system", "search-system"}
# Records outlive what they tell of, and what a stored document holds is not looked up.
NOT_ENFORCED = frozenset({"AuditEvent", "Provenance", "Bundle"})
SOUNDLESS = "Compared as text, like name: there is no phonetic algorithm."


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
    brought = _brought(definitions)
    resources = [
        _resource(definitions, name, profiles.get(name, []), offered, codes) | _includes(definitions, name, brought)
        for name in sorted(definitions.resource_types)
    ]
    rest = {
        "mode": "server",
        "documentation": _documentation(offered),
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
        "patchFormat": ["application/fhir+json", "application/fhir+xml", "application/json-patch+json"],
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
        "referencePolicy": ["literal", "logical", *(() if name in NOT_ENFORCED else ("enforced",))],
    }
    own = _searchable(definitions.search_parameters.of(name).values(), common=False)
    if own:
        entry["searchParam"] = [_parameter(one) for one in own]
    operations = _operations(offered, ("Resource", name))
    if operations:
        entry["operation"] = operations
    return entry


def _documentation(offered: Iterable[Interaction]) -> str:
    """What the elements of a CapabilityStatement cannot say."""
    texts = ["Every create, update and delete is one transaction; referential integrity is kept."]
    if any(one.conditional and "patch" in one.codes for one in offered):
        texts.append("A patch also goes by criteria.")
    texts.append(f"Searches also take {', '.join(sorted(RESULT))}; `_contained` is false.")
    texts.append("Includes and chains follow references, not canonicals.")
    return " ".join(texts)


def _brought(definitions: Definitions) -> dict[str, list[str]]:
    """The reference parameters of all types by the types that they may point to, as `Observation:subject`."""
    found: dict[str, list[str]] = {}
    for (type_, code), targets in sorted(links(definitions).items()):
        for target in targets:
            found.setdefault(target, []).append(f"{type_}:{code}")
    return found


def _includes(definitions: Definitions, name: str, brought: dict[str, list[str]]) -> dict[str, Any]:
    own = [f"{type_}:{code}" for type_, code in sorted(links(definitions)) if type_ == name]
    both = {"searchInclude": own, "searchRevInclude": brought.get(name, [])}
    return {element: ["*", *values] for element, values in both.items() if values}


def _operations(offered: Iterable[Interaction], of: Sequence[str]) -> list[dict[str, Any]]:
    """The operations that belong to one of `of`, each once, with its addresses: `$meta-add` is Resource-meta-add."""
    found: dict[str, dict[str, list[str]]] = {}
    for one in offered:
        if one.definition and one.of in of:
            address = re.sub(r"\{(\w+):\w+\}", r"[\1]", one.path.removeprefix("/fhir/"))
            found.setdefault(one.definition, {}).setdefault(address, []).append(one.method)
    return [
        {
            "name": next(iter(addresses)).rpartition("$")[2],
            "definition": url,
            "documentation": "; ".join(f"{', '.join(methods)} {address}" for address, methods in addresses.items()),
        }
        for url, addresses in sorted(found.items())
    ]


def _searchable(parameters: Iterable[SearchParameter], common: bool) -> list[SearchParameter]:
    found = [one for one in parameters if searchable(one) and any(base in COMMON for base in one.base) == common]
    return sorted(found, key=lambda one: one.code)


def _parameter(parameter: SearchParameter) -> dict[str, Any]:
    entry = {"name": parameter.code, "type": parameter.type}
    if parameter.url:
        entry["definition"] = parameter.url
    if parameter.code == "phonetic":
        entry["documentation"] = SOUNDLESS
    return entry


def _profiles(definitions: Definitions) -> dict[str, list[str]]:
    """Our profiles by the type that they constrain."""
    found: dict[str, list[str]] = {}
    for resource in definitions.own_resources():
        if resource["resourceType"] == "StructureDefinition" and resource.get("derivation") == "constraint":
            found.setdefault(resource["type"], []).append(resource["url"])
    return {name: sorted(urls) for name, urls in found.items()}
