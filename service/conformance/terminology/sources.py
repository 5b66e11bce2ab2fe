"""What is at hand: value sets, code systems and concept maps by canonical, with or without a version behind `|`.

A version that is asked for and is not the one at hand is a gap, never another version's answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from service.conformance.concepts import CodeSystem, ConceptMap, Include, ValueSet
from service.conformance.definitions import Definitions
from service.conformance.records import canonical
from service.conformance.terminology.gaps import Unanswerable, Verdict, missing
from service.conformance.terminology.grammars import GRAMMARS, IMPLICIT, Grammar
from service.conformance.terminology.systems import System

KEPT = 64  # value sets, the last ones that were asked for
T = TypeVar("T")


class Sources:
    """Opens definitions when first asked for them and keeps the code systems open.

    `demanded` are versions that a request wants of code systems: system → version.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._systems: dict[str, System] = {}
        self._value_sets: dict[str, ValueSet] = {}
        self._lists: dict[str, Any] = {}
        self.demanded: Mapping[str, str] = {}

    def demanding(self, versions: Mapping[str, str]) -> Sources:
        """The same sources for a request that wants these versions of code systems."""
        other = Sources(self._definitions)
        other._systems, other._value_sets, other.demanded = self._systems, self._value_sets, versions
        return other

    def value_set(self, url: str) -> ValueSet | Unanswerable:
        """The value set of a canonical."""
        name, _, version = url.partition("|")
        found = self._value_sets.get(name) or self._definitions.value_set(name)
        if found is None and name in IMPLICIT:
            found = ValueSet(name, (Include(IMPLICIT[name], (), (), ()),), (), status="active")
        if found is None:
            return missing(f"The value set {name} is not at hand")
        _keep(self._value_sets, name, found)
        if version and found.version and version != found.version:
            return missing(f"The value set {name} is here in version {found.version}, not {version}")
        return found

    def listed(self, value_set: ValueSet, make: Callable[[], T]) -> T:
        """What `make` makes of a value set: kept for those of the definitions, so that pages are cut from one list."""
        if self._value_sets.get(value_set.url) is not value_set:
            return make()
        found = self._lists.get(value_set.url)
        if found is None:
            found = make()
            _keep(self._lists, value_set.url, found)
        return found

    def system(self, url: str, version: str = "") -> System | Unanswerable:
        """The code system of a canonical, as far as it is here."""
        name, _, behind = url.partition("|")
        wanted = version or behind
        found = self._open(canonical(name))
        if found is None:
            return missing(f"The code system {canonical(name)} is not at hand")
        here = found.record.version
        for asked in (wanted, self.demanded.get(canonical(name), "")):
            if asked and here and asked != here:
                return missing(f"The code system {canonical(name)} is here in version {here}, not {asked}")
        return found

    def grammar(self, url: str) -> Grammar | None:
        """The grammar of a code system that is one."""
        return GRAMMARS.get(canonical(url))

    def defines(self, url: str, code: str, version: str = "") -> Verdict:
        """Whether the code is one of the system's."""
        grammar = self.grammar(url)
        if grammar is not None:
            return grammar.wrong(code) is None
        found = self.system(url, version)
        return found if isinstance(found, Unanswerable) else found.defines(code)

    def concept_map(self, url: str) -> ConceptMap | Unanswerable:
        """The concept map of a canonical."""
        name, _, version = url.partition("|")
        found = self._definitions.concept_map(name)
        if found is None:
            return missing(f"The concept map {name} is not at hand")
        if version and found.version and version != found.version:
            return missing(f"The concept map {name} is here in version {found.version}, not {version}")
        return found

    def concept_maps(self) -> tuple[str, ...]:
        """The canonicals of all concept maps."""
        return self._definitions.concept_maps()

    def _open(self, url: str) -> System | None:
        if url not in self._systems:
            record: CodeSystem | None = self._definitions.code_system(url)
            if record is None:
                return None
            self._systems[url] = System(record)
        return self._systems[url]


def _keep(kept: dict[str, T], name: str, value: T) -> None:
    """Remembers a value, and forgets the oldest when there are many; several threads may do so at once."""
    kept[name] = value
    for oldest in list(kept)[:-KEPT]:
        kept.pop(oldest, None)
