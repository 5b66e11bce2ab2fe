"""The children that an element has in R4: where its definition stands and what a JSON name means there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from service.conformance.definitions import Definitions
from service.conformance.records import CORE, Element, Structure, TypeRef

# In the definitions `Resource.id` is a string whose rules are those of an id.
ID = TypeRef("id")


def capitalised(code: str) -> str:
    """`dateTime` → `DateTime`, as in `effectiveDateTime`."""
    return code[:1].upper() + code[1:]


@dataclass(frozen=True)
class Shape:
    """The children of the element at `path` of a structure (a resource type, a data type or a part of one)."""

    structure: Structure
    path: str
    children: dict[str, Element]

    @property
    def source(self) -> str:
        """The canonical that findings name."""
        return f"{self.structure.url}|{self.structure.version}"

    @cached_property
    def choices(self) -> dict[str, tuple[str, TypeRef]]:
        """`valueQuantity` → (`value[x]`, its type) for every choice of the element."""
        return {
            name[:-3] + capitalised(reference.code): (name, reference)
            for name, element in self.children.items()
            if name.endswith("[x]")
            for reference in element.types
        }


class Shapes:
    """Shapes of types by (type, path), each worked out once."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self._known: dict[tuple[str, str], Shape | None] = {}

    def of_type(self, code: str) -> Shape | None:
        """The shape of a resource or data type; None for a type that R4 does not have."""
        return self.at(code, code)

    def at(self, code: str, path: str) -> Shape | None:
        """The shape of the part of the type that stands at `path`."""
        key = code, path
        if key not in self._known:
            structure = self.definitions.structure(code)
            if structure is None or structure.url != CORE + code:
                return None
            self._known[key] = _shape(structure, path)
        return self._known[key]

    def below(self, shape: Shape, element: Element, reference: TypeRef | None) -> Shape | None:
        """The shape of what stands at a child `element`, of the given type where it is a choice."""
        if element.reference:
            return self.at(shape.structure.type, element.reference)
        code = reference.code if reference else element.types[0].code if element.types else ""
        if code in ("BackboneElement", "Element"):
            return self.at(shape.structure.type, element.path)
        return self.of_type(code)

    def is_primitive(self, code: str) -> bool:
        """Whether the type is one of the primitive types."""
        structure = self.definitions.structure(code)
        return structure is not None and structure.kind == "primitive-type"


def _shape(structure: Structure, path: str) -> Shape:
    prefix = path + "."
    children = {
        element.path[len(prefix) :]: element
        for element in structure.elements
        if element.path.startswith(prefix) and "." not in element.path[len(prefix) :]
    }
    return Shape(structure, path, children)
