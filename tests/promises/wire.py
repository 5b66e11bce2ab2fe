"""The network between the service and PostgreSQL, which can be cut or fall silent at a chosen moment."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Wire:
    """Passes bytes from a port of loopback to PostgreSQL's Unix socket.

    `cut` is when the next COMMIT cuts it: "before" it arrives, "after" it was done and before its answer; None: not.
    While `closed`, nobody is let in; a cut closes it where `stays_cut`.
    `silent` is the same as `cut` for a COMMIT behind which the connection swallows all, in both directions and its
    end as well. `fall_silent` does so to all connections that there are and to the new ones, until `speak` lets new
    ones through.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.cut: str | None = None
        self.silent: str | None = None
        self.stays_cut = self.closed = False
        self.happened = threading.Event()
        self._swallows = threading.Event()  # what a new connection sends
        self._connections: list[threading.Event] = []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Nothing can connect any more; what fell silent ends."""
        self._listener.close()
        _shut(*self._open)

    def fall_silent(self) -> None:
        """Packets vanish; nobody is told."""
        self._swallows.set()
        for swallowed in self._connections:
            swallowed.set()

    def speak(self) -> None:
        """New connections pass; those that fell silent stay so."""
        self._swallows.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.closed:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.path)
                swallowed = threading.Event()
                if self._swallows.is_set():
                    swallowed.set()
                self._connections.append(swallowed)
                self._open += [client, server]
                for work in (self._up, self._down):
                    threading.Thread(target=work, args=(client, server, swallowed), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, swallowed: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self.cut and b"COMMIT" in data:
                    self._cut(data, client, server)
                    return
                if self.silent and b"COMMIT" in data:
                    when, self.silent = self.silent, None
                    swallowed.set()
                    if when == "after":
                        server.sendall(data)
                    self.happened.set()
                elif not swallowed.is_set():
                    server.sendall(data)
        if not swallowed.is_set():
            _shut(client, server)

    def _down(self, client: socket.socket, server: socket.socket, swallowed: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if not swallowed.is_set():
                    client.sendall(data)
        if not swallowed.is_set():
            _shut(client, server)

    def _cut(self, data: bytes, client: socket.socket, server: socket.socket) -> None:
        when, self.cut, self.closed = self.cut, None, self.stays_cut
        _shut(client)
        if when == "after":
            server.sendall(data)
            server.sendall(b"X\0\0\0\4")  # Terminate: the server ends when it has done what came before
            with suppress(OSError):
                while server.recv(65536):
                    pass
        _shut(server)
        self.happened.set()


def _shut(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
