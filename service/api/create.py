"""create: https://hl7.org/fhir/R4/http.html#create"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api import body, conditions, formats, idempotency, replies
from service.api.handling import Door
from service.api.selective import selective
from service.api.server import server_of
from service.errors import BadRequest, Unprocessable
from service.fhir.conditions import Query, condition_of
from service.fhir.operations import Create, Plan


async def create(request: Request) -> Response:
    """POST [type]: 201 with Location; with If-None-Exist 200 when one matches, 412 when several do."""
    server = server_of(request)
    formats.check_accept(request)
    type_ = server.type_of(request)
    if conditions.criteria(request):
        text = "A create has no criteria in its URL; what must not exist yet stands in If-None-Exist"
        raise BadRequest(text, code="not-supported", rule="criteria-of-create")
    unless = _unless(request, type_)
    door = Door(request)
    resource, errors = await body.resource(request, type_, keep_id=False, judge=door.passed)
    _refuse_unprocessed(resource)
    plan = Plan((Create(resource, unless),), base=server.base(request), beside=door.beside_new({0: errors}))
    (applied,) = await idempotency.write(request, plan)
    return replies.written(request, applied, door.notes(applied, resource))


def _unless(request: Request, type_: str) -> Query | None:
    """The condition of If-None-Exist. Raises BadRequest, PreconditionFailed."""
    given = request.headers.getlist("if-none-exist")
    if not given:
        return None
    if len(given) > 1:
        raise BadRequest("If-None-Exist stands once, with all criteria", code="value", rule="malformed-query")
    return selective(request, type_, conditions.pairs_of(condition_of(type_, given[0])))


def _refuse_unprocessed(resource: dict[str, Any]) -> None:
    """Raises Unprocessable for a batch or transaction: stored as a resource it would look done and not be."""
    if resource["resourceType"] == "Bundle" and resource.get("type") in ("batch", "transaction"):
        text = "A batch or transaction is POSTed to the FHIR base; here it would be stored and not carried out"
        raise Unprocessable(text, expression="Bundle.type", rule="bundle-not-processed")
