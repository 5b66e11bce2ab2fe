"""All codes of a value set as `ValueSet.expansion` shows them: filtered, in pages or nested.

Source: https://hl7.org/fhir/R4/valueset-operation-expand.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from service.conformance.concepts import Designation, ValueSet
from service.conformance.records import canonical
from service.conformance.terminology.composition import Composer, Entries, Entry
from service.conformance.terminology.gaps import Unanswerable, too_costly
from service.conformance.terminology.sources import Sources
from service.conformance.terminology.systems import System
from service.fhir.values import normalize

LARGEST = 5000  # codes in one answer
STEPS = 200_000  # parts and codes that one request may go through
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of an expansion. `uses` are (system, code) or ("", language) of designations; empty: all."""

    filter: str = ""
    offset: int = 0
    count: int | None = None
    designations: bool = False
    uses: tuple[tuple[str, str], ...] = ()
    active_only: bool = False
    nested: bool = False
    selectable_only: bool = False
    language: str = ""
    without: tuple[str, ...] = ()


def expanded(sources: Sources, value_set: ValueSet, wanted: Wanted) -> dict[str, Any]:
    """`total`, `offset`, the versions used and `contains` of an expansion. Raises Unanswerable.

    A page is cut where the expansion is flat; a nested one comes whole, and `count` 0 asks how large it is.
    """
    entries = sources.listed(value_set, lambda: Composer(sources, STEPS).entries(value_set))
    texts = Texts(sources, wanted.language)
    chosen = {key: entry for key, entry in entries.items() if _wanted(sources, texts, key, entry, wanted)}
    found: dict[str, Any] = {"total": len(chosen)}
    versions = _versions(sources, chosen)
    if versions:
        found["parameter"] = versions
    if wanted.count == 0:
        return found
    flat = list(chosen)
    if not wanted.nested:
        found["offset"] = wanted.offset
        flat = flat[wanted.offset :]
        flat = flat if wanted.count is None else flat[: wanted.count]
    if len(flat) > LARGEST:
        text = f"The expansion has {len(flat)} codes, more than the {LARGEST} of one answer"
        raise too_costly(f"{text}: ask for a part with offset and count, or with filter")
    shown = {key: texts.shown(key, chosen[key], wanted) for key in flat}
    contains = _nested(sources, shown) if wanted.nested else list(shown.values())
    if contains:
        found["contains"] = contains
    return found


class Texts:
    """Displays and designations of codes, in a language where there is one."""

    def __init__(self, sources: Sources, language: str = "") -> None:
        self._sources = sources
        self._language = language.casefold()

    def system(self, url: str) -> System | None:
        """The code system, where it is at hand."""
        found = None if self._sources.grammar(url) else self._sources.system(url)
        return found if isinstance(found, System) else None

    def designations(self, key: Key, entry: Entry) -> tuple[Designation, ...]:
        """Those of the value set, then those of the code system."""
        system = self.system(key[0])
        return (*entry.designations, *(system.detail(key[1]).designations if system else ()))

    def display(self, key: Key, entry: Entry) -> str:
        """The text in the language that is asked for, else the value set's own, else the code system's."""
        if self._language:
            for one in self.designations(key, entry):
                if speaks(one.language, self._language) and (one.use is None or one.use[1] in ("display", "preferred")):
                    return one.value
        system = self.system(key[0])
        return entry.display or (system.displays.get(key[1], "") if system else "")

    def all(self, key: Key, entry: Entry) -> list[str]:
        """Every text that names the code."""
        system = self.system(key[0])
        own = [entry.display, system.displays.get(key[1], "") if system else ""]
        return [text for text in (*own, *(one.value for one in self.designations(key, entry))) if text]

    def shown(self, key: Key, entry: Entry, wanted: Wanted) -> dict[str, Any]:
        """One `contains`."""
        system = self.system(key[0])
        found: dict[str, Any] = {"system": key[0]} if key[0] else {}
        found |= {"abstract": True} if entry.abstract else {}
        found |= {"inactive": True} if entry.inactive else {}
        if system is not None and system.record.version:
            found["version"] = system.record.version
        found["code"] = key[1]
        display = self.display(key, entry)
        found |= {"display": display} if display else {}
        if wanted.designations:
            chosen = [one for one in self.designations(key, entry) if _asked_for(one, wanted.uses)]
            found |= {"designation": [designation(one) for one in chosen]} if chosen else {}
        return found


def speaks(tag: str, language: str) -> bool:
    """Whether a text of the language `tag` serves who asks for `language`: de-CH serves de, not the other way."""
    return bool(tag) and f"{tag}-".casefold().startswith(f"{language}-".casefold())


def designation(one: Designation) -> dict[str, Any]:
    """A designation as ValueSet and `$lookup` write it."""
    found: dict[str, Any] = {"language": one.language} if one.language else {}
    if one.use is not None:
        names = ("system", "code", "display")
        found["use"] = {name: text for name, text in zip(names, one.use, strict=True) if text}
    return {**found, "value": one.value}


def _asked_for(one: Designation, uses: Iterable[tuple[str, str]]) -> bool:
    wanted = tuple(uses)
    if not wanted:
        return True
    use = one.use or ("", "", "")
    return any(
        (code == use[1] and system in ("", use[0])) if one.use and code == use[1] else speaks(one.language, code)
        for system, code in wanted
    )


def _wanted(sources: Sources, texts: Texts, key: Key, entry: Entry, wanted: Wanted) -> bool:
    if (wanted.active_only and entry.inactive) or (wanted.selectable_only and entry.abstract):
        return False
    if wanted.without and any(_is(sources, key[0], one) for one in wanted.without):
        return False
    return not wanted.filter or _matches(wanted.filter, key[1], texts.all(key, entry))


def _is(sources: Sources, system: str, named: str) -> bool:
    name, _, version = named.partition("|")
    found = sources.system(system)
    here = "" if isinstance(found, Unanswerable) else found.record.version
    return canonical(system) == canonical(name) and (not version or version == here)


def _matches(text: str, code: str, texts: Iterable[str]) -> bool:
    """Whether every word of the filter starts a word of one text, or the filter starts the code."""
    asked = normalize(text)
    if normalize(code).startswith(asked):
        return True
    words = asked.split()
    return any(all(any(one.startswith(word) for one in normalize(name).split()) for word in words) for name in texts)


def _versions(sources: Sources, entries: Entries) -> list[dict[str, Any]]:
    found = []
    for url in dict.fromkeys(system for system, _ in entries):
        system = None if sources.grammar(url) else sources.system(url)
        if isinstance(system, System) and system.record.version:
            found.append({"name": "version", "valueUri": system.named})
    return found


def _nested(sources: Sources, shown: dict[Key, dict[str, Any]]) -> list[dict[str, Any]]:
    """Each code under its first parent that is in the expansion, the others at the top."""
    roots = []
    for (url, code), one in shown.items():
        system = None if sources.grammar(url) else sources.system(url)
        parents = system.parents(code) if isinstance(system, System) else ()
        over = next((shown[url, parent] for parent in parents if (url, parent) in shown and parent != code), None)
        (roots if over is None else over.setdefault("contains", [])).append(one)
    return roots
