"""One uvicorn process over the application: the port is taken first, so that a busy one is a plain message."""

from __future__ import annotations

import gc
import signal
import socket
from collections.abc import Callable

import uvicorn

from service import gathering, logs
from service.app import create_app
from service.conformance.definitions import Definitions
from service.errors import CartFhirError, Unavailable
from service.settings import Settings


class _Server(uvicorn.Server):
    """Calls `started` once when requests are answered."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _settle()
            self._on_start()


def _settle() -> None:
    """Spares the collector what will stay for ever, and the requests a collection for every 700 objects they decode.

    Bundles are trees and go by reference counting; the collector is for the rare cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def listen(settings: Settings) -> socket.socket:
    """A socket bound to the host and port. Raises Unavailable with a plain text."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        reason = error.strerror or type(error).__name__
        text = f"Cannot listen on {settings.host}:{settings.port}: {reason}. Choose another port with --port"
        raise Unavailable(text, rule="port-in-use") from None
    listener.set_inheritable(True)
    return listener


def run(
    settings: Settings, listener: socket.socket, started: Callable[[], None], loaded: Definitions | None = None
) -> None:
    """Serves until SIGINT or SIGTERM, then answers what is under way. Raises CartFhirError."""
    logs.configure(settings.log_level)
    config = uvicorn.Config(
        create_app(settings, loaded),
        loop="uvloop",
        http=gathering.Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_seconds,  # type: ignore[arg-type]
    )
    server = _Server(config, started)
    # uvicorn raises the signal again when it has stopped: that a stop was asked for is no failure.
    signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
    server.run(sockets=[listener])
    if not server.started:
        raise CartFhirError("The service did not start; the log above says why")
