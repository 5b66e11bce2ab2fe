"""What a search asks of terminology: the members of a value set, what stands below and above a code.

Only code systems that are at hand in full have a hierarchy here; of any other the answer is None, never a guess.
Source: https://hl7.org/fhir/R4/search.html#subsumes
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from service.conformance.definitions import Definitions
from service.conformance.terminology import Terminology


class SearchTerms:
    """Answers `:in`, `:not-in`, `:below` and `:above`; hierarchies are unpacked once, when first asked for."""

    def __init__(self, definitions: Definitions, terminology: Terminology | None = None) -> None:
        self._definitions = definitions
        self._terminology = terminology or Terminology(definitions)
        self._edges: dict[str, frozenset[tuple[str, str]] | None] = {}

    def members(self, value_set: str) -> Mapping[str, Collection[str]] | None:
        """The codes of a value set by system; None where they cannot be known in full."""
        return self._terminology.expand(value_set)

    def below(self, system: str, code: str) -> Collection[str] | None:
        """The code and all that it subsumes; None for a code system that is not at hand."""
        return self._closure(system, code, down=True)

    def above(self, system: str, code: str) -> Collection[str] | None:
        """The code and all that subsume it; None for a code system that is not at hand."""
        return self._closure(system, code, down=False)

    def _closure(self, system: str, code: str, *, down: bool) -> Collection[str] | None:
        edges = self._hierarchy(system)
        if edges is None:
            return None
        found, todo = {code}, [code]
        while todo:
            here = todo.pop()
            for parent, child in edges:
                near, far = (parent, child) if down else (child, parent)
                if near == here and far not in found:
                    found.add(far)
                    todo.append(far)
        return found

    def _hierarchy(self, system: str) -> frozenset[tuple[str, str]] | None:
        if system not in self._edges:
            source = self._definitions.code_system(system)
            if source is None:
                return None
            self._edges[system] = frozenset(source.edges) if source.content == "complete" else None
        return self._edges[system]
