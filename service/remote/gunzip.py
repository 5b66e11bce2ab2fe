"""Gzip in bounded pieces: a small body that unpacks to gigabytes is stopped at the limit, not in memory."""

from __future__ import annotations

import zlib

_GZIP = 31  # window bits of zlib that take a gzip header


class Gunzip:
    """Unpacks pieces of one gzip body, several members included. Raises zlib.error where it is damaged."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False

    def __call__(self, piece: bytes, most: int) -> bytes:
        """The next bytes; one more than `most` of them where there are more."""
        parts: list[bytes] = []
        self._begun = self._begun or bool(piece)
        while piece and most >= 0:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            part = self._member.decompress(piece, most + 1)
            most -= len(part)
            parts.append(part)
            piece = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        return b"".join(parts)

    @property
    def complete(self) -> bool:
        """True where the end of the body is the end of a member."""
        return self._member.eof or not self._begun
