"""SearchParameter resources to values, one for each (base, code).

R4 writes what many types share as one parameter: `AllergyIntolerance.patient | CarePlan.subject.where(…) | …`.
Each base gets only the alternatives that are its own. Source: https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from service.fhir.parameters import SearchParameter

_FIRST = re.compile(r"[(\s]*([A-Za-z]+)")


def alternatives(expression: str) -> list[str]:
    """The operands of the top-level `|` of a FHIRPath expression."""
    parts, depth, start, quote = [], 0, 0, ""
    for place, char in enumerate(expression):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'`":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "|" and depth == 0:
            parts.append(expression[start:place].strip())
            start = place + 1
    parts.append(expression[start:].strip())
    return [part for part in parts if part]


def for_base(expression: str, base: str, bases: list[str]) -> str:
    """The alternatives of `expression` that start at `base`; those that start nowhere are relative to it."""
    own = []
    for part in alternatives(expression):
        match = _FIRST.match(part)
        head = match.group(1) if match else ""
        if head == base or head in ("Resource", "DomainResource"):
            own.append(part)
        elif head not in bases and not head[:1].isupper():
            own.append(f"{base}.{part}")
    return " | ".join(own)


def split(source: dict[str, Any]) -> Iterator[SearchParameter]:
    """The parameters that one SearchParameter resource stands for; none where a base has no expression."""
    bases = source.get("base", [])
    expression = source.get("expression", "")
    components = tuple(
        (component["expression"], component["definition"].partition("|")[0])
        for component in source.get("component", ())
    )
    for base in bases:
        own = for_base(expression, base, bases)
        if own:
            targets = tuple(source.get("target", ()))
            yield SearchParameter(
                source["code"], source["type"], own, (base,), targets, components, source.get("url", "")
            )
