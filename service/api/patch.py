"""patch, by id and conditional: https://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from service.api import body, conditions, formats, replies
from service.api.handling import Door
from service.api.selective import selective
from service.api.server import server_of
from service.conformance.definitions import Definitions
from service.conformance.elements import elements_of
from service.errors import UnsupportedMediaType
from service.fhir.json import decode
from service.fhir.operations import Patch, Plan
from service.fhir.patch import JSON_PATCH, Document, FhirPathPatch, JsonPatch, ReadPatch, read_entry

FORMATS = (formats.FHIR_JSON, formats.FHIR_XML, JSON_PATCH)


async def patch(request: Request) -> Response:
    """PATCH [type]/[id]: 200 with the patched resource; 404 unknown, 410 deleted, 412 by If-Match, 422 failed test."""
    server = server_of(request)
    formats.check_accept(request)
    type_, version = server.type_of(request), conditions.if_match(request)
    operation = Patch(type_, await _document(request), request.path_params["id"], if_match=version)
    return await _answer(request, operation)


async def patch_conditional(request: Request) -> Response:
    """PATCH [type]?criteria: exactly one match is patched, none → 404, several → 412."""
    server = server_of(request)
    formats.check_accept(request)
    type_, version = server.type_of(request), conditions.if_match(request)
    where = selective(request, type_, conditions.pairs(request))
    return await _answer(request, Patch(type_, await _document(request), where=where, if_match=version))


async def _answer(request: Request, operation: Patch) -> Response:
    server, door = server_of(request), Door(request)
    plan = Plan((operation,), base=server.base(request), check=door.patched, beside=door.beside({}))
    (applied,) = await server.database.write(plan)
    return replies.written(request, applied, door.notes(applied))


async def _document(request: Request) -> Document:
    """The patch that the body says, by its media type. Raises UnsupportedMediaType, BadRequest."""
    server = server_of(request)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == JSON_PATCH:
        return JsonPatch.read(decode(await body.raw(request), server.settings.max_depth))
    try:
        formats.check_content_type(request)
    except UnsupportedMediaType:
        text = f"A patch is sent as {', '.join(FORMATS)} (fhirVersion 4.0, UTF-8)"
        raise UnsupportedMediaType(text, headers={"Accept-Patch": ", ".join(FORMATS)}) from None
    parameters, _ = await body.resource(request, "Parameters", keep_id=True, judge=server.validator.require)
    body.speaks_of(request, None)  # from here on errors speak of what is patched
    return FhirPathPatch.read(parameters, elements_of(server.definitions).root)


def patch_reader(definitions: Definitions, max_depth: int) -> ReadPatch:
    """Reads the patch of a bundle's entry."""
    root = elements_of(definitions).root
    return lambda resource: read_entry(resource, root, max_depth)
