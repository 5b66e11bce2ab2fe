"""A part of a resource for those who ask for less: `_summary` and `_elements`, marked as SUBSETTED.

Mandatory and modifier elements always stay, so that what is left can be read without misunderstanding.
Source: https://hl7.org/fhir/R4/search.html#summary and https://hl7.org/fhir/R4/search.html#elements
"""

from __future__ import annotations

from typing import Any

from service.conformance.elements import Elements, Part
from service.fhir.json import decode, encode
from service.fhir.wish import Wish

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_ALWAYS = frozenset({"resourceType", "id", "meta"})


def shortened(content: bytes, wish: Wish, elements: Elements) -> bytes:
    """The JSON of a stored resource without what was not asked for; the same bytes where all was."""
    if wish.whole:
        return content
    resource = decode(content, max_depth=10_000)
    parts = elements.root.parts(resource)
    if wish.elements:
        kept = _of_names(resource, parts, wish.elements)
    elif wish.summary == "true":
        kept = _summary(resource, parts)
    elif wish.summary == "text":
        kept = _of_names(resource, parts, frozenset({"text"}))
    else:
        kept = {key: value for key, value in resource.items() if key != "text"}
    meta = resource.get("meta", {})
    kept["meta"] = meta | {"tag": [*(tag for tag in meta.get("tag", ()) if not _is_mark(tag)), SUBSETTED]}
    return encode({key: kept[key] for key in ("resourceType", "id", "meta") if key in kept} | kept)


def _is_mark(tag: dict[str, Any]) -> bool:
    return (tag.get("system"), tag.get("code")) == (SUBSETTED["system"], SUBSETTED["code"])


def _of_names(resource: dict[str, Any], parts: dict[str, Part], names: frozenset[str]) -> dict[str, Any]:
    type_ = resource["resourceType"]

    def asked(key: str) -> bool:
        part = parts.get(key.removeprefix("_"))
        if part is None:
            return False
        known = {part.key, part.name}
        return part.needed or bool(names & (known | {f"{type_}.{name}" for name in known}))

    return {key: value for key, value in resource.items() if key in _ALWAYS or asked(key)}


def _summary(value: dict[str, Any], parts: dict[str, Part]) -> dict[str, Any]:
    """The elements that the definitions mark as summary, at every level; an extension is kept whole or not at all."""
    kept: dict[str, Any] = {}
    for key, item in value.items():
        part = parts.get(key.removeprefix("_"))
        if key in _ALWAYS and part is not None and not part.repeats:
            kept[key] = item
        elif part is None:
            if key == "resourceType":
                kept[key] = item
        elif part.summary or part.needed:
            left = item if part.code == "Extension" or key.startswith("_") else _inside(item, part)
            if left is not None or part.needed:
                kept[key] = item if left is None else left
    return kept


def _inside(item: Any, part: Part) -> Any:
    """The summary of an element's value; None where nothing of it is left."""
    if isinstance(item, list):
        left = [one for one in (_inside(one, part) for one in item) if one is not None]
        return left or None
    if isinstance(item, dict):
        return _summary(item, part.parts(item)) or None
    return item
