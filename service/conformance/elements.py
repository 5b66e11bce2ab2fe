"""What the elements of resources are, for those who change or shorten them: names, types, repetition, summary.

Source: the snapshots of the R4 StructureDefinitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from service.conformance.definitions import Definitions
from service.conformance.records import Element
from service.conformance.validator.shapes import Shape, Shapes, capitalised


@dataclass(frozen=True)
class Part:
    """One element by its JSON name `key`; `code` is its type, "" where that is a part of the type around it.

    `choice` where it is one type of several; `needed` where it is mandatory or changes the meaning of what is around
    it; `summary` as the definition says.
    """

    key: str
    code: str
    repeats: bool
    choice: bool
    needed: bool
    summary: bool
    _elements: Elements
    _shape: Shape | None = None

    @property
    def name(self) -> str:
        """As FHIRPath calls it: `value` for `valueQuantity`."""
        return self.key.removesuffix(capitalised(self.code)) if self.choice else self.key

    def shape(self, value: Any) -> Shape | None:
        """The elements inside; those of a resource go by its resourceType."""
        if self.code != "Resource":
            return self._shape
        type_ = value.get("resourceType") if isinstance(value, dict) else None
        return self._elements.shapes.of_type(type_) if type_ in self._elements.resource_types else None

    def parts(self, value: Any) -> dict[str, Part]:
        """The elements that may stand in `value`, by JSON name."""
        shape = self.shape(value)
        return self._elements.parts(shape) if shape is not None else {}

    def inside(self, value: Any, name: str) -> tuple[Part, ...]:
        """The elements that FHIRPath calls `name`: `value` is every `value…` of the choice."""
        found = self.parts(value)
        if name in found:
            return (found[name],)
        return tuple(part for part in found.values() if part.choice and part.name == name)


class Elements:
    """The parts of every type, each worked out when it is first met; `root` stands around a resource."""

    def __init__(self, definitions: Definitions) -> None:
        self.shapes = Shapes(definitions)
        self.resource_types = definitions.resource_types
        self.root = Part("", "Resource", False, False, True, True, self)
        self._parts: dict[tuple[str, str], dict[str, Part]] = {}

    def parts(self, shape: Shape) -> dict[str, Part]:
        """The elements of a shape by JSON name, in their order."""
        key = shape.structure.type, shape.path
        if key not in self._parts:
            found = [part for name, element in shape.children.items() for part in self._of(shape, name, element)]
            self._parts[key] = {part.key: part for part in found}
        return self._parts[key]

    def _of(self, shape: Shape, name: str, element: Element) -> list[Part]:
        choice = name.endswith("[x]")
        made = []
        for reference in element.types or (None,):
            code = reference.code if reference else ""
            key = name[:-3] + capitalised(code) if choice else name
            below = None if code == "Resource" else self.shapes.below(shape, element, reference)
            marks = (element.max != "1", choice, bool(element.min) or element.modifier, element.summary)
            made.append(Part(key, code, *marks, self, below))
        return made if choice else made[:1]


elements_of = lru_cache(maxsize=2)(Elements)
