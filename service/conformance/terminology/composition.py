"""What a value set holds: one code of it, or all of them.

One code is answered by its own part of the definition alone, so that a system that is not at hand matters only where
the answer hangs on it. Source: https://hl7.org/fhir/R4/valueset.html#compositions
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from service.conformance.concepts import Designation, Include, ValueSet
from service.conformance.records import canonical
from service.conformance.terminology.gaps import (
    Unanswerable,
    Verdict,
    all_of,
    any_of,
    missing,
    opposite,
    too_costly,
)
from service.conformance.terminology.sources import Sources
from service.conformance.terminology.systems import System
from service.fhir import ucum

MAX_NESTING = 20


class Entry(NamedTuple):
    """One code of an expansion; `display` is the value set's own text where it has one.

    `swept`: an abstract code that came with its whole system and was not chosen by list or filter.
    """

    display: str = ""
    designations: tuple[Designation, ...] = ()
    abstract: bool = False
    inactive: bool = False
    swept: bool = False


Entries = dict[tuple[str, str], Entry]


class Composer:
    """Answers about value sets from `sources`.

    `steps` is how many parts and codes may be looked at before it is too much; None: as many as there are.
    """

    def __init__(self, sources: Sources, steps: int | None = None) -> None:
        self._sources = sources
        self._steps = steps

    def _step(self, many: int = 1) -> None:
        """Raises Unanswerable when more has been looked at than one request may ask for."""
        if self._steps is not None:
            self._steps -= many
            if self._steps < 0:
                raise too_costly("The value set has more parts and codes than one request may go through")

    def holds(self, value_set: ValueSet, system: str | None, code: str, path: tuple[str, ...] = ()) -> Verdict:
        """Whether the value set has the code (`system` None: of any system)."""
        looped = self._looped(value_set, path)
        if looped is not None:
            return looped
        if value_set.inactive is False and system is not None and self._inactive(system, code):
            return False
        if not value_set.include and not value_set.exclude:
            return self._given(value_set, system, code)
        here = (*path, value_set.url)
        included = any_of(self._part_holds(part, system, code, here) for part in value_set.include)
        if included is False or not value_set.exclude:
            return included
        excluded = any_of(self._part_holds(part, system, code, here) for part in value_set.exclude)
        return all_of((included, opposite(excluded)))

    def _given(self, value_set: ValueSet, system: str | None, code: str) -> Verdict:
        if any(code == one and system in (None, of) for of, one, _ in value_set.expansion):
            return True
        if value_set.closed and value_set.expansion:
            return False
        return missing(f"The value set {value_set.url} says nothing of its content, or only a part of it")

    def _part_holds(self, part: Include, system: str | None, code: str, path: tuple[str, ...]) -> Verdict:
        if not part.system and not part.value_sets:
            return missing("A part of the value set names neither a system nor a value set")
        self._step(1 + len(part.codes))
        verdicts: list[Verdict] = []
        if part.system:
            verdicts.append(self._system_holds(part, system, code))
        for url in part.value_sets:
            found = self._sources.value_set(url)
            gap = isinstance(found, Unanswerable)
            verdicts.append(found if gap else self.holds(found, system, code, path))
        return all_of(verdicts)

    def _system_holds(self, part: Include, system: str | None, code: str) -> Verdict:
        if system is not None and canonical(system) != canonical(part.system):
            return False
        if part.codes:
            return any(one == code for one, _ in part.codes) or self._other_case(part, code)
        defined = self._sources.defines(part.system, code, part.version)
        if not part.filters or defined is False:
            return defined
        return all_of([defined, *(self._passes(part, code, one) for one in part.filters)])

    def _other_case(self, part: Include, code: str) -> bool:
        found = self._sources.system(part.system)
        written = None if isinstance(found, Unanswerable) else found.find(code)
        return written is not None and any(one == written for one, _ in part.codes)

    def _passes(self, part: Include, code: str, one: tuple[str, str, str]) -> Verdict:
        name, operation, value = one
        if canonical(part.system) == ucum.SYSTEM and (name, operation) == ("canonical", "="):
            unit, like = ucum.parse(code), ucum.parse(value)
            if unit is None or like is None:
                return missing("Only units that are a multiple of others have a canonical unit here")
            return unit.dimension == like.dimension
        found = self._complete(part)
        if isinstance(found, Unanswerable):
            return found
        self._step(len(found.displays))
        passed = found.filtered(name, operation, value)
        return passed if isinstance(passed, Unanswerable) else found.find(code) in passed

    def _complete(self, part: Include) -> System | Unanswerable:
        """The system of a part where all its codes are needed."""
        grammar = self._sources.grammar(part.system)
        if grammar is not None:
            text = f"{grammar.name}, {canonical(part.system)}, is a grammar and has no list of its codes"
            return too_costly(f"{text}; single codes can be asked for with $validate-code")
        found = self._sources.system(part.system, part.version)
        return found.incomplete() if isinstance(found, System) and not found.complete else found

    def _inactive(self, system: str, code: str) -> bool:
        found = self._sources.system(system)
        return not isinstance(found, Unanswerable) and found.find(code) in found.inactive

    def entries(self, value_set: ValueSet, path: tuple[str, ...] = ()) -> Entries:
        """All codes, in the order of the definition. Raises Unanswerable."""
        looped = self._looped(value_set, path)
        if looped is not None:
            raise looped
        here = (*path, value_set.url)
        found: Entries = {}
        if not value_set.include and not value_set.exclude:
            if not value_set.closed or not value_set.expansion:
                raise missing(f"The value set {value_set.url} says nothing of its content, or only a part of it")
            found = {(system, code): self._entry(system, code, text) for system, code, text in value_set.expansion}
        gaps: list[Unanswerable] = []
        for number, part in enumerate((*value_set.include, *value_set.exclude)):
            self._step()
            try:
                members = self._part(part, here)
            except Unanswerable as gap:
                gaps.append(gap)
                continue
            if number >= len(value_set.include):
                found = {key: entry for key, entry in found.items() if key not in members}
            else:
                for key, entry in members.items():
                    found[key] = _joined(found[key], entry) if key in found else entry
        if gaps:
            raise Unanswerable(issues=list(dict.fromkeys(issue for gap in gaps for issue in gap.issues)))
        if value_set.inactive is False:
            found = {key: entry for key, entry in found.items() if not entry.inactive}
        return found

    def listed(self, value_set: ValueSet, system: str, code: str, path: tuple[str, ...] = ()) -> Entry:
        """The texts that the value set itself, or one that it is made of, has for a code; else an empty entry."""
        if self._looped(value_set, path) is not None:
            return Entry()
        for of, one, text in value_set.expansion:
            if (of, one) == (system, code):
                return Entry(text)
        for part in value_set.include:
            self._step(1 + len(part.codes))
            if canonical(part.system) == canonical(system) and (text := dict(part.codes).get(code)) is not None:
                return Entry(text, dict(part.designations).get(code, ()))
            for url in part.value_sets:
                found = self._sources.value_set(url)
                if isinstance(found, ValueSet):
                    entry = self.listed(found, system, code, (*path, value_set.url))
                    if entry != Entry():
                        return entry
        return Entry()

    def _part(self, part: Include, path: tuple[str, ...]) -> Entries:
        """Of one include: the system's part and every named value set, intersected. Raises Unanswerable."""
        if not part.system and not part.value_sets:
            raise missing("A part of the value set names neither a system nor a value set")
        sets = [self._of_system(part)] if part.system else []
        for url in part.value_sets:
            value_set = self._sources.value_set(url)
            if isinstance(value_set, Unanswerable):
                raise value_set
            sets.append(self.entries(value_set, path))
        first, *others = sets
        if not others:
            return first
        return {
            key: first[key]._replace(swept=any(one[key].swept for one in sets))
            for key in first
            if all(key in other for other in others)
        }

    def _of_system(self, part: Include) -> Entries:
        url = part.system.partition("|")[0]
        if part.codes:
            self._step(len(part.codes))
            own = dict(part.designations)
            return {(url, code): self._entry(url, code, text, own.get(code, ())) for code, text in part.codes}
        system = self._complete(part)
        if isinstance(system, Unanswerable):
            raise system
        members: Iterable[str] = system.displays
        self._step((1 + len(part.filters)) * len(system.displays))
        for name, operation, value in part.filters:
            passed = system.filtered(name, operation, value)
            if isinstance(passed, Unanswerable):
                raise passed
            members = [code for code in members if code in passed]
        swept = not part.filters
        return {
            (url, code): Entry(
                "", (), code in system.abstract, code in system.inactive, swept and code in system.abstract
            )
            for code in members
        }

    def _entry(self, system: str, code: str, display: str, designations: tuple[Designation, ...] = ()) -> Entry:
        found = None if self._sources.grammar(system) else self._sources.system(system)
        if not isinstance(found, System):
            return Entry(display, designations)
        return Entry(display, designations, code in found.abstract, code in found.inactive)

    def _looped(self, value_set: ValueSet, path: tuple[str, ...]) -> Unanswerable | None:
        if value_set.url and value_set.url in path:
            return missing(f"The value set {value_set.url} is made of itself")
        return missing("Value sets stand too deep in one another") if len(path) > MAX_NESTING else None


def _joined(one: Entry, other: Entry) -> Entry:
    """A code that two parts bring: the first text, and chosen where one of them chose it."""
    if one == other:
        return one
    return one._replace(
        display=one.display or other.display,
        designations=one.designations or other.designations,
        swept=one.swept and other.swept,
    )
