"""What a connection to a remote server may take: seconds, bytes, counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one `Remote`.

    Seconds: `connect`, `read` (silence between two pieces), `total` (one answer), `patience` (the longest Retry-After
    that is slept in the process), `backoff` (mean of the first wait is half of it) up to `backoff_most`, `open_for`
    (the circuit). Bytes: `body` after decompression. Counts: `depth` of JSON, `pages` of one search, `attempts` of one
    request, `concurrency` at most, `failures` in a row that open the circuit.
    """

    connect: float = 10.0
    read: float = 60.0
    total: float = 300.0
    body: int = 64 * 1024 * 1024
    depth: int = 64
    pages: int = 100_000
    patience: float = 5.0
    attempts: int = 4
    backoff: float = 0.5
    backoff_most: float = 8.0
    concurrency: int = 16
    failures: int = 5
    open_for: float = 30.0
