"""The outermost layer, pure ASGI: a request id, one line of log, and a 500 that tells nothing of a patient."""

from __future__ import annotations

import re
import time
import traceback
from random import getrandbits

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import replies
from service.errors import Internal

REQUEST_ID = re.compile(rb"[A-Za-z0-9._\-]{1,64}\Z")

log = structlog.get_logger("cart_fhir.api")


class Guard:
    """Wraps the application. `debug`: one line per request, by route and never by query or body."""

    def __init__(self, app: ASGIApp, debug: bool) -> None:
        self.app = app
        self.debug = debug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        started = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id))
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            status = await _fail(error, request_id, scope, receive, sending, status)
        if self.debug:
            self._line(scope, status, started, request_id)

    def _line(self, scope: Scope, status: int, started: float, request_id: bytes) -> None:
        route = getattr(scope.get("endpoint"), "path", None) or getattr(scope.get("route"), "path", "-")
        spent = round((time.perf_counter() - started) * 1000, 2)
        log.debug(
            "request", method=scope["method"], route=route, status=status, ms=spent, request_id=request_id.decode()
        )


async def _fail(error: Exception, request_id: bytes, scope: Scope, receive: Receive, send: Send, status: int) -> int:
    """Logs where `error` came from, without its text, and answers 500 unless an answer has begun."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log.error("failed", error=type(error).__name__, request_id=request_id.decode(), frames=frames[-12:])
    if status:
        return status
    text = f"The server failed. Its log has the details under the id {request_id.decode()}"
    await replies.failure(Internal(text))(scope, receive, send)
    return 500


def _request_id(scope: Scope) -> bytes:
    """The client's X-Request-Id, so that its log and ours can be joined, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.match(value):
            return value
    return b"%032x" % getrandbits(128)
