"""Is the process alive, and can it serve: for supervisors and load balancers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from service.api.replies import Header, Reply
from service.api.server import server_of
from service.conformance.capability import Interaction

JSON: Header = (b"content-type", b"application/json")


async def live(request: Request) -> Response:
    """GET /health/live: 200 as long as the process answers."""
    return Reply(200, b'{"status":"live"}', media=JSON)


async def ready(request: Request) -> Response:
    """GET /health/ready: 200 when the store answers, else 503."""
    await server_of(request).database.ping()
    return Reply(200, b'{"status":"ready"}', media=JSON)


TABLE = (
    (Interaction("live", "GET", "/health/live"), live),
    (Interaction("ready", "GET", "/health/ready"), ready),
)
