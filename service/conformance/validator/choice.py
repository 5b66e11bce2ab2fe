"""Which profiles the code of a resource chooses, besides those that `meta.profile` claims.

A profile says so itself: `useContext` with the code `focus` and the code that triggers it. A code of our own systems
means the trial and nothing else, so its profile must be met; a public code (LOINC, SNOMED CT) may speak of any
patient, so its profile only advises. Source: https://hl7.org/fhir/R4/metadatatypes.html#UsageContext and
docs/decisions/0006-profiles-by-code.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service.conformance.definitions import Definitions
from service.conformance.records import canonical
from service.conformance.validator.trees import ancestors

# Where a resource of these types has the code that says what it is about; all others have it in `code`.
ELEMENTS = {
    "AdverseEvent": "event",
    "BiologicallyDerivedProduct": "productCode",
    "MedicationAdministration": "medicationCodeableConcept",
    "MedicationStatement": "medicationCodeableConcept",
}
Table = dict[str, tuple[str, dict[str, list[tuple[str, str]]]]]  # type → (element, code → (system, profile))


class Choice:
    """What codes choose: read from the profiles once, asked with one look into a dict for each coding."""

    def __init__(self, definitions: Definitions) -> None:
        self._required: Table = {}
        self._advised: Table = {}
        self._implied: dict[str, frozenset[str]] = {}  # profile → itself and those that it derives from
        for url in sorted(definitions.own_canonicals.intersection(definitions.structures())):
            structure = definitions.structure(url)
            assert structure is not None
            self._implied[url] = frozenset(one.url for one in ancestors(definitions, url))
            for system, code in structure.focus:
                table = self._required if system in definitions.own_canonicals else self._advised
                element = ELEMENTS.get(structure.type, "code")
                table.setdefault(structure.type, (element, {}))[1].setdefault(code, []).append((system, url))

    def required(self, resource: dict[str, Any]) -> list[str]:
        """The profiles that the resource must meet though it does not claim them."""
        return self._chosen(self._required, resource)

    def advised(self, resource: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """(profile, place, resource) of what the resource, or each entry of a Bundle, would do well to meet."""
        for place, one in _standing(resource):
            for url in self._chosen(self._advised, one):
                yield url, place, one

    def _chosen(self, table: Table, resource: dict[str, Any]) -> list[str]:
        name = resource.get("resourceType")
        entry = table.get(name) if type(name) is str else None
        if entry is None:
            return []
        concept = resource.get(entry[0])
        codings = concept.get("coding") if type(concept) is dict else None
        if type(codings) is not list:
            return []
        found: list[str] = []
        for coding in codings:
            code = coding.get("code") if type(coding) is dict else None
            if type(code) is str and code in entry[1]:
                found += [url for system, url in entry[1][code] if coding.get("system") == system]
        return self._unclaimed(found, resource) if found else found

    def _unclaimed(self, chosen: list[str], resource: dict[str, Any]) -> list[str]:
        """Each once, without those that a claim, or another that is chosen, implies."""
        meta = resource.get("meta")
        claims = meta.get("profile") if type(meta) is dict else None
        known = [canonical(url) for url in claims if isinstance(url, str)] if type(claims) is list else []
        found = dict.fromkeys(chosen)
        for url in known:
            found = {one: None for one in found if one not in self._implied.get(url, ())}
        return [url for url in found if not any(url in self._implied[one] for one in found if one != url)]


def _standing(resource: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The resource, and the resources of its entries where it is a Bundle, each with its place."""
    if type(resource) is not dict:
        return
    yield "", resource
    entries = resource.get("entry") if resource.get("resourceType") == "Bundle" else None
    for number, entry in enumerate(entries if type(entries) is list else ()):
        inner = entry.get("resource") if type(entry) is dict else None
        if type(inner) is dict:
            yield f".entry[{number}].resource", inner
