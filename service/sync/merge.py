"""Three-way merge of resources: what only one side changed is taken from it, what both changed otherwise is a conflict.

The unit is an element of the resource, with its extensions (`status` and `_status` are one) and, for a list, its
items: the value and the unit of a Quantity are never taken from two sides. `id` and `meta` are no part of a merge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.fhir.operations import Resource

# Lists whose order says nothing and to which both sides may add (https://hl7.org/fhir/R4/datatypes.html#Identifier)
GROWING = frozenset(("identifier", "note", "extension", "modifierExtension"))
_APART = frozenset(("resourceType", "id", "meta"))
_GENERATED = ("generated", "extensions")
_NOTHING: list[Any] = []


@dataclass(frozen=True, slots=True)
class Merged:
    """The `resource` with everything on which the sides agree; for each of `elements` it holds what the base said.

    `elements` are FHIRPaths of what both changed; the merge is whole when there are none.
    """

    resource: Resource
    elements: tuple[str, ...] = ()


def elements_of(*resources: Resource) -> list[str]:
    """The elements of these resources in the order in which they stand, without id and meta; never with a `_`."""
    names = {name.removeprefix("_"): None for resource in resources for name in resource}
    return [name for name in names if name not in _APART]


def element(resource: Resource, name: str) -> tuple[Any, Any]:
    """An element as (value, extensions of the primitive); None where there is none."""
    return resource.get(name), resource.get(f"_{name}")


def put(resource: Resource, name: str, value: tuple[Any, Any]) -> None:
    """Sets an element, or takes it away."""
    for key, part in zip((name, f"_{name}"), value, strict=True):
        if part is None:
            resource.pop(key, None)
        else:
            resource[key] = part


def changed(before: Resource, now: Resource) -> list[str]:
    """The elements that `now` has otherwise than `before`."""
    return [name for name in elements_of(before, now) if element(before, name) != element(now, name)]


def merge(base: Resource, ours: Resource, theirs: Resource, prefer: str | None = None) -> Merged:
    """What `base` has become by the changes of both. `prefer` (ours · theirs) decides what both changed.

    The result has id and meta of `ours`. A narrative that was generated from one side alone is left out.
    """
    merged = {name: value for name, value in ours.items() if name in _APART}
    sides = {"ours": ours, "theirs": theirs}
    conflicts = []
    for name in elements_of(ours, base, theirs):
        old, left, right = element(base, name), element(ours, name), element(theirs, name)
        value, agreed = _merged(name, old, left, right)
        if not agreed and prefer is not None:
            value = element(sides[prefer], name)
        elif not agreed and name == "text" and _generated(left[0], right[0]):
            value = (None, None)
        elif not agreed:
            conflicts.append(f"{ours['resourceType']}.{name}")
        put(merged, name, value)
    if _stale(base, ours, theirs):
        merged.pop("text", None)
    return Merged(merged, tuple(conflicts))


def _merged(
    name: str, old: tuple[Any, Any], left: tuple[Any, Any], right: tuple[Any, Any]
) -> tuple[tuple[Any, Any], bool]:
    """The element, and whether the sides agree on it; else it is that of the base."""
    if left == right or right == old:
        return left, True
    if left == old:
        return right, True
    values = [part[0] for part in (old, left, right)]
    if all(part[1] is None for part in (old, left, right)) and all(
        isinstance(part, list) or part is None for part in values
    ):
        items = _items(name, *(part or _NOTHING for part in values))
        return (old, False) if items is None else ((items or None, None), True)
    return old, False


def _items(name: str, old: list[Any], left: list[Any], right: list[Any]) -> list[Any] | None:
    """The list with what each side changed in place and added; None where the sides do not go together."""
    size = len(old)
    if len(left) < size or len(right) < size:
        return None
    merged = []
    for was, one, other in zip(old, left, right, strict=False):
        if one not in (was, other) and other != was:
            return None
        merged.append(other if one == was else one)
    more, further = left[size:], right[size:]
    if more and further and more != further and name not in GROWING:
        return None
    return merged + more + [item for item in further if item not in more]


def _generated(*narratives: Any) -> bool:
    return all(part is None or part.get("status") in _GENERATED for part in narratives)


def _stale(base: Resource, ours: Resource, theirs: Resource) -> bool:
    """Whether each side changed something of which the narrative of the other, as generated, says nothing."""
    sides = [set(changed(base, side)) - {"text"} for side in (ours, theirs)]
    new = [set(changed(base, side)) for side in (ours, theirs)]
    return (
        sides[0] != sides[1]
        and all(sides)
        and any("text" in names for names in new)
        and _generated(ours.get("text"), theirs.get("text"))
    )
