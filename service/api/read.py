"""read and vread: https://hl7.org/fhir/R4/http.html#read"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from service.api import formats, replies, subset
from service.api.server import server_of
from service.errors import NotFound


async def read(request: Request) -> Response:
    """GET [type]/[id]: the current version; 404 unknown, 410 deleted, 304 when the client has it."""
    server = server_of(request)
    formats.check_accept(request)
    stored = await server.database.read(server.type_of(request), request.path_params["id"])
    return replies.resource(request, subset.of_request(request, stored))


async def vread(request: Request) -> Response:
    """GET [type]/[id]/_history/[version]: one version; 410 where that version is a deletion."""
    server = server_of(request)
    formats.check_accept(request)
    type_, version = server.type_of(request), request.path_params["version"]
    if not version.isdecimal() or len(version) > 18:
        raise NotFound("There is no such version")
    stored = await server.database.read_version(type_, request.path_params["id"], int(version))
    return replies.resource(request, subset.of_request(request, stored))
