"""How often an element, a choice or a slice of a profile stands in an object, and the rules of each value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from service.conformance.records import Element, Slicing, TypeRef
from service.conformance.validator.findings import Finding, at, one, refused
from service.conformance.validator.shapes import Shape, Shapes, capitalised
from service.conformance.validator.slices import Part, Rule, sliced
from service.conformance.validator.slicing import BY_URL, Discriminators
from service.conformance.validator.trees import Node

ItemRule = Callable[[Node, Element, Shape, "TypeRef | None"], Rule]


@dataclass(frozen=True, slots=True)
class Choice:
    """A compiled `value[x]`: by JSON name the rules of each type, the names refused and the names needed."""

    group: str
    rules: dict[str, list[tuple[Rule, Rule | None]]]
    refused: frozenset[str]
    needed: frozenset[str]
    least: int
    most: int | None

    def check(self, value: Any, whole: Any) -> list[Finding] | None:
        """The findings of the choice in the object around it."""
        rules = self.rules
        present = dict.fromkeys(plain for name in value if (plain := name.removeprefix("_")) in rules)
        found: list[Finding] = []
        for name in present:
            if name in self.refused and self.most != 0:
                says = ", ".join(sorted(rules.keys() - self.refused))
                found += one("structure", "choice-type", f"{self.group}[x] takes {says} here", f".{name}")
            for rule, sibling in rules[name]:
                if name in value and (bad := rule(value[name], whole)) is not None:
                    found += at(f".{name}", bad)
                if sibling is not None and (bad := sibling(value.get(f"_{name}"), whole)) is not None:
                    found += at(f"._{name}", bad)
        if len(present) < self.least or (self.most is not None and len(present) > self.most):
            found += _count(self.group, len(present), self.least, self.most)
        for name in sorted(self.needed - present.keys()):
            found += one("required", "slice-required", f"{name} is required", f".{name}")
        return found or None


def limits(node: Node, element: Element) -> tuple[int, int | None]:
    """(least, most) where the profile says more than R4 does; 0 and None else."""
    least = node.min if node.min is not None and node.min > (element.min or 0) else 0
    most = None if node.max in (None, "*", element.max) else int(node.max or 0)
    return least, most


class Occurrences:
    """Compiles the nodes of a profile tree that stand for elements; `item` gives the rules of one value."""

    def __init__(self, item: ItemRule, discriminators: Discriminators, shapes: Shapes) -> None:
        self._item = item
        self._discriminators = discriminators
        self._shapes = shapes

    def of_element(self, node: Node, element: Element, shape: Shape) -> Rule:
        """An element that is not a choice."""
        name = node.name
        least, most = limits(node, element)
        types = node.types or element.types
        reference = types[0] if types else None
        item = self._item(node, element, shape, reference)
        sibling = self._sibling(node, reference)
        slicing = node.slicing or BY_URL
        parts = self._parts(node.slices, element, shape, slicing)

        def check(value: Any, whole: Any) -> list[Finding] | None:
            items = list(_items(value, name))
            found: list[Finding] = []
            for suffix, child, extra in items:
                if child is not None and (bad := item(child, whole)) is not None:
                    found += at(f".{name}{suffix}", bad)
                if sibling is not None and (bad := sibling(extra, whole)) is not None:
                    found += at(f"._{name}{suffix}", bad)
            if len(items) < least or (most is not None and len(items) > most):
                found += _count(name, len(items), least, most)
            if parts:
                found += sliced(name, items, parts, slicing, whole)
            return found or None

        return check

    def of_choice(self, node: Node, element: Element, shape: Shape) -> Rule:
        """A choice `value[x]`: the types allowed, and the rules of each."""
        group = element.path.rpartition(".")[2][:-3]
        allowed = {reference.code: reference for reference in node.types}
        names = {group + capitalised(reference.code): reference for reference in element.types}
        parts = self._by_type(node, names)
        refused = {name for name, reference in names.items() if allowed and reference.code not in allowed}
        refused |= {name for name, slices in parts.items() if any(part.max == "0" for part in slices)}
        if node.slicing is not None and node.slicing.rules == "closed" and parts:
            refused |= names.keys() - parts.keys()
        needed = frozenset(name for name, slices in parts.items() for part in slices if part.min)
        rules = {
            name: self._rules_of_type(
                [node, *parts.get(name, ())], element, shape, allowed.get(reference.code, reference)
            )
            for name, reference in names.items()
        }
        return Choice(group, rules, frozenset(refused), needed, *limits(node, element)).check

    def _rules_of_type(
        self, nodes: list[Node], element: Element, shape: Shape, reference: TypeRef
    ) -> list[tuple[Rule, Rule | None]]:
        """(rule of the value, rule of the `_name` object) for the choice itself and each of its slices."""
        return [
            (self._item(node, element, shape, _same(node, reference)), self._sibling(node, reference)) for node in nodes
        ]

    def _by_type(self, node: Node, names: dict[str, TypeRef]) -> dict[str, list[Node]]:
        """The slices of a choice by JSON name: `valueQuantity`, or named otherwise with one type."""
        found: dict[str, list[Node]] = {}
        for part in node.slices.values():
            codes = {reference.code for reference in part.types}
            matching = [name for name, reference in names.items() if name == part.slice or reference.code in codes]
            for name in matching[:1] if part.slice in names else matching:
                found.setdefault(name, []).append(part)
        return found

    def _sibling(self, node: Node, reference: TypeRef | None) -> Rule | None:
        """Rules of the extensions of a primitive; the object beside it may be missing."""
        if not node.children or reference is None or not self._shapes.is_primitive(reference.code):
            return None
        shape = self._shapes.of_type(reference.code)
        extension = node.children.get("extension")
        if shape is None or extension is None:
            return None
        rule = self.of_element(extension, shape.children["extension"], shape)
        return lambda value, whole: rule(value if isinstance(value, dict) else {}, whole)

    def _parts(self, slices: dict[str, Node], element: Element, shape: Shape, slicing: Slicing) -> list[Part]:
        """The slices that are in no other one, with those that are in them (`whole/part`)."""
        inner = {name for name in slices for whole in slices if name.startswith(f"{whole}/")}
        found = []
        for name, node in slices.items():
            if name not in inner:
                below = {other: part for other, part in slices.items() if other.startswith(f"{name}/")}
                own = node.slicing or slicing
                found.append(self._part(node, element, shape, slicing, self._parts(below, element, shape, own)))
        return found

    def _part(self, node: Node, element: Element, shape: Shape, slicing: Slicing, parts: list[Part]) -> Part:
        types = node.types or element.types
        rule = self._item(node, element, shape, types[0] if types else None)
        belongs = self._discriminators.of(slicing, node, lambda item: not refused(rule(item, item)))
        most = None if node.max in (None, "*") else int(node.max or 0)
        return Part(node.slice, belongs, rule, node.min or 0, most, node.slicing or slicing, parts)


def _same(part: Node, narrowed: TypeRef) -> TypeRef:
    return next((reference for reference in part.types if reference.code == narrowed.code), narrowed)


def _items(value: dict[str, Any], name: str) -> Iterator[tuple[str, Any, Any]]:
    """(index as `[i]` or nothing, value or None, `_name` object or None) of each occurrence."""
    child, extra = value.get(name), value.get(f"_{name}")
    if isinstance(child, list) or isinstance(extra, list):
        values = child if isinstance(child, list) else []
        extras = extra if isinstance(extra, list) else []
        for index in range(max(len(values), len(extras))):
            yield (
                f"[{index}]",
                values[index] if index < len(values) else None,
                extras[index] if index < len(extras) else None,
            )
    elif child is not None or extra is not None:
        yield "", child, extra


def _count(name: str, count: int, least: int, most: int | None) -> list[Finding]:
    if count < least:
        text = f"{name} is required" if least == 1 else f"At least {least} of {name} are required"
        return one("required", "element-required", text, f".{name}")
    text = f"{name} is not allowed here" if most == 0 else f"At most {most} of {name} are allowed here"
    return one("structure", "cardinality-max", text, f".{name}")
