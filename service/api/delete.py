"""delete, by id and conditional: https://hl7.org/fhir/R4/http.html#delete"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from service.api import conditions, formats, replies
from service.api.selective import selective
from service.api.server import server_of
from service.fhir.operations import Delete, Plan
from service.trial.flags import Flags


async def delete(request: Request) -> Response:
    """DELETE [type]/[id]: 204, also when it is gone already; 409 while others refer to it."""
    server = server_of(request)
    formats.check_accept(request)
    operation = Delete(server.type_of(request), request.path_params["id"], if_match=conditions.if_match(request))
    (applied,) = await server.database.write(Plan((operation,), beside=Flags()))
    return replies.deleted(request, applied)


async def delete_conditional(request: Request) -> Response:
    """DELETE [type]?criteria: at most one match, several → 412."""
    server = server_of(request)
    formats.check_accept(request)
    type_ = server.type_of(request)
    where = selective(request, type_, conditions.pairs(request))
    operation = Delete(type_, where=where, if_match=conditions.if_match(request))
    (applied,) = await server.database.write(Plan((operation,), beside=Flags()))
    return replies.deleted(request, applied)
