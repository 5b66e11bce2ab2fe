"""Numbers of parameters and code systems in the index, and texts cut to what a B-tree takes.

Some values stand beside those of their parameter under a number of their own, so that few queries cost others nothing.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from hashlib import blake2b

LONGEST = 300  # characters of an indexed text; PostgreSQL's B-tree takes 2,700 bytes a row, of two texts


@lru_cache(maxsize=8192)
def parameter_number(resource_type: str, code: str) -> int:
    """The number of a parameter in the index: a CRC of its name, so that it needs no table and never changes."""
    return zlib.crc32(f"{resource_type}.{code}".encode()) & 0x7FFFFFFF


@lru_cache(maxsize=8192)
def system_number(uri: str) -> int:
    """The number of a code system in the index: 64 bits of BLAKE2b, signed; 0 is none."""
    return int.from_bytes(blake2b(uri.encode(), digest_size=8).digest(), "big", signed=True) if uri else 0


def bounded(text: str) -> str:
    """A text short enough for any B-tree; a longer one ends in its digest, so that equality still holds."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}…{blake2b(text.encode(), digest_size=16).hexdigest()}"


def identifier_number(number: int) -> int:
    """Where the `identifier` of a reference parameter's values is indexed, for the modifier of that name."""
    return number ^ 1 << 30


def canonical_number(number: int) -> int:
    """Where quantities stand in the canonical unit of their dimension, which is their code."""
    return number ^ 1 << 29


def text_number(number: int) -> int:
    """Where the texts of codes stand, among the uris, for the modifier `text`."""
    return number ^ 1 << 28


def typed_number(number: int) -> int:
    """Where identifiers stand with their type, for the modifier `of-type`."""
    return number ^ 1 << 27
