"""A small HTTP client for loads on loopback: keep-alive connections, one request in flight on each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Load:
    """What a load measured: seconds in all, the latencies in seconds, how often each status came."""

    seconds: float
    latencies: list[float]
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds under which `share` of the requests were answered."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


def request(method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    """One HTTP/1.1 request as bytes."""
    kind = "Content-Type: application/fhir+json\r\n" if body else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{kind}{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def load(port: int, requests: Iterator[bytes], clients: int) -> Load:
    """Sends all `requests` over `clients` connections and waits for every answer."""
    result = Load(0.0, [])
    started = time.perf_counter()
    await asyncio.gather(*(_client(port, requests, result) for _ in range(clients)))
    result.seconds = time.perf_counter() - started
    return result


async def _client(port: int, requests: Iterator[bytes], result: Load) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**26)
    try:
        for sent in requests:
            begun = time.perf_counter()
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0]
            if length and not sent.startswith(b"HEAD"):
                await reader.readexactly(int(length))
            result.latencies.append(time.perf_counter() - begun)
            status = int(head[9:12])
            result.statuses[status] = result.statuses.get(status, 0) + 1
    finally:
        writer.close()
