"""The ids inside of a resource: of its elements and of what it contains, each used once.

Source: https://hl7.org/fhir/R4/element-definitions.html#Element.id and https://hl7.org/fhir/R4/references.html#contained
"""

from __future__ import annotations

from typing import Any

from service.conformance.validator.findings import Finding, one

_TWICE = "The id of an element stands once in a resource"


def element_id(value: Any) -> list[Finding] | None:
    """The id of an element; whether another has it, the resource around it tells."""
    if type(value) is not str:
        return None
    finding = Finding("value", "element-id-twice", _TWICE)
    finding.pending = lambda around, path: around.has_id_before(value, path)
    return [finding]


def contained_ids(contained: list[Any]) -> list[Finding]:
    """Each contained resource whose id an earlier one has: `#id` would name both."""
    found: list[Finding] = []
    seen: set[str] = set()
    for index, item in enumerate(contained):
        name = item.get("id") if isinstance(item, dict) else None
        if not isinstance(name, str):
            continue
        if name in seen:
            text = "Contained resources of one resource have ids of their own"
            found += one("value", "contained-id-twice", text, f".contained[{index}].id")
        seen.add(name)
    return found
