"""Search parameter definitions as values: what R4 and the project define, looked up by type and code.

Source: https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

COMMON = ("Resource", "DomainResource")
PLAIN = frozenset({"token", "reference", "string", "uri", "date", "number", "quantity"})  # types of one value
# R4 defines the two components of this one crosswise: https://hl7.org/fhir/R4/documentreference.html#search
_CROSSED = ("DocumentReference", "relationship")


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One SearchParameter: `code` as used in a query, `type` as R4 names it, FHIRPath `expression`.

    `base` are the resource types it applies to, `target` the types a reference may point at;
    `components` of a composite are (expression, canonical of the component's parameter).
    `parts` are the parameters that together hold all its values, so that it needs no index of its own.
    """

    code: str
    type: str
    expression: str
    base: tuple[str, ...]
    target: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()
    url: str = ""
    parts: tuple[SearchParameter, ...] = ()

    @property
    def alternatives(self) -> frozenset[str]:
        """The operands of the expression's `|`."""
        return frozenset(part.strip() for part in self.expression.split(" | "))


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a composite: its path inside the composite's element, and the parameter that types it."""

    expression: str
    parameter: SearchParameter


class SearchParameters:
    """The parameters of every type; those of Resource and DomainResource apply to all."""

    def __init__(self, parameters: Iterable[SearchParameter]) -> None:
        self.all = tuple(parameters)
        self._common: dict[str, SearchParameter] = {}
        self._by_type: dict[str, dict[str, SearchParameter]] = {}
        self.by_url = {parameter.url: parameter for parameter in self.all if parameter.url}
        for parameter in self.all:
            for base in parameter.base:
                (self._common if base in COMMON else self._by_type.setdefault(base, {}))[parameter.code] = parameter
        for own in self._by_type.values():
            _divide(own)

    def get(self, resource_type: str | None, code: str) -> SearchParameter | None:
        """The parameter `code` of the type (None: of every type), or None."""
        own = self._by_type.get(resource_type, {}) if resource_type else {}
        return own.get(code) or self._common.get(code)

    def of(self, resource_type: str) -> dict[str, SearchParameter]:
        """All parameters of the type by code, the common ones included."""
        return {**self._common, **self._by_type.get(resource_type, {})}

    def components(self, resource_type: str, composite: SearchParameter) -> tuple[Component, ...]:
        """The components of a composite of the type; empty where one of them is not a parameter of one value."""
        found = []
        for _, url in composite.components:
            parameter = self._defined(resource_type, url)
            if parameter is None or parameter.type not in PLAIN:
                return ()
            found.append(parameter)
        if (resource_type, composite.code) == _CROSSED:
            found.reverse()
        pairs = zip(composite.components, found, strict=True)
        return tuple(Component(expression, parameter) for (expression, _), parameter in pairs)

    def _defined(self, resource_type: str, url: str) -> SearchParameter | None:
        own = (one for one in self._by_type.get(resource_type, {}).values() if one.url == url)
        return next(own, None) or self.by_url.get(url)


def searchable(parameter: SearchParameter) -> bool:
    """Whether a search by the parameter works here.

    `special` ones (Location's `near`) do not, nor those into a Bundle's entries, which no search looks at.
    """
    known = parameter.type in PLAIN or parameter.type == "composite"
    return known and bool(parameter.expression) and "entry[0]" not in parameter.expression


def _divide(own: dict[str, SearchParameter]) -> None:
    """Sets `parts` of those whose alternatives others of the type hold: `combo-code` is `code` or `component-code`."""
    several = [parameter for parameter in own.values() if " | " in parameter.expression or parameter.code == "phonetic"]
    for parameter in several:
        if parameter.type == "reference":
            continue
        wanted = parameter.alternatives
        parts = tuple(
            one
            for one in own.values()
            if one.code != parameter.code
            and one.type == parameter.type
            and _same_components(one, parameter)
            and (one.alternatives < wanted or (parameter.code == "phonetic" and one.alternatives == wanted))
        )
        if parts and frozenset().union(*(one.alternatives for one in parts)) == wanted:
            own[parameter.code] = replace(parameter, parts=parts)


def _same_components(one: SearchParameter, other: SearchParameter) -> bool:
    return [expression for expression, _ in one.components] == [expression for expression, _ in other.components]
