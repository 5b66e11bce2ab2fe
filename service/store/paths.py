"""The FHIRPath of search parameters, compiled to plain functions over JSON.

R4's expressions are paths with a few functions: `a.b`, `(a as T)`, `a.as(T)`, `a.where(f='v')`,
`a.where(resolve() is T)`, `a[0]`, `a.extension('url')` and `a.exists() and a != false`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

# The types that a choice element can have: https://hl7.org/fhir/R4/datatypes.html#open
CHOICE_TYPES = frozenset(
    "Base64Binary Boolean Canonical Code Date DateTime Decimal Id Instant Integer Markdown Oid PositiveInt String Time "
    "UnsignedInt Uri Url Uuid Address Age Annotation Attachment CodeableConcept Coding ContactPoint Count Distance "
    "Duration HumanName Identifier Money Period Quantity Range Ratio Reference SampledData Signature Timing "
    "ContactDetail Contributor DataRequirement Expression ParameterDefinition RelatedArtifact TriggerDefinition "
    "UsageContext Dosage Meta".split()
)

Step = Callable[[Any], Iterator[Any]]
Path = tuple[tuple[str, ...], tuple[Step, ...]]  # keys of the first element, further steps

_CAST = re.compile(r"\((.+) as ([A-Za-z]+)\)(.*)\Z")
_TOKEN = re.compile(
    r"as\((?P<cast>[A-Za-z]+)\)|where\(resolve\(\) is (?P<target>[A-Za-z]+)\)"
    r"|where\((?P<field>[a-z]\w*) ?= ?'(?P<value>[^']*)'\)"
    r"|extension\('(?P<extension>[^']+)'\)|(?P<name>[A-Za-z]\w*)(?:\[(?P<index>\d+)\])?"
)


class UnknownPath(ValueError):
    """An expression beyond the forms above."""


def compile_path(expression: str) -> list[Path]:
    """The alternatives of an expression, each as the JSON keys that it can start at and the steps from there."""
    return [_alternative(alternative.strip()) for alternative in expression.split(" | ")]


def _alternative(text: str) -> Path:
    exists = re.match(r"([\w.]+)\.exists\(\) and \1 != false\Z", text)
    if exists:
        keys, steps = _alternative(exists[1])
        return keys, (*steps, _true_or_present)
    cast = _CAST.match(text)
    if cast:
        text = f"{cast[1]}.as({cast[2]}){cast[3]}"
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    return _steps(list(_tokens(text)))


def _tokens(text: str) -> Iterator[re.Match[str]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise UnknownPath(text)
        yield match
        position = match.end()
        if position < len(text):
            if text[position] != ".":
                raise UnknownPath(text)
            position += 1


def _steps(tokens: list[re.Match[str]]) -> Path:
    """The first token is the resource type itself."""
    names: list[tuple[str, str | None] | Step] = []
    for token in tokens[1:]:
        if token["cast"]:
            name = names.pop()
            if not isinstance(name, tuple):
                raise UnknownPath(token.string)
            names.append((name[0], token["cast"]))
        elif token["target"]:
            names.append(_points_at(token["target"]))
        elif token["field"]:
            names.append(_where(token["field"], token["value"]))
        elif token["extension"]:
            names += [("extension", None), _where("url", token["extension"])]
        else:
            names.append((token["name"], None))
            if token["index"]:
                raise UnknownPath(token.string)
    if not names or not isinstance(names[0], tuple):
        raise UnknownPath(tokens[0].string)
    rest = tuple(_child(*name) if isinstance(name, tuple) else name for name in names[1:])
    return _keys(*names[0]), rest


def _keys(name: str, cast: str | None) -> tuple[str, ...]:
    if cast:
        return (name, name + cast[0].upper() + cast[1:])
    return (name, *(name + suffix for suffix in sorted(CHOICE_TYPES)))


def _child(name: str, cast: str | None) -> Step:
    keys = frozenset(_keys(name, cast))

    def child(node: Any) -> Iterator[Any]:
        if type(node) is dict:
            if name in node:
                value = node[name]
                yield from value if type(value) is list else (value,)
            else:
                for key in node.keys() & keys:
                    value = node[key]
                    yield from value if type(value) is list else (value,)

    return child


def _where(field: str, value: str) -> Step:
    def where(node: Any) -> Iterator[Any]:
        if type(node) is dict and node.get(field) == value:
            yield node

    return where


def _points_at(target: str) -> Step:
    def points_at(node: Any) -> Iterator[Any]:
        if type(node) is dict:
            text = node.get("reference")
            if node.get("type") == target or (type(text) is str and f"{target}/" in text):
                yield node

    return points_at


def _true_or_present(node: Any) -> Iterator[Any]:
    yield node is not False
