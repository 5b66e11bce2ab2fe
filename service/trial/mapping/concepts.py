"""ConceptMaps as a two-way table between the words of a study and FHIR codings.

Source: https://hl7.org/fhir/R4/conceptmap.html; `group.unmapped` is never used: it would guess.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Coding = dict[str, str]
Key = tuple[tuple[str, str], ...]


class Concepts:
    """ConceptMaps by id."""

    def __init__(self, maps: Iterable[dict[str, Any]]) -> None:
        self._targets: dict[str, dict[str, tuple[Coding, ...]]] = {}
        self._sources: dict[str, dict[Key, frozenset[str]]] = {}
        for map_ in maps:
            targets: dict[str, list[Coding]] = {}
            for group in map_.get("group", []):
                for element in group.get("element", []):
                    codings = targets.setdefault(element.get("code", ""), [])
                    codings.extend(_coding(group, target) for target in element.get("target", []) if "code" in target)
            self._targets[map_["id"]] = {code: tuple(codings) for code, codings in targets.items()}
            self._sources[map_["id"]] = _reverse(targets)

    def __contains__(self, map_id: object) -> bool:
        return map_id in self._targets

    @property
    def ids(self) -> list[str]:
        """The ids of all maps."""
        return sorted(self._targets)

    def words(self, map_id: str) -> list[str]:
        """The source codes of a map."""
        return sorted(self._targets[map_id])

    def codings(self, map_id: str, word: str) -> tuple[Coding, ...] | None:
        """The targets of `word`; () where the map says that no code fits, None where it does not list it."""
        return self._targets[map_id].get(word)

    def by_codings(self, map_id: str, codings: Iterable[Any]) -> frozenset[str]:
        """The words whose targets are exactly `codings` (compared by system and code)."""
        key = tuple((coding.get("system", ""), coding.get("code", "")) for coding in codings)
        return self._sources[map_id].get(key, frozenset())

    def by_code(self, map_id: str, code: Any) -> frozenset[str]:
        """The words with the one target `code`, whatever its system."""
        sources = self._sources[map_id].items()
        return frozenset(word for key, words in sources if [part[1] for part in key] == [code] for word in words)


def _coding(group: dict[str, Any], target: dict[str, Any]) -> Coding:
    coding = {"system": group.get("target"), "code": target["code"], "display": target.get("display")}
    return {key: value for key, value in coding.items() if value}


def _reverse(targets: dict[str, list[Coding]]) -> dict[Key, frozenset[str]]:
    sources: dict[Key, set[str]] = {}
    for word, codings in targets.items():
        key = tuple((coding.get("system", ""), coding["code"]) for coding in codings)
        sources.setdefault(key, set()).add(word)
    return {key: frozenset(words) for key, words in sources.items()}
