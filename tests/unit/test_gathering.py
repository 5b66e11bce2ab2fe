"""Answers leave in one piece, whole and in order, and a client that does not read holds its own answer up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable

import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from service.gathering import Connection, Gathering

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNK = b"x" * 50_000


async def small(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


class Endless:
    """Sends chunks without a pause of its own, and counts them."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for last in range(400):
            await send({"type": "http.response.body", "body": CHUNK, "more_body": last < 399})
            self.sent += 1


def served(app: ASGIApp, client: Callable[[socket.socket], Awaitable[None]]) -> None:
    """Runs `client` with a connection to a server of `app`, on the event loop that serves."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        config = uvicorn.Config(app, http=Connection, ws="none", log_config=None, access_log=False)
        config.load()
        state = ServerState()
        server = await loop.create_server(lambda: Connection(config, state, {}), "127.0.0.1", 0)
        with socket.socket() as ours:
            ours.setblocking(False)
            await loop.sock_connect(ours, server.sockets[0].getsockname())
            await asyncio.wait_for(client(ours), 10)
        server.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def received(ours: socket.socket) -> bytes:
    """All that comes until the server closes."""
    loop, found = asyncio.get_running_loop(), []
    while piece := await loop.sock_recv(ours, 2**20):
        found.append(piece)
    return b"".join(found)


class Kept(asyncio.WriteTransport):
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[list[bytes]] = []
        self.lost = False

    def is_closing(self) -> bool:
        return self.lost

    def writelines(self, pieces: Iterable[bytes]) -> None:  # type: ignore[override]
        self.given.append(list(pieces))


async def test_head_and_body_leave_together() -> None:
    transport = Kept()
    gathering = Gathering(transport, asyncio.get_running_loop())  # type: ignore[arg-type]
    for number in range(2):
        gathering.write(b"head")
        gathering.write(b"body")
        assert len(transport.given) == number
        await asyncio.sleep(0)
    assert transport.given == [[b"head", b"body"]] * 2


async def test_what_is_left_when_the_connection_is_lost_goes_nowhere() -> None:
    transport = Kept()
    gathering = Gathering(transport, asyncio.get_running_loop())  # type: ignore[arg-type]
    gathering.write(b"head")
    transport.lost = True
    await asyncio.sleep(0)
    assert not transport.given


def test_requests_sent_at_once_are_answered_in_turn_and_the_last_closes() -> None:
    async def client(ours: socket.socket) -> None:
        last = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(ours, GET * 3 + last)
        assert (await received(ours)).count(b"\r\n\r\nhello") == 4

    served(small, client)


def test_answer_to_what_is_no_request_arrives_before_the_end() -> None:
    async def client(ours: socket.socket) -> None:
        await asyncio.get_running_loop().sock_sendall(ours, b"\x00\r\n\r\n")
        answer = await received(ours)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.endswith(b"Invalid HTTP request received.")

    served(small, client)


def test_client_that_does_not_read_holds_the_answer_up() -> None:
    app = Endless()

    async def client(ours: socket.socket) -> None:
        last = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(ours, last)
        before = -1
        while app.sent != before:
            before = app.sent
            await asyncio.sleep(0.2)
        assert 0 < app.sent < 400
        assert (await received(ours)).count(b"x") == 400 * len(CHUNK)
        assert app.sent == 400

    served(app, client)
