"""One code system, opened: its concepts by code, its hierarchy, and which codes pass a filter.

Source: https://hl7.org/fhir/R4/codesystem.html, https://hl7.org/fhir/R4/valueset-filter-operator.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from service.conformance.concepts import CodeSystem, Detail, details_of
from service.conformance.terminology.gaps import Unanswerable, Verdict, missing

SUBSUMING = frozenset({"", "is-a"})  # what a hierarchy must mean for one code to subsume another


class System:
    """A code system at hand, in full or in part; what is expensive is made when first asked for."""

    def __init__(self, record: CodeSystem) -> None:
        self.record = record
        self.displays = dict(record.concepts)
        self.abstract = frozenset(record.abstract)
        self.inactive = frozenset(record.inactive)

    @property
    def complete(self) -> bool:
        """Whether every code of the system is here; one that is declared and empty is a placeholder."""
        return self.record.content == "complete" and bool(self.displays)

    @property
    def named(self) -> str:
        """The url with the version."""
        return f"{self.record.url}|{self.record.version}" if self.record.version else self.record.url

    def find(self, code: str) -> str | None:
        """The code as the system writes it; None where the system, as far as it is here, does not have it."""
        if code in self.displays:
            return code
        return None if self.record.case_sensitive else self._folded.get(code.casefold())

    def defines(self, code: str) -> Verdict:
        """Whether the code is one of the system's."""
        if self.find(code) is not None:
            return True
        return False if self.complete else self.incomplete()

    def incomplete(self) -> Unanswerable:
        """What to say where all codes would be needed."""
        return missing(f"The code system {self.named} is here only in part (content: {self.record.content})")

    def detail(self, code: str) -> Detail:
        """Definition, designations and properties of a code."""
        return self._details.get(code, Detail())

    def children(self, code: str) -> tuple[str, ...]:
        """The codes right below."""
        return tuple(self._down.get(code, ()))

    def parents(self, code: str) -> tuple[str, ...]:
        """The codes right above."""
        return tuple(self._up.get(code, ()))

    def below(self, code: str) -> set[str]:
        """All codes below, without the code itself."""
        return _reached(self._down, code) - {code}

    def above(self, code: str) -> set[str]:
        """All codes above, without the code itself."""
        return _reached(self._up, code) - {code}

    def subsumption(self, one: str, other: str) -> str | Unanswerable:
        """`equivalent`, `subsumes`, `subsumed-by` or `not-subsumed`, of two codes that the system has."""
        if one == other:
            return "equivalent"
        if not self.complete:
            return self.incomplete()
        if self.record.edges and self.record.meaning not in SUBSUMING:
            return missing(f"The hierarchy of {self.named} means {self.record.meaning}, not that one is the other")
        down, up = other in self.below(one), one in self.below(other)
        if down and up:
            return "equivalent"
        return "subsumes" if down else "subsumed-by" if up else "not-subsumed"

    def filtered(self, name: str, operation: str, value: str) -> set[str] | Unanswerable:
        """The codes that pass one filter of a value set; a filter that is not understood is a gap."""
        everything = set(self.displays)
        found: set[str] | None = None
        if name in ("concept", "code"):
            found = self._by_code(everything, operation, value)
        elif name == "display" or self._declares(name):
            found = self._by_property(everything, name, operation, value)
        elif name in ("parent", "child") and operation == "=":
            found = set(self.children(value) if name == "parent" else self.parents(value))
        if found is None:
            return missing(f"The filter {name} {operation} on {self.named} is not known here")
        return found & everything

    def _by_code(self, everything: set[str], operation: str, value: str) -> set[str] | None:
        if operation in ("is-a", "descendent-of", "is-not-a"):
            below = self.below(value)
            kinds = {"is-a": below | {value}, "descendent-of": below, "is-not-a": everything - below - {value}}
            return kinds[operation]
        if operation == "generalizes":
            return self.above(value) | {value}
        if operation in ("in", "not-in"):
            listed = {code.strip() for code in value.split(",")}
            return listed if operation == "in" else everything - listed
        if operation == "=":
            return {value}
        return _matching(everything, value) if operation == "regex" else None

    def _by_property(self, everything: set[str], name: str, operation: str, value: str) -> set[str] | None:
        values = {code: self._values(code, name) for code in everything}
        if operation == "exists" and value in ("true", "false"):
            return {code for code, found in values.items() if bool(found) == (value == "true")}
        if operation in ("=", "in", "not-in"):
            listed = {value} if operation == "=" else {one.strip() for one in value.split(",")}
            passed = {code for code, found in values.items() if found & listed}
            return everything - passed if operation == "not-in" else passed
        if operation == "regex":
            texts = _matching({text for found in values.values() for text in found}, value)
            return None if texts is None else {code for code, found in values.items() if found & texts}
        return None

    def _declares(self, name: str) -> bool:
        return name not in ("parent", "child") and name in self._properties

    def _values(self, code: str, name: str) -> set[str]:
        if name == "display":
            return {self.displays[code]}
        values = (one.value for one in self.detail(code).properties if one.code == name)
        return {str(value).lower() if isinstance(value, bool) else str(value) for value in values}

    @cached_property
    def _properties(self) -> frozenset[str]:
        return frozenset(one.code for detail in self._details.values() for one in detail.properties)

    @cached_property
    def _details(self) -> dict[str, Detail]:
        return details_of(self.record)

    @cached_property
    def _folded(self) -> dict[str, str]:
        return {code.casefold(): code for code in self.displays}

    @cached_property
    def _down(self) -> dict[str, list[str]]:
        return _index(self.record.edges)

    @cached_property
    def _up(self) -> dict[str, list[str]]:
        return _index((child, parent) for parent, child in self.record.edges)


def _index(edges: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for near, far in edges:
        found.setdefault(near, []).append(far)
    return found


def _reached(edges: dict[str, list[str]], start: str) -> set[str]:
    found: set[str] = set()
    todo = list(edges.get(start, ()))
    while todo:
        if (code := todo.pop()) not in found:
            found.add(code)
            todo.extend(edges.get(code, ()))
    return found


def _matching(texts: set[str], pattern: str) -> set[str] | None:
    try:
        expression = re.compile(pattern)
    except re.error:
        return None
    return {text for text in texts if expression.fullmatch(text)}
