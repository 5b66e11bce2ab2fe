"""Value sets, code systems and concept maps: what they hold, say and lead to, from what the definitions carry.

A value set that rests on a code system that is not at hand (SNOMED CT, LOINC…) cannot be known in full: None, or a gap
that names what is missing, never a guess. UCUM, BCP 47 and BCP 13 are known by their grammars, and have no list.

    gaps          why an answer cannot be given
    grammars      code systems that are no lists
    systems       one code system: concepts, hierarchy, filters
    sources       what is at hand, by canonical and version
    composition   value sets: one code, or all
    expansion     all codes as `$expand` shows them
    concepts      one code as `$lookup` and `$validate-code` show it
    maps          concept maps
"""

from __future__ import annotations

from collections.abc import Mapping

from service.conformance.definitions import Definitions
from service.conformance.records import canonical
from service.conformance.terminology.composition import Composer
from service.conformance.terminology.gaps import Unanswerable
from service.conformance.terminology.maps import Target, targets
from service.conformance.terminology.sources import Sources
from service.conformance.terminology.systems import System

__all__ = ["Codes", "Target", "Terminology", "Unanswerable"]

Codes = Mapping[str, frozenset[str]]


class Terminology:
    """Answers about codes; expansions and systems are unpacked once, when first asked for."""

    def __init__(self, definitions: Definitions) -> None:
        self.sources = Sources(definitions)
        self._composer = Composer(self.sources)
        self._expansions: dict[str, Codes | None] = {}
        self._maps: dict[str, Mapping[str, list[tuple[str, Target]]]] = {}

    def expand(self, value_set: str) -> Codes | None:
        """The codes of a value set by system, or None where it cannot be known in full."""
        url = canonical(value_set)
        if url not in self._expansions:
            found = self.sources.value_set(url)
            if isinstance(found, Unanswerable):
                return None
            codes: dict[str, set[str]] = {}
            try:
                for (system, code), entry in self._composer.entries(found).items():
                    if not entry.swept:
                        codes.setdefault(system, set()).add(code)
            except Unanswerable:
                codes = {}
            self._expansions[url] = {system: frozenset(members) for system, members in codes.items()} or None
        return self._expansions[url]

    def contains(self, value_set: str, system: str | None, code: str) -> bool | None:
        """Whether the value set holds the code (`system` None: of any system); None: cannot know."""
        codes = self.expand(value_set)
        if codes is None:
            found = self.sources.value_set(canonical(value_set))
            verdict = found if isinstance(found, Unanswerable) else self._composer.holds(found, system, code)
            return None if isinstance(verdict, Unanswerable) else verdict
        if system is None:
            return any(code in members for members in codes.values())
        return code in codes.get(system, ())

    def known(self, system: str, code: str) -> bool | None:
        """Whether the code system defines the code; None: the system is not at hand in full."""
        grammar = self.sources.grammar(system)
        if grammar is not None:
            return grammar.wrong(code) is None
        found = self.sources.system(system)
        return found.find(code) is not None if isinstance(found, System) and found.complete else None

    def display(self, system: str, code: str) -> str | None:
        """The display of a code of a system at hand."""
        found = self.sources.system(system)
        return None if isinstance(found, Unanswerable) else found.displays.get(code) or None

    def translate(self, concept_map: str, code: str, system: str | None = None) -> list[Target]:
        """Where our concept map leads from the code; empty where it says nothing. `unmatched` has code ''."""
        url = canonical(concept_map)
        if url not in self._maps:
            found = self.sources.concept_map(url)
            if isinstance(found, Unanswerable):
                return []
            self._maps[url] = targets(found)
        rows = self._maps[url].get(code, ())
        return [target for source, target in rows if system is None or source == canonical(system)]
