"""What both simulators have: a log of requests, outages on order, and a control interface beside FHIR."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from service.errors import BadRequest
from service.fhir import json
from service.simulators.wire import Cut, Dropped, Refusal, plain

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
_HEADERS = "accept authorization content-type if-match if-none-exist if-none-match prefer user-agent x-request-id"

Mode = Literal["status", "drop", "lose", "cut", "stall"]
Control = Callable[[str, Any], Any]


@dataclass(slots=True)
class Exchange:
    """One request and what became of it. `status` is None where no answer was sent, or not yet."""

    number: int
    at: str
    method: str
    path: str
    headers: dict[str, str]
    status: int | None = None
    fault: str | None = None
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Outage:
    """What goes wrong with the next `requests` whose "METHOD path?query" contains `match`.

    Modes: `status` answers with `status` and `retryAfter` and does nothing; `drop` closes the connection and does
    nothing; `lose` does what was asked and then drops the connection; `cut` does it and sends half of the answer;
    `stall` waits `seconds` and then does it.
    """

    requests: int = 1
    mode: Mode = "status"
    status: int = 503
    retryAfter: str | None = None
    seconds: float = 0.0
    match: str = ""


class Counterpart(ABC):
    """An ASGI application that answers FHIR, and `/control/…` to loopback alone.

    `log` holds every request but those of control, oldest first.
    """

    def __init__(self) -> None:
        self.log: list[Exchange] = []
        self.outages: list[Outage] = []
        self.controls: dict[str, Control] = {"log": self._control_log, "down": self._control_down}
        control = Route("/control/{name}", self._control, methods=["GET", "POST", "DELETE"])
        self._app = Starlette(routes=[control, Route("/{path:path}", self._front, methods=_METHODS)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    @abstractmethod
    async def answer(self, request: Request, exchange: Exchange) -> Response:
        """Does what `request` asks. Raises Refusal."""

    def down(self, **what: Any) -> None:
        """Orders an Outage. Raises Refusal where a field is not one of its."""
        known = {entry.name for entry in fields(Outage)}
        if set(what) - known or what.get("mode", "status") not in get_args(Mode):
            raise Refusal(400, "value", f"An outage has the fields {sorted(known)} and the modes {get_args(Mode)}")
        self.outages.append(Outage(**what))

    def count(self, match: str = "") -> int:
        """How many logged requests have `match` in their "METHOD path?query"."""
        return sum(match in f"{exchange.method} {exchange.path}" for exchange in list(self.log))

    async def _front(self, request: Request) -> Response:
        exchange = _exchange(request, len(self.log) + 1)
        self.log.append(exchange)
        try:
            response = await self._through(request, exchange)
        except Refusal as refusal:
            response = refusal.answer.response()
        exchange.status = None if isinstance(response, Dropped) else response.status_code
        return response

    async def _through(self, request: Request, exchange: Exchange) -> Response:
        outage = self._outage(f"{exchange.method} {exchange.path}")
        if outage is None:
            return await self.answer(request, exchange)
        exchange.fault = outage.mode
        if outage.mode == "drop":
            return Dropped()
        if outage.mode == "status":
            headers = {"Retry-After": outage.retryAfter} if outage.retryAfter else {}
            raise Refusal(outage.status, "transient", "Out of order", headers)
        await asyncio.sleep(outage.seconds)
        response = await self.answer(request, exchange)
        return Dropped() if outage.mode == "lose" else Cut(response) if outage.mode == "cut" else response

    def _outage(self, line: str) -> Outage | None:
        for outage in self.outages:
            if outage.match in line:
                outage.requests -= 1
                if outage.requests <= 0:
                    self.outages.remove(outage)
                return outage
        return None

    async def _control(self, request: Request) -> Response:
        if request.client is None or not ipaddress.ip_address(request.client.host).is_loopback:
            return plain({"error": "Control is for loopback alone"}, 403)
        control = self.controls.get(request.path_params["name"])
        if control is None:
            return plain({"error": f"There are the controls {sorted(self.controls)}"}, 404)
        try:
            body = await request.body()
            return plain(control(request.method, json.decode(body) if body else None))
        except Refusal as refusal:
            return plain({"error": str(refusal)}, 400)
        except (BadRequest, TypeError, ValueError, KeyError, AttributeError) as error:
            return plain({"error": f"{type(error).__name__}: {error}"}, 400)

    def _control_log(self, method: str, body: Any) -> Any:
        if method == "DELETE":
            self.log.clear()
        return [asdict(exchange) for exchange in self.log]

    def _control_down(self, method: str, body: Any) -> Any:
        if method == "DELETE":
            self.outages.clear()
        elif method == "POST":
            self.down(**(body or {}))
        return [asdict(outage) for outage in self.outages]


def _exchange(request: Request, number: int) -> Exchange:
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    headers = {name: request.headers[name] for name in _HEADERS.split() if name in request.headers}
    if "authorization" in headers:
        kind, _, secret = headers["authorization"].partition(" ")
        headers["authorization"] = f"{kind} sha256:{hashlib.sha256(secret.encode()).hexdigest()[:12]}"
    return Exchange(number, datetime.now(UTC).isoformat(timespec="milliseconds"), request.method, path, headers)


def fhir_body(body: bytes) -> dict[str, Any]:
    """A resource of a request's body. Raises Refusal."""
    try:
        resource = json.decode(body)
    except BadRequest:
        raise Refusal(400, "structure", "The body is not JSON") from None
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise Refusal(400, "structure", "The body is not a resource")
    return resource
