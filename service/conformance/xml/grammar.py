"""Which elements and attributes may stand in an XML element, in which order, and what they are in JSON.

Made from the StructureDefinitions as far as they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum, auto
from functools import cached_property, partial

from service.conformance.definitions import Definitions
from service.conformance.records import Element, TypeRef
from service.conformance.validator.shapes import Shape, Shapes, capitalised

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"


class Kind(Enum):
    """What an XML element holds: a primitive, further elements, one resource (HOLDER), or the narrative."""

    VALUE = auto()
    OBJECT = auto()
    HOLDER = auto()
    RESOURCE = auto()
    DIV = auto()


class Member:
    """One element of a node by its JSON name; `rank` is its place in the order, `code` the type of a primitive."""

    def __init__(self, name: str, kind: Kind, rank: int, repeats: bool, code: str, node: Callable[[], Node]) -> None:
        self.name = name
        self.kind = kind
        self.rank = rank
        self.repeats = repeats
        self.code = code
        # Arrays and objects that it adds to the nesting of the JSON; a resource itself is the object of its holder.
        self.levels = repeats + (kind is not Kind.HOLDER)
        self._node = node

    @cached_property
    def node(self) -> Node:
        """What may stand in the element; types refer to themselves, so it is looked up when it is needed."""
        return self._node()


class Node:
    """The content of an element: its `members` by JSON name and by `tag` ("namespace name"), and its attributes."""

    def __init__(self, members: list[Member], attributes: frozenset[str] = frozenset()) -> None:
        self.members = {member.name: member for member in members}
        self.tags = {f"{XHTML if member.kind is Kind.DIV else FHIR} {member.name}": member for member in members}
        self.attributes = attributes


class Grammar:
    """The nodes of the types; `document` is what stands around a resource."""

    def __init__(self, definitions: Definitions) -> None:
        self._shapes = Shapes(definitions)
        self._nodes: dict[tuple[str, str], Node] = {}
        self.document = Node(
            [
                Member(name, Kind.RESOURCE, 0, False, "", partial(self._of_type, name))
                for name in sorted(definitions.resource_types)
            ]
        )
        self._primitive = Node(list(self._of_type("Element").members.values()), frozenset({"id", "value"}))

    def _of_type(self, code: str) -> Node:
        shape = self._shapes.of_type(code)
        if shape is None:
            raise LookupError(f"the definitions lack the type {code}")
        return self._of_shape(shape)

    def _of_shape(self, shape: Shape) -> Node:
        key = shape.structure.type, shape.path
        node = self._nodes.get(key)
        if node is None:
            attributes = _attributes(shape)
            members = [member for member in self._members(shape) if member.name not in attributes]
            node = self._nodes[key] = Node(members, attributes)
        return node

    def _members(self, shape: Shape) -> Iterator[Member]:
        for rank, (name, element) in enumerate(shape.children.items()):
            if name.endswith("[x]"):
                for reference in element.types:
                    yield self._member(name[:-3] + capitalised(reference.code), rank, shape, element, reference)
            else:
                yield self._member(name, rank, shape, element, element.types[0] if element.types else None)

    def _member(self, name: str, rank: int, shape: Shape, element: Element, reference: TypeRef | None) -> Member:
        code = reference.code if reference else ""
        repeats = element.max != "1"
        if code == "xhtml":
            return Member(name, Kind.DIV, rank, repeats, code, lambda: Node([]))
        if self._is_resource(code):
            return Member(name, Kind.HOLDER, rank, repeats, "", lambda: self.document)
        if code and self._shapes.is_primitive(code):
            return Member(name, Kind.VALUE, rank, repeats, code, lambda: self._primitive)
        return Member(name, Kind.OBJECT, rank, repeats, "", partial(self._below, shape, element, reference))

    def _is_resource(self, code: str) -> bool:
        """`Resource`, or one type of them: `Bundle.entry.response.outcome` is an OperationOutcome."""
        shape = self._shapes.of_type(code) if code else None
        return shape is not None and shape.structure.kind == "resource"

    def _below(self, shape: Shape, element: Element, reference: TypeRef | None) -> Node:
        below = self._shapes.below(shape, element, reference)
        if below is None:
            raise LookupError(f"the definitions lack what stands at {element.path}")
        return self._of_shape(below)


def _attributes(shape: Shape) -> frozenset[str]:
    """`id` of elements and `url` of extensions; the id of a resource is an element."""
    if shape.path == "Extension":
        return frozenset({"id", "url"})
    is_resource = shape.structure.kind == "resource" and "." not in shape.path
    return frozenset() if is_resource else frozenset({"id"})
