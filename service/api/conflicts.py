"""Conflicts between us and a hospital: what both changed, and who decides."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api import body, formats, places
from service.api.health import JSON
from service.api.jobs import rooms_of
from service.api.replies import Reply
from service.api.server import server_of
from service.conformance.capability import Interaction
from service.errors import BadRequest, CartFhirError
from service.fhir.json import encode
from service.fhir.operations import Resource
from service.sync import conflicts

MOST = 200
_KEEP = ("ours", "theirs")


async def listed(request: Request) -> Response:
    """GET /sync/conflicts: those that are open, without the resources; `next` is the `after` to go on."""
    count = _count(request)
    found = await conflicts.listed(rooms_of(server_of(request)), request.query_params.get("after", ""), count)
    return _json({"conflicts": found, "next": found[-1]["id"] if len(found) == count else None})


async def conflict(request: Request) -> Response:
    """GET /sync/conflicts/[id]: one conflict with `base`, `ours` and `theirs`, in our form."""
    return _json(await conflicts.find(rooms_of(server_of(request)), request.path_params["id"]))


async def resolve(request: Request) -> Response:
    """POST /sync/conflicts/[id]/resolve: `{"keep": "ours"}`, `{"keep": "theirs"}` or the resource as it shall be."""
    server = server_of(request)
    formats.check_content_type(request, formats.JSON)
    content = await body.raw(request)
    given = body.an_object(content, server)
    keep, merged = _decision(given)
    if merged is not None:
        body.speaks_of(request)
    try:
        result = await conflicts.resolve(rooms_of(server), request.path_params["id"], keep, merged)
    except CartFhirError as error:
        raise await places.in_error(request, error) from None
    return _json({"resolved": request.path_params["id"], "resource": result})


def _decision(given: dict[str, Any]) -> tuple[conflicts.Side | None, Resource | None]:
    if "resourceType" in given:
        return None, given
    keep = given.get("keep")
    if set(given) != {"keep"} or keep not in _KEEP:
        text = 'Needed is {"keep": "ours"}, {"keep": "theirs"} or the resource as it shall be'
        raise BadRequest(text, code="value", rule="conflict-decision")
    return ("ours" if keep == "ours" else "theirs"), None


def _count(request: Request) -> int:
    text = request.query_params.get("_count", "50")
    if not text.isdecimal() or not 0 < int(text) <= MOST:
        raise BadRequest(f"_count is a number from 1 to {MOST}", code="value", rule="invalid-parameter")
    return int(text)


def _json(value: Any) -> Reply:
    return Reply(200, encode(value), media=JSON)


TABLE = (
    (Interaction("conflicts", "GET", "/sync/conflicts"), listed),
    (Interaction("conflict", "GET", "/sync/conflicts/{id:fhir_id}"), conflict),
    (Interaction("conflictResolve", "POST", "/sync/conflicts/{id:fhir_id}/resolve"), resolve),
)
