"""How much of a resource is asked for: `_summary` and `_elements`.

Source: https://hl7.org/fhir/R4/search.html#summary and https://hl7.org/fhir/R4/search.html#elements
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from service.errors import BadRequest

NAMES = frozenset({"_summary", "_elements"})
SUMMARIES = ("true", "text", "data", "count", "false")
_ELEMENT = re.compile(r"(?:[A-Z][A-Za-z]*\.)?[a-z][A-Za-z0-9]*\Z")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: `summary` is one of SUMMARIES, `elements` are names such as `name` or `Patient.name`."""

    summary: str = "false"
    elements: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        """Whether resources go out as they are stored."""
        return self.summary in ("false", "count") and not self.elements


def wish_of(pairs: Iterable[tuple[str, str]]) -> Wish:
    """The wish that query parameters say. Raises BadRequest."""
    summary, elements = "false", set()
    for name, value in pairs:
        if name == "_summary":
            if value not in SUMMARIES:
                raise _invalid(f"_summary is one of {', '.join(SUMMARIES)}")
            summary = value
        elif name == "_elements":
            elements |= {part.strip() for part in value.split(",") if part.strip()}
    if not all(_ELEMENT.match(element) for element in elements):
        raise _invalid("_elements takes names of elements of the resource itself, with commas between them")
    return Wish(summary, frozenset(elements))


def _invalid(text: str) -> BadRequest:
    return BadRequest(text, code="invalid", rule="invalid-parameter")
