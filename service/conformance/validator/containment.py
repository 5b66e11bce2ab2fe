"""Contained resources: who may be contained, and whether local references and contained resources meet.

Source: https://hl7.org/fhir/R4/references.html#contained (dom-2 to dom-5, ref-1)
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from service.conformance.validator.findings import Check, Finding, one, settled, sourced
from service.conformance.validator.ids import contained_ids

_SOURCE = "http://hl7.org/fhir/StructureDefinition/DomainResource|4.0.1"

# Types without `contained`: that the element does not exist there is told already.
_NEVER = ("Binary", "Bundle", "Parameters")


def contained_check(resource: Check) -> Check:
    """What a contained resource must be besides valid: an id, no contained of its own, no version and labels."""

    def check(value: Any) -> list[Finding] | None:
        found = resource(value) or []
        if type(value) is not dict:
            return found or None
        if "id" not in value:
            # https://hl7.org/fhir/R4/references.html#contained: nothing could refer to it.
            found += one("required", "contained-id", "A contained resource has an id", ".id")
        if "contained" in value:
            found += one("invariant", "dom-2", "A contained resource contains none itself", ".contained")
        meta = value.get("meta")
        if type(meta) is dict:
            if "versionId" in meta or "lastUpdated" in meta:
                found += one("invariant", "dom-4", "A contained resource has no versionId and no lastUpdated", ".meta")
            if "security" in meta:
                found += one("invariant", "dom-5", "A contained resource has no security label", ".meta.security")
        return sourced(_SOURCE, found) if found else None

    return check


def standalone_check(resource: Check) -> Check:
    """A resource that is not contained: its local references are looked up in it."""

    def check(value: Any) -> list[Finding] | None:
        found = resource(value)
        has_contained = type(value) is dict and "contained" in value and value.get("resourceType") not in _NEVER
        if found is None and not has_contained:
            return None
        found = settled(value, found or [])
        if has_contained:
            found += sourced(_SOURCE, _not_met(value))
        return found or None

    return check


def _not_met(value: dict[str, Any]) -> list[Finding]:
    """dom-3: somebody refers to each contained resource, or it refers to its container; each has an id of its own."""
    outside = {name: part for name, part in value.items() if name != "contained"}
    named = set(_local(outside))
    contained = value["contained"] if isinstance(value["contained"], list) else []
    found = contained_ids(contained) if len(contained) > 1 else []
    own = [set(_local(item)) for item in contained]
    named_inside = Counter(name for names in own for name in names)
    for index, item in enumerate(contained):
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            continue
        by_others = named_inside[item["id"]] - (item["id"] in own[index])
        if item["id"] not in named and not by_others and "" not in own[index]:
            text = "dom-3: a contained resource is referred to from the resource around it"
            found += one("invariant", "dom-3", text, f".contained[{index}]")
    return found


def _local(value: Any) -> list[str]:
    """What stands behind '#' in the strings of a value."""
    found, todo = [], [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            if item.startswith("#"):
                found.append(item[1:])
        elif isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
    return found
