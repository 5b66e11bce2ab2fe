"""capabilities: https://hl7.org/fhir/R4/http.html#capabilities"""

from __future__ import annotations

from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from service.api import formats, replies
from service.api.server import server_of
from service.conformance import capability
from service.fhir.json import encode


async def metadata(request: Request) -> Response:
    """GET metadata: the CapabilityStatement; 304 when the client has it."""
    formats.check_accept(request)
    base = server_of(request).base(request)
    known = server_of(request).statements
    if base not in known:
        if len(known) >= 16:  # a client may send any Host
            known.clear()
        known[base] = _content(request, base)
    content, etag = known[base]
    if request.headers.get("if-none-match") == etag:
        return replies.Reply(304, headers=[(b"etag", etag.encode())])
    return replies.Reply(200, content, [(b"etag", etag.encode())])


def _content(request: Request, base: str) -> tuple[bytes, str]:
    server = server_of(request)
    statement = capability.statement(server.definitions, server.interactions)
    statement["implementation"]["url"] = base
    content = encode(statement)
    return content, f'W/"{sha256(content).hexdigest()[:16]}"'
