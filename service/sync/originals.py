"""The bytes of a resource as they came, inside those of the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from service.errors import BadRequest
from service.fhir.json import decode, encode


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"null")


class _Page(msgspec.Struct):
    entry: list[_Entry] = []


_pages = msgspec.json.Decoder(_Page)


def original(page: bytes, is_it: Callable[[Any], bool], fallback: Any) -> bytes:
    """The bytes of the first entry whose resource `is_it`; where there is none, `fallback` written anew."""
    try:
        entries = _pages.decode(page).entry if page else []
    except msgspec.DecodeError:
        entries = []
    for entry in entries:
        raw = bytes(entry.resource)
        try:
            if is_it(decode(raw, 10_000)):
                return raw
        except BadRequest:
            continue
    return encode(fallback)
