"""Runs a simulator by uvicorn: in a thread for tests, in the foreground for the command line."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import Unavailable

LOOPBACK = "127.0.0.1"
_START_SECONDS = 20
_connections: dict[tuple[str, int], asyncio.Transport] = {}


class _Droppable(HttpToolsProtocol):
    """HTTP whose connections can be found by the client's address, so that an answer can be lost on purpose."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client:
            _connections[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client:
            _connections.pop(self.client, None)
        super().connection_lost(exc)


def connection(scope: Scope) -> asyncio.Transport | None:
    """The connection of a request; None where the application is not served by this module."""
    return _connections.get(tuple(scope["client"])) if scope.get("client") else None


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Unavailable(f"Cannot listen on {host}:{port}: {error.strerror}", rule="port-in-use") from None
    return listener


def _server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=_Droppable,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=1,
        )
    )


@contextmanager
def serving(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Serves `app` on loopback while the block runs: its address, `http://127.0.0.1:PORT`, without a last slash.

    A free port is taken where none is named. Raises Unavailable where the port is taken.
    """
    listener = _bound(LOOPBACK, port)
    server = _server(app)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        limit = time.monotonic() + _START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > limit:
                raise Unavailable("The simulator did not start")
            time.sleep(0.005)
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(_START_SECONDS)
        listener.close()


def run(app: ASGIApp, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serves `app` until SIGINT or SIGTERM; `started` gets the address. Raises Unavailable where the port is taken."""
    listener = _bound(host, port)
    shown = f"[{host}]" if ":" in host else host
    started(f"http://{shown}:{listener.getsockname()[1]}")
    _server(app).run(sockets=[listener])
