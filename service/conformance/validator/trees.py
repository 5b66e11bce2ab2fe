"""The differentials of a profile and of its ancestors, merged into one tree of what they add to R4.

A derived profile only narrows, so the last word on each point counts, and constraints add up.
Source: https://hl7.org/fhir/R4/profiling.html and https://hl7.org/fhir/R4/elementdefinition.html#id
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from service.conformance.definitions import Definitions
from service.conformance.records import Constraint, Element, Slicing, Structure, TypeRef

_STEP = re.compile(r"([^.:]+(?:\[x\])?)(?::([^.]+))?")
_MAX_ANCESTORS = 20


@dataclass
class Node:
    """What profiles say of one element or slice; None or empty: nothing."""

    name: str
    slice: str = ""
    min: int | None = None
    max: str | None = None
    types: tuple[TypeRef, ...] = ()
    binding: tuple[str, str] | None = None
    max_value_set: str = ""
    fixed: tuple[str, Any] | None = None
    pattern: tuple[str, Any] | None = None
    slicing: Slicing | None = None
    max_length: int | None = None
    bounds: tuple[Any, Any] | None = None
    modifier: bool = False
    constraints: list[Constraint] = field(default_factory=list)
    children: dict[str, Node] = field(default_factory=dict)
    slices: dict[str, Node] = field(default_factory=dict)

    def merge(self, element: Element) -> None:
        """Take over what the element says."""
        for name in ("min", "max", "types", "binding", "fixed", "pattern", "slicing", "max_length", "bounds"):
            said = getattr(element, name)
            if said is not None and said != ():
                setattr(self, name, exact(said) if name in ("fixed", "pattern", "bounds") else said)
        self.max_value_set = element.max_value_set or self.max_value_set
        self.modifier = self.modifier or element.modifier
        known = {constraint.key for constraint in self.constraints}
        self.constraints += [constraint for constraint in element.constraints if constraint.key not in known]


def exact(value: Any) -> Any:
    """The value with its fractions as Decimal, as they are in resources; packed definitions hold floats."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {name: exact(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(exact(part) for part in value)
    return value


def ancestors(definitions: Definitions, url: str) -> list[Structure]:
    """The profile and the profiles it derives from, the oldest first; the R4 type is not among them."""
    chain: list[Structure] = []
    while len(chain) < _MAX_ANCESTORS:
        structure = definitions.structure(url)
        if structure is None or structure.derivation != "constraint":
            break
        chain.insert(0, structure)
        url = structure.base
    return chain


def tree(chain: list[Structure]) -> Node:
    """The merged tree of the chain; its root stands for the resource or data type itself."""
    root = Node(chain[-1].type)
    for structure in chain:
        for element in structure.elements:
            node = root
            for name, slice_name in _steps(element):
                node = node.children.setdefault(name, Node(name))
                if slice_name:
                    node = node.slices.setdefault(slice_name, Node(name, slice_name))
            node.merge(element)
    return root


def _steps(element: Element) -> list[tuple[str, str]]:
    """(name, slice) of each step below the root; ids without slices are completed from `sliceName`."""
    steps = [(name, slice_name) for name, slice_name in _STEP.findall(element.id)][1:]
    if steps and element.slice and not steps[-1][1]:
        steps[-1] = (steps[-1][0], element.slice)
    return steps
