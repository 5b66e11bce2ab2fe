"""From JSON to XML text, in the order of the definitions."""

from __future__ import annotations

from itertools import zip_longest
from operator import attrgetter
from typing import Any

from service.conformance.validator.findings import place
from service.conformance.xml.grammar import FHIR, Grammar, Kind, Member, Node
from service.conformance.xml.narrative import embeddable
from service.conformance.xml.values import escaped, text_of
from service.errors import NotAcceptable

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_RANK = attrgetter("rank")


class _Unsayable(Exception):
    """XML has no words for it; `place` grows from the inside out."""

    def __init__(self, text: str, *place: str) -> None:
        self.text = text
        self.place = list(place)


def write(resource: Any, grammar: Grammar) -> bytes:
    """The document. Raises NotAcceptable."""
    parts = [_DECLARATION]
    try:
        _resource(parts, resource, grammar.document, f' xmlns="{FHIR}"')
    except _Unsayable as error:
        root = resource["resourceType"] if isinstance(resource, dict) and error.place else "Resource"
        expression = "".join([root, *reversed(error.place)])
        raise NotAcceptable(f"Not to be written as XML: {error.text}", expression=expression) from None
    except RecursionError:
        raise NotAcceptable("Not to be written as XML: it nests too deep") from None
    return "".join(parts).encode()


def _resource(parts: list[str], value: Any, document: Node, namespace: str = "") -> None:
    name = value.get("resourceType") if isinstance(value, dict) else None
    member = document.members.get(name) if isinstance(name, str) else None
    if member is None:
        raise _Unsayable("a resource of a type that R4 does not have")
    parts.append(f"<{name}{namespace}>")
    _children(parts, value, member.node, "resourceType")
    parts.append(f"</{name}>")


def _children(parts: list[str], value: dict[str, Any], node: Node, skipped: str = "") -> None:
    """The elements of an object; attributes and `skipped` are no elements."""
    members: dict[Member, None] = {}
    for name in value:
        member = node.members.get(name)
        if member is None and name[:1] == "_":
            member = node.members.get(name[1:])
            if member is not None and member.kind is not Kind.VALUE:
                member = None
        if member is not None:
            members[member] = None
        elif name != skipped and (name not in node.attributes or name == "value"):
            raise _Unsayable("R4 does not have this element, or XML has no place for it", place(name))
    for member in sorted(members, key=_RANK):
        _member(parts, value, member)


def _member(parts: list[str], value: dict[str, Any], member: Member) -> None:
    name = member.name
    content, extra = value.get(name), value.get(f"_{name}")
    if not member.repeats:
        _one(parts, content, extra, member, "")
        return
    for part in (content, extra):
        if part is not None and not isinstance(part, list):
            raise _Unsayable("an array is needed here", f".{name}")
    for index, (item, beside) in enumerate(zip_longest(content or (), extra or ())):
        _one(parts, item, beside, member, index)


def _one(parts: list[str], value: Any, extra: Any, member: Member, index: int | str) -> None:
    try:
        if member.kind is Kind.VALUE:
            _primitive(parts, value, extra, member)
        elif member.kind is Kind.OBJECT:
            _element(parts, value, member)
        elif member.kind is Kind.HOLDER:
            parts.append(f"<{member.name}>")
            _resource(parts, value, member.node)
            parts.append(f"</{member.name}>")
        else:
            parts.append(_div(value))
    except _Unsayable as error:
        error.place.append(f".{member.name}[{index}]" if member.repeats else f".{member.name}")
        raise


def _primitive(parts: list[str], value: Any, extra: Any, member: Member) -> None:
    if value is None:
        text = ""
    else:
        text = text_of(value)
        if text is None:
            raise _Unsayable(_why(value))
        text = f' value="{text}"'
    if extra is None:
        parts.append(f"<{member.name}{text}/>")
    else:
        _element(parts, extra, member, text)


def _why(value: Any) -> str:
    return "a character that XML excludes" if isinstance(value, str) else "one plain value is needed here"


def _element(parts: list[str], value: Any, member: Member, more: str = "") -> None:
    if not isinstance(value, dict):
        raise _Unsayable("an object is needed here")
    node = member.node
    opening = f"<{member.name}"
    for name in ("id", "url"):
        if name in value and name in node.attributes:
            content = value[name]
            text = escaped(content) if isinstance(content, str) else None
            if text is None:
                raise _Unsayable(_why(content), f".{name}")
            opening += f' {name}="{text}"'
    before = len(parts)
    parts.append(f"{opening}{more}>")
    _children(parts, value, node)
    if len(parts) == before + 1:
        parts[before] = f"{opening}{more}/>"
    else:
        parts.append(f"</{member.name}>")


def _div(value: Any) -> str:
    text = embeddable(value) if isinstance(value, str) else None
    if text is None:
        raise _Unsayable("the narrative is not an XHTML div")
    return text
