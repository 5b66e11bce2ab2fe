"""The FHIRPath of FHIRPath Patch: names, indexes, where, first, last, ofType and extension, to places in a resource.

A patch must know what to change, not only a value, so a path gives places. The grammar is closed: what it does not
know is refused by name. Source: https://hl7.org/fhir/R4/fhirpatch.html and https://hl7.org/fhir/R4/fhirpath.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from service.errors import BadRequest

_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|'(?P<string>(?:[^'\\]|\\.)*)'|(?P<number>-?[0-9]{1,30}(?:\.[0-9]{1,30})?)"
    r"|@(?P<date>[0-9T:.+Z\-]+)|(?P<sign>[.()\[\]=]))",
    re.DOTALL,
)
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'?|=\s*[^')\]\s]+", re.DOTALL)  # not shown: it may be of a patient
_ANY_RESOURCE = ("Resource", "DomainResource")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


class Part(Protocol):
    """What the definitions say of an element: its JSON name, its type, whether it repeats or is one of a choice."""

    key: str
    code: str
    repeats: bool
    choice: bool

    def inside(self, value: Any, name: str) -> tuple[Part, ...]:
        """The elements of `value` that FHIRPath calls `name`: several for a choice, none for an unknown name."""


@dataclass(frozen=True, slots=True)
class Place:
    """One element: `holder[part.key]`, or its item `index` where it repeats; `parent` is the element around it."""

    holder: dict[str, Any]
    part: Part
    index: int | None = None
    parent: Place | None = None

    @property
    def value(self) -> Any:
        """What stands there; None for a primitive that has extensions only."""
        value = self.holder.get(self.part.key)
        return value if self.index is None or not isinstance(value, list) else value[self.index]

    def below(self, name: str) -> Iterator[Place]:
        """The elements that `name` says from here."""
        value = self.value
        for part in self.part.inside(value, name) if isinstance(value, dict) else ():
            items = value.get(part.key)
            if part.repeats and isinstance(items, list):
                yield from (Place(value, part, index, self) for index in range(len(items)))
            elif not part.repeats and (items is not None or f"_{part.key}" in value):
                yield Place(value, part, None, self)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `kind` name, root, index, first, last, type or where."""

    kind: str
    name: str = ""
    index: int = 0
    criteria: tuple[tuple[tuple[Step, ...], Any], ...] = ()

    def of(self, places: list[Place]) -> list[Place]:
        """The places that the step leads to."""
        if self.kind == "name":
            return [found for place in places for found in place.below(self.name)]
        if self.kind == "root":
            return [place for place in places if self.name in (place.value.get("resourceType"), *_ANY_RESOURCE)]
        if self.kind == "type":
            return [place for place in places if place.part.code == self.name]
        if self.kind == "where":
            return [place for place in places if all(_holds(place, *criterion) for criterion in self.criteria)]
        if self.kind == "last":
            return places[-1:]
        return places[self.index : self.index + 1]


def places(steps: tuple[Step, ...], start: Place) -> list[Place]:
    """All elements that the path gives."""
    found = [start]
    for step in steps:
        found = step.of(found)
    return found


def _holds(place: Place, steps: tuple[Step, ...], literal: Any) -> bool:
    """FHIRPath's `=`: exactly one value, and that one equal."""
    found = places(steps, place)
    if len(found) != 1:
        return False
    value = found[0].value
    if isinstance(literal, bool) or isinstance(value, bool):
        return value is literal
    if isinstance(literal, Decimal):
        return isinstance(value, (int, Decimal)) and value == literal
    return isinstance(value, str) and value == literal


def parse(text: str) -> tuple[Step, ...]:
    """The steps of a path; a type name in front says what the resource is. Raises BadRequest for other FHIRPath."""
    reader = _Reader(text)
    try:
        steps = reader.path()
        if reader.token != ("end", ""):
            raise _Unknown
    except (_Unknown, RecursionError):
        shown = _LITERAL.sub("…", text)[:200]
        known = "names, [index], where(a.b='…' and …), first(), last(), ofType(…) and extension('…')"
        message = f"The path {shown} is not supported; paths are made of {known}"
        raise BadRequest(message, code="not-supported", rule="patch-path-unsupported") from None
    return (Step("root", steps[0].name), *steps[1:]) if steps[0].name[:1].isupper() else steps


class _Unknown(Exception):
    """A token that the grammar has no place for."""


class _Reader:
    """Reads tokens one ahead."""

    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0
        self.token = ("", "")
        self.next()

    def next(self) -> tuple[str, str]:
        """The present token; the one behind it becomes the present one."""
        before = self.token
        match = _TOKEN.match(self.text, self.place)
        if match is not None and match.lastgroup is not None:
            self.place, self.token = match.end(), (match.lastgroup, match[match.lastgroup])
        elif self.text[self.place :].strip():
            self.token = ("unknown", "")
        else:
            self.token = ("end", "")
        return before

    def take(self, kind: str, text: str | None = None) -> str:
        """The text of the present token, which must be this one."""
        if self.token[0] != kind or (text is not None and self.token[1] != text):
            raise _Unknown
        return self.next()[1]

    def at(self, sign: str) -> bool:
        """Takes the sign where it stands."""
        if self.token != ("sign", sign):
            return False
        self.next()
        return True

    def path(self) -> tuple[Step, ...]:
        steps = [Step("name", self.take("name"))]
        while True:
            if self.at("["):
                steps.append(Step("index", index=_small(self.take("number"))))
                self.take("sign", "]")
            elif self.at("."):
                name = self.take("name")
                steps += self.function(name) if self.at("(") else (Step("name", name),)
            else:
                return tuple(steps)

    def function(self, name: str) -> tuple[Step, ...]:
        """The steps of `name(…)`, of which the opening parenthesis is taken."""
        steps: tuple[Step, ...]
        if name in ("first", "last"):
            steps = (Step(name),)
        elif name in ("ofType", "as"):
            type_ = self.take("name")
            type_ = self.take("name") if type_ in ("FHIR", "System") and self.at(".") else type_
            steps = (Step("type", type_),)
        elif name == "extension":
            url = _unescaped(self.take("string"))
            steps = (Step("name", "extension"), Step("where", criteria=(((Step("name", "url"),), url),)))
        elif name == "where":
            criteria = [self.criterion()]
            while self.token == ("name", "and"):
                self.next()
                criteria.append(self.criterion())
            steps = (Step("where", criteria=tuple(criteria)),)
        else:
            raise _Unknown
        self.take("sign", ")")
        return steps

    def criterion(self) -> tuple[tuple[Step, ...], Any]:
        """`path = literal`."""
        steps = self.path()
        self.take("sign", "=")
        kind, text = self.next()
        if kind == "name" and text in ("true", "false"):
            return steps, text == "true"
        if kind == "number":
            return steps, Decimal(text)
        if kind in ("string", "date"):
            return steps, _unescaped(text) if kind == "string" else text
        raise _Unknown


def _small(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise _Unknown
    return int(text)


def _unescaped(text: str) -> str:
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text, flags=re.DOTALL)
