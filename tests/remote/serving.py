"""The other end: small servers over real HTTP on loopback, each in a thread, and raw ones that break the protocol."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FHIR = "application/fhir+json"
Handler = Callable[[Request], Awaitable[Response]]


def fhir(value: dict[str, Any], status: int = 200, **headers: str) -> Response:
    """An answer with a resource; `Retry_After="1"` is the header Retry-After."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(json.dumps(value), status, named, FHIR)


def patient(id: str = "1", **changes: Any) -> dict[str, Any]:
    """A Patient."""
    return {"resourceType": "Patient", "id": id, "meta": {"versionId": "1"}, **changes}


def outcome(code: str = "processing", severity: str = "error", **changes: Any) -> dict[str, Any]:
    """An OperationOutcome with one issue."""
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code, **changes}]}


def searchset(*resources: dict[str, Any], next: str | None = None, **changes: Any) -> dict[str, Any]:
    """A page of a search."""
    links = [{"relation": "next", "url": next}] if next else []
    entries = [{"resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries, **changes}


class Served:
    """A server that answers every request by `handler` and keeps what came: `seen`."""

    def __init__(self, handler: Handler, scheme: str = "http") -> None:
        self.handler = handler
        self.scheme = scheme
        self.port = 0
        self.seen: list[Request] = []
        methods = ["GET", "POST", "PUT", "DELETE", "HEAD"]
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=methods)])

    async def _answer(self, request: Request) -> Response:
        self.seen.append(request)
        return await self.handler(request)

    @property
    def root(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def base(self) -> str:
        return f"{self.root}/fhir"

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.seen]


@contextmanager
def serve(handler: Handler, certificate: tuple[Path, Path] | None = None) -> Iterator[Served]:
    """A server on a free port of loopback until the end of the block; `certificate` is the files of it and its key."""
    served = Served(handler, "https" if certificate else "http")
    files = {"ssl_certfile": certificate[0], "ssl_keyfile": certificate[1]} if certificate else {}
    config = uvicorn.Config(served.app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", **files)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server did not start in time"
        time.sleep(0.005)
    served.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)


@asynccontextmanager
async def raw(answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """The base address of a server that writes bytes as `answer` says, once the head of a request has come."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fhir"
    finally:
        server.close()


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
