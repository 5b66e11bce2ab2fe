"""Lossless JSON: 1.00 stays 1.00, key order stays, a key that stands twice is an error.

FHIR: "the precision of the decimal value has significance" (https://hl7.org/fhir/R4/datatypes.html#decimal).
"""

from __future__ import annotations

import json as stdlib_json
from decimal import Decimal
from typing import Any

import msgspec

from service.errors import BadRequest, Issue


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


def _refuse_duplicate_keys(body: bytes) -> None:
    twice: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in items:
            if key in seen:
                twice.append(key)
            seen[key] = value
        return seen

    stdlib_json.loads(body, object_pairs_hook=pairs)
    if twice:
        issues = [
            Issue("structure", f"The key {key[:64]!r} stands twice in one object", None, "json-duplicate-key")
            for key in dict.fromkeys(twice)
        ]
        raise BadRequest(issues=issues)
