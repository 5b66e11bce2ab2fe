"""Search parameter definitions as values: what R4 and the project define, looked up by type and code.

Source: https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

COMMON = ("Resource", "DomainResource")


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One SearchParameter: `code` as used in a query, `type` as R4 names it, FHIRPath `expression`.

    `base` are the resource types it applies to, `target` the types a reference may point at;
    `components` of a composite are (expression, canonical of the component's parameter).
    """

    code: str
    type: str
    expression: str
    base: tuple[str, ...]
    target: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()
    url: str = ""


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

    def get(self, resource_type: str | None, code: str) -> SearchParameter | None:
        """The parameter `code` of the type (None: of every type), or None."""
        own = self._by_type.get(resource_type, {}) if resource_type else {}
        return own.get(code) or self._common.get(code)

    def of(self, resource_type: str) -> dict[str, SearchParameter]:
        """All parameters of the type by code, the common ones included."""
        return {**self._common, **self._by_type.get(resource_type, {})}
