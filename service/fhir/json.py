"""Lossless JSON: 1.00 stays 1.00, key order stays, a key that stands twice is an error.

FHIR: "the precision of the decimal value has significance" (https://hl7.org/fhir/R4/datatypes.html#decimal).
"""

from __future__ import annotations

import json as stdlib_json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from service.errors import BadRequest, Issue
from service.fhir.positions import Steps, positions, written

_MOST_ISSUES = 1000


class Literal(Decimal):
    """A decimal whose own text differs from `str(Decimal)`, e.g. `1e2`; encodes as it was written."""

    __slots__ = ("text",)
    text: str


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if str(value) == text:
        return value
    literal = Literal(text)
    literal.text = text
    return literal


def _literal(value: Any) -> msgspec.Raw:
    if isinstance(value, Literal):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"not JSON: {type(value).__name__}")


_decoder = msgspec.json.Decoder(float_hook=_decimal)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_literal)
encode = _encoder.encode


def decode(body: bytes, max_depth: int = 64) -> Any:
    """The value of `body`: numbers with a fraction or exponent are `Decimal`. Raises BadRequest.

    Places are given by line and column only: a message of the decoder may quote the body.
    """
    try:
        value = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(body, error) from None
    except InvalidOperation:
        text = "A number of the body has an exponent that no decimal can have"
        raise BadRequest(text, code="value", rule="not-json") from None
    if not _is_shallow(body, max_depth):
        check_depth(value, max_depth)
    # Equal counts of ':' prove that no key was dropped: those inside strings are the same on both sides.
    if body.count(b":") != encode(value).count(b":"):
        _refuse_duplicate_keys(body)
    return value


def _is_shallow(body: bytes, limit: int) -> bool:
    """True where the body cannot nest deeper than `limit`; False where that has to be looked at.

    Each round takes away the innermost pairs, at most two levels of them. Brackets in strings may leave a rest.
    """
    brackets = body.translate(None, _NO_BRACKETS)
    for _ in range(limit // 2):
        inner = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if not inner:
            return True
        if len(inner) == len(brackets):
            return False
        brackets = inner
    return not brackets


def check_depth(value: Any, limit: int) -> None:
    """Raises BadRequest where `value` nests deeper than `limit`."""
    level = [value]
    for _ in range(limit + 1):
        level = (
            [
                child
                for node in level
                for child in (node.values() if isinstance(node, dict) else node)
                if isinstance(child, (dict, list))
            ]
            if (level := [node for node in level if isinstance(node, (dict, list))])
            else []
        )
        if not level:
            return
    raise BadRequest(f"The body nests deeper than {limit} levels", code="structure", rule="json-too-deep")


def _not_json(body: bytes, error: Exception) -> BadRequest:
    line = column = None
    text = "The body is not JSON"
    if isinstance(error, RecursionError):
        text = "The body nests too deep"
    try:
        stdlib_json.loads(body)
    except stdlib_json.JSONDecodeError as place:
        line, column, text = place.lineno, place.colno, f"The body is not JSON: {place.msg}"
    except (UnicodeDecodeError, RecursionError, ValueError):
        text = text if isinstance(error, RecursionError) else "The body is not JSON in UTF-8"
    issue = Issue("structure", text, None, "not-json", line=line, column=column)
    return BadRequest(issues=[issue])


class _Twice(dict[str, Any]):
    """An object some of whose keys stand twice: `names`."""

    names: list[str]


def _pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) == len(items):
        return found
    twice = _Twice(found)
    twice.names = [name for name, times in Counter(name for name, _ in items).items() if times > 1]
    return twice


def _refuse_duplicate_keys(body: bytes) -> None:
    """Raises BadRequest with the element and the place of the last of each, where a key stands twice in an object."""
    value = stdlib_json.loads(body, object_pairs_hook=_pairs)
    wanted = [(*way, name) for way, names in _twice(value, ()) for name in names]
    if not wanted:
        return
    places = positions(body, wanted)
    root = value.get("resourceType") if isinstance(value, dict) else None
    issues = []
    for way in wanted[:_MOST_ISSUES]:
        line, column = places.get(way, (None, None))
        text = f"The key {str(way[-1])[:64]!r} stands twice in one object"
        expression = written(root, way) if isinstance(root, str) else None
        issues.append(Issue("structure", text, expression, "json-duplicate-key", line=line, column=column))
    raise BadRequest(issues=issues)


def _twice(value: Any, way: Steps) -> Iterator[tuple[Steps, list[str]]]:
    if isinstance(value, _Twice):
        yield way, value.names
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, member in members:
        if isinstance(member, (dict, list)):
            yield from _twice(member, (*way, step))
