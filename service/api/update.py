"""update, by id and conditional: https://hl7.org/fhir/R4/http.html#update"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api import body, conditions, formats, replies
from service.api.handling import Door
from service.api.selective import selective
from service.api.server import server_of
from service.errors import BadRequest, Issue
from service.fhir.operations import Plan, Update


async def update(request: Request) -> Response:
    """PUT [type]/[id]: 200, or 201 when the id is new; If-Match guards against a lost update (412)."""
    server = server_of(request)
    formats.check_accept(request)
    type_ = server.type_of(request)
    version = conditions.if_match(request)
    door = Door(request)
    resource, errors = await body.resource(request, type_, keep_id=True, judge=door.passed)
    _check_id(resource, type_, request.path_params["id"])
    return await _answer(request, door, Update(resource, if_match=version), errors)


async def update_conditional(request: Request) -> Response:
    """PUT [type]?criteria: none matches → created, one → updated, several → 412."""
    server = server_of(request)
    formats.check_accept(request)
    type_ = server.type_of(request)
    where = selective(request, type_, conditions.pairs(request))
    version = conditions.if_match(request)
    door = Door(request)
    resource, errors = await body.resource(request, type_, keep_id=True, judge=door.passed)
    return await _answer(request, door, Update(resource, where, version), errors)


async def _answer(request: Request, door: Door, operation: Update, errors: list[Issue]) -> Response:
    server = server_of(request)
    plan = Plan((operation,), base=server.base(request), beside=door.beside({0: errors}))
    (applied,) = await server.database.write(plan)
    return replies.written(request, applied, door.notes(applied, operation.resource))


def _check_id(resource: dict[str, Any], type_: str, id_: str) -> None:
    if "id" not in resource:
        raise BadRequest("The body has no id", expression=f"{type_}.id", code="required", rule="id-missing")
    if resource["id"] != id_:
        raise BadRequest("The body's id is not the URL's", expression=f"{type_}.id", code="value", rule="id-mismatch")
