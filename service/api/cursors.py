"""Where a search or history goes on, as an opaque text: encrypted, because a query may name a patient.

AES-256-GCM with a key of the database, so every process of one store reads the cursors of the others
and a changed one is refused.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.errors import BadRequest

NONCE = 12  # bytes


class Cursors:
    """Seals and opens cursors with the 32 bytes of `key`."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, kind: str, state: Any) -> str:
        """`state` (plain values) as text for a URL; opens only as the same `kind` (a search or a history)."""
        nonce = os.urandom(NONCE)
        sealed = self._cipher.encrypt(nonce, msgspec.msgpack.encode(state), kind.encode())
        return urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()

    def open(self, kind: str, text: str) -> Any:
        """What `seal` took. Raises BadRequest for anything that this store did not make."""
        try:
            raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
            return msgspec.msgpack.decode(self._cipher.decrypt(raw[:NONCE], raw[NONCE:], kind.encode()))
        except (InvalidTag, Error, ValueError):
            raise BadRequest(
                "The cursor is not one of this server: start again from the first page",
                code="value",
                rule="unknown-cursor",
            ) from None
