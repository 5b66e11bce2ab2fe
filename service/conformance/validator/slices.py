"""The slices of an element that repeats: how often each stands, in what order, and what else may stand there.

Source: https://hl7.org/fhir/R4/profiling.html#slicing
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.conformance.records import Slicing
from service.conformance.validator.findings import Finding, at, one
from service.conformance.validator.slicing import Belongs

Rule = Callable[[Any, Any], "list[Finding] | None"]
Items = list[tuple[str, Any, Any]]  # index as `[i]`, value or None, `_name` object or None


@dataclass(frozen=True, slots=True)
class Part:
    """One compiled slice; `parts` are its own slices, named `whole/part`, told apart by its own `slicing`."""

    name: str
    belongs: Belongs
    rule: Rule
    least: int
    most: int | None
    slicing: Slicing
    parts: list[Part]


def sliced(name: str, items: Items, parts: list[Part], slicing: Slicing, whole: Any) -> list[Finding]:
    """The findings of the items against the slices of the element `name`."""
    found: list[Finding] = []
    members: dict[str, Items] = {part.name: [] for part in parts}
    reached = 0
    for item in items:
        suffix, child, _ = item
        place = next((i for i, part in enumerate(parts) if child is not None and part.belongs(child)), len(parts))
        if place < reached and (slicing.ordered or reached == len(parts)):
            text = f"This stands too late: the order is {', '.join(part.name for part in parts)}"
            found += one("structure", "slice-order", text, f".{name}{suffix}")
        if place == len(parts):
            found += _other(name, suffix, parts, slicing)
            reached = place if slicing.rules == "openAtEnd" else reached
            continue
        reached = max(reached, place)
        members[parts[place].name].append(item)
        found += at(f".{name}{suffix}", parts[place].rule(child, whole) or [])
    for part in parts:
        found += _counted(name, part, len(members[part.name]))
        if part.parts:
            found += sliced(name, members[part.name], part.parts, part.slicing, whole)
    return found


def _other(name: str, suffix: str, parts: list[Part], slicing: Slicing) -> list[Finding]:
    if slicing.rules != "closed":
        return []
    text = f"Only these are allowed here: {', '.join(part.name for part in parts)}"
    return one("structure", "slice-unknown", text, f".{name}{suffix}")


def _counted(name: str, part: Part, count: int) -> list[Finding]:
    if count < part.least:
        text = f"{name} needs at least {part.least} of the slice {part.name}"
        return one("required", "slice-required", text, f".{name}")
    if part.most is not None and count > part.most:
        text = f"{name} takes at most {part.most} of the slice {part.name}"
        return one("structure", "slice-max", text, f".{name}")
    return []
