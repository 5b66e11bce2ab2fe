"""Local codes to standard ones by ConceptMaps, units to those of the trial; what was sent is kept beside.

Only `equal` and `equivalent` rows of active maps count, and only where all of them agree on one code of a system. What
no map names is left as it is and told: a code is never guessed. A row `unmatched` says that there is none. Maps:
`mappings/ehr/concept-maps` and those that are stored, which go before the shipped ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.fhir.json import decode
from service.fhir.operations import Resource
from service.settings import shipped
from service.store.database import Database
from service.sync.units import Unclear, Units, converted, trial_units

# Systems under these are not of one hospital: https://hl7.org/fhir/R4/terminologies-systems.html
STANDARD = (
    "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org", "http://hl7.org/",
    "http://terminology.hl7.org/", "http://www.whocc.no/atc", "http://www.nlm.nih.gov/research/umls/rxnorm",
    "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl", "http://clinicaltrials.gov", "urn:iso:", "urn:ietf:",
    "https://cart-fhir.example/fhir/",
)  # fmt: skip
CONCEPTS = ("code", "medicationCodeableConcept", "valueCodeableConcept", "event", "vaccineCode")
NONE = {"system": "", "code": ""}  # a map says that there is no code: nobody has to look again
NO_CODE = frozenset({"unmatched", "disjoint"})
EQUIVALENT = frozenset({"equal", "equivalent"})

Key = tuple[str, str]  # system, code
Table = Mapping[Key, tuple[dict[str, str], ...]]


@dataclass(slots=True)
class Told:
    """What could not be harmonised: codes as (system, code), units as (code of the result, unit)."""

    codes: set[Key] = field(default_factory=set)
    units: set[Key] = field(default_factory=set)


class Harmoniser:
    """Harmonises resources by `table` (codings by local code, () where a map says that there are none) and `units`."""

    def __init__(self, table: Table, units: Units | None = None) -> None:
        self.table = table
        self.units = trial_units() if units is None else units

    def apply(self, resource: Resource) -> Told:
        """Changes the resource in place; doing so again changes nothing more."""
        told = Told()
        self._node(resource, told)
        for component in _dicts(resource.get("component")):
            self._node(component, told)
        return told

    def _node(self, node: dict[str, Any], told: Told) -> None:
        for name in CONCEPTS:
            if isinstance(concept := node.get(name), dict):
                self._concept(concept, told)
        unit = self._unit(node.get("code"))
        if unit is not None and isinstance(quantity := node.get("valueQuantity"), dict):
            self._quantity(node, quantity, unit, told)

    def _concept(self, concept: dict[str, Any], told: Told) -> None:
        codings = _dicts(concept.get("coding"))
        systems = {coding.get("system") for coding in codings}
        local = [coding for coding in codings if is_local(coding.get("system"))]
        if not local:
            return
        new: list[dict[str, str]] = []
        for coding in local:
            targets = self.table.get((coding["system"], str(coding.get("code"))), ())
            new += [target for target in targets if target["system"] not in systems and target not in new]
        if len({target["system"] for target in new}) < len(new):
            new = []  # two local codes that lead to two codes of one system: a person has to look
        if new:
            concept["coding"] = [*codings, *(dict(target) for target in new)]
        elif all(is_local(system) for system in systems):
            keys = {(coding["system"], str(coding.get("code"))) for coding in local}
            told.codes |= {key for key in keys if key not in self.table or self.table[key]}

    def _unit(self, concept: Any) -> str | None:
        for coding in _dicts(concept.get("coding")) if isinstance(concept, dict) else ():
            if (unit := self.units.get((coding.get("system", ""), coding.get("code", "")))) is not None:
                return unit
        return None

    def _quantity(self, node: dict[str, Any], quantity: dict[str, Any], unit: str, told: Told) -> None:
        try:
            node["valueQuantity"] = new = converted(quantity, unit)
        except Unclear as unclear:
            code = next((one.get("code", "") for one in _dicts(node["code"].get("coding"))), "")
            told.units.add((code, unclear.unit))
            return
        if new is quantity:
            return
        for range_ in _dicts(node.get("referenceRange")):
            for end in ("low", "high"):
                if isinstance(bound := range_.get(end), dict):
                    # A bound without a unit is in that of the result: hl7.org/fhir/R4/observation.html#notes
                    named = bound if bound.keys() & {"code", "unit", "system"} else {**bound, **_named(quantity)}
                    try:
                        range_[end] = converted(named, unit)
                    except Unclear as unclear:
                        told.units.add((next(iter(_codes(node["code"])), ""), unclear.unit))


def is_local(system: object) -> bool:
    """Whether a code system is of one hospital. A coding without a system is no code that a map could name."""
    return isinstance(system, str) and bool(system) and not system.startswith(STANDARD)


def _named(quantity: dict[str, Any]) -> dict[str, Any]:
    return {name: quantity[name] for name in ("unit", "system", "code") if name in quantity}


def _codes(concept: dict[str, Any]) -> Iterator[str]:
    yield from (one["code"] for one in _dicts(concept.get("coding")) if "code" in one)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def table_of(maps: Iterable[Resource]) -> dict[Key, tuple[dict[str, str], ...]]:
    """The codings to which the maps lead, by local code; the later map goes before the earlier."""
    found: dict[Key, dict[str, dict[str, str]]] = {}
    for map_ in maps:
        rows: dict[tuple[str, str, str], list[dict[str, str]]] = {}
        for source, code, target, row in _rows(map_):
            rows.setdefault((source, code, target), []).append(row)
        for (source, code, target), codings in rows.items():
            known = found.setdefault((source, code), {})
            if codings == [NONE]:
                known[target] = NONE
            elif len(codings) == 1 and codings[0]:
                known[target] = codings[0]
            else:
                known.pop(target, None)
    return {key: tuple(one for one in targets.values() if one != NONE) for key, targets in found.items() if targets}


def _rows(map_: Resource) -> Iterator[tuple[str, str, str, dict[str, str]]]:
    """(source system, code, target system, coding): NONE where no code fits, empty where that is not sure."""
    for group in _dicts(map_.get("group")):
        source, system = group.get("source"), group.get("target")
        if not isinstance(source, str) or not isinstance(system, str) or not is_local(source):
            continue
        for element in _dicts(group.get("element")):
            for target in _dicts(element.get("target")):
                coding = {"system": system, "code": target.get("code"), "display": target.get("display")}
                fits = target.get("equivalence") in EQUIVALENT and target.get("code") and not target.get("dependsOn")
                none = target.get("equivalence") in NO_CODE
                yield source, str(element.get("code")), system, _present(coding) if fits else NONE if none else {}


def _present(coding: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in coding.items() if isinstance(value, str) and value}


async def load_harmoniser(database: Database) -> Harmoniser:
    """The harmoniser by the maps that ship and those that are stored now and active."""
    maps = [decode(path.read_bytes()) for path in sorted(shipped("mappings", "ehr", "concept-maps").glob("*.json"))]
    query = database.parse_condition("ConceptMap", "status=active")
    stored = [map_ async for map_ in database.resources(query)]
    stored.sort(key=lambda map_: map_.get("meta", {}).get("lastUpdated", ""))
    return Harmoniser(table_of([*maps, *stored]))
