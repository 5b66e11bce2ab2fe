"""Value sets expanded from what the definitions carry, codes translated by our concept maps.

A value set that rests on a code system that is not at hand (UCUM, BCP-47, SNOMED CT…) cannot be known: None, never a
guess. Source: https://hl7.org/fhir/R4/valueset.html#compositions
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.conformance.definitions import Definitions
from service.conformance.records import CodeSystem, ConceptMap, Include, canonical

Codes = Mapping[str, frozenset[str]]
_MAX_NESTING = 20


@dataclass(frozen=True, slots=True)
class Target:
    """Where a concept map leads: `equivalence` as in R4 (`equivalent`, `wider`, `unmatched`…)."""

    system: str
    code: str
    display: str
    equivalence: str


class Terminology:
    """Answers about codes; expansions and systems are unpacked once, when first asked for."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._expansions: dict[str, Codes | None] = {}
        self._systems: dict[str, CodeSystem | None] = {}
        self._displays: dict[str, dict[str, str]] = {}
        self._maps: dict[str, dict[str, list[tuple[str, Target]]]] = {}

    def expand(self, value_set: str) -> Codes | None:
        """The codes of a value set by system, or None where it cannot be known in full."""
        url = canonical(value_set)
        if url not in self._expansions:
            codes = self._expand(url, 0)
            if codes is None and self._definitions.value_set(url) is None:
                return None
            self._expansions[url] = codes
        return self._expansions[url]

    def contains(self, value_set: str, system: str | None, code: str) -> bool | None:
        """Whether the value set holds the code (`system` None: of any system); None: cannot know."""
        codes = self.expand(value_set)
        if codes is None:
            return None
        if system is None:
            return any(code in members for members in codes.values())
        return code in codes.get(system, ())

    def known(self, system: str, code: str) -> bool | None:
        """Whether the code system defines the code; None: the system is not at hand in full."""
        found = self._system(system)
        if found is None or found.content != "complete":
            return None
        return code in self._display_table(system)

    def display(self, system: str, code: str) -> str | None:
        """The display of a code of a system at hand."""
        return self._display_table(system).get(code) or None

    def translate(self, concept_map: str, code: str, system: str | None = None) -> list[Target]:
        """Where our concept map leads from the code; empty where it says nothing. `unmatched` has code ''."""
        url = canonical(concept_map)
        if url not in self._maps:
            found = self._definitions.concept_map(url)
            if found is None:
                return []
            self._maps[url] = _by_code(found)
        rows = self._maps[url].get(code, ())
        return [target for source, target in rows if system is None or source == canonical(system)]

    def _system(self, url: str) -> CodeSystem | None:
        if url not in self._systems:
            found = self._definitions.code_system(url)
            if found is None:
                return None
            self._systems[url] = found
        return self._systems[url]

    def _display_table(self, url: str) -> dict[str, str]:
        if url not in self._displays:
            system = self._system(url)
            if system is None:
                return {}
            self._displays[url] = dict(system.concepts)
        return self._displays[url]

    def _expand(self, url: str, depth: int) -> Codes | None:
        value_set = self._definitions.value_set(url)
        if value_set is None or depth > _MAX_NESTING:
            return None
        codes: dict[str, set[str]] = {}
        for system, code, _ in value_set.expansion:
            codes.setdefault(system, set()).add(code)
        for part in value_set.include:
            if (found := self._part(part, depth)) is None:
                return None
            for system, members in found.items():
                codes.setdefault(system, set()).update(members)
        for part in value_set.exclude:
            if (found := self._part(part, depth)) is None:
                return None
            for system, members in found.items():
                codes.get(system, set()).difference_update(members)
        return {system: frozenset(members) for system, members in codes.items()} if codes else None

    def _part(self, part: Include, depth: int) -> Codes | None:
        """Of one include: the system's part and every named value set, intersected."""
        sets: list[Codes] = []
        if part.system:
            members = self._of_system(part)
            if members is None:
                return None
            sets.append({part.system: members})
        for url in part.value_sets:
            if (found := self._expand(url, depth + 1)) is None:
                return None
            sets.append(found)
        if not sets:
            return None
        first, *others = sets
        return {
            system: members.intersection(*(other.get(system, frozenset()) for other in others))
            for system, members in first.items()
        }

    def _of_system(self, part: Include) -> frozenset[str] | None:
        if part.codes:
            return frozenset(code for code, _ in part.codes)
        system = self._system(canonical(part.system))
        if system is None or system.content != "complete":
            return None
        members = {code for code, _ in system.concepts}
        if not part.filters:
            return frozenset(members - set(system.abstract))
        for name, operation, value in part.filters:
            found = _filtered(system, name, operation, value)
            if found is None:
                return None
            members &= found
        return frozenset(members)


def _filtered(system: CodeSystem, name: str, operation: str, value: str) -> set[str] | None:
    """The codes that pass one filter; None for a filter that is not understood."""
    everything = {code for code, _ in system.concepts}
    if name in ("concept", "code"):
        if operation in ("is-a", "descendent-of", "is-not-a"):
            below = _below(system, value)
            kinds = {"is-a": below | {value}, "descendent-of": below, "is-not-a": everything - below - {value}}
            return kinds[operation] & everything
        if operation == "in":
            return everything & {code.strip() for code in value.split(",")}
        if operation == "=":
            return everything & {value}
        if operation == "regex":
            return _matching(everything, value)
    if name == "parent" and operation == "=":
        return {child for parent, child in system.edges if parent == value}
    return None


def _matching(codes: Iterable[str], pattern: str) -> set[str] | None:
    try:
        expression = re.compile(pattern)
    except re.error:
        return None
    return {code for code in codes if expression.fullmatch(code)}


def _below(system: CodeSystem, code: str) -> set[str]:
    children: dict[str, list[str]] = {}
    for parent, child in system.edges:
        children.setdefault(parent, []).append(child)
    found: set[str] = set()
    todo = list(children.get(code, ()))
    while todo:
        if (child := todo.pop()) not in found:
            found.add(child)
            todo.extend(children.get(child, ()))
    return found


def _by_code(source: ConceptMap) -> dict[str, list[tuple[str, Target]]]:
    table: dict[str, list[tuple[str, Target]]] = {}
    for system, code, target_system, target, display, equivalence in source.rows:
        table.setdefault(code, []).append(
            (canonical(system), Target(target_system, target, display, equivalence)),
        )
    return table
