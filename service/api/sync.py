"""Connections to hospitals: kept, tested, run, looked at; and who is linked with whom."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api import body, formats
from service.api.health import JSON
from service.api.replies import Reply
from service.api.server import server_of
from service.conformance.capability import Interaction
from service.errors import BadRequest
from service.fhir.json import encode
from service.sync import connections, operating
from service.sync.linking import AMBIGUOUS, LINKED, MERGED, UNLINKED
from service.sync.probe import probe

WISHES = ("compare", "confirm_deletions")


async def listed(request: Request) -> Response:
    """GET /sync/connections"""
    found = await connections.listed(server_of(request).database)
    return _json({"connections": [one.shown() for one in found]})


async def connection(request: Request) -> Response:
    """GET /sync/connections/[name]: with watermarks, links, last runs and what waits for a person."""
    return _json(await operating.status(server_of(request).database, request.path_params["name"]))


async def put(request: Request) -> Response:
    """PUT /sync/connections/[name]: adds or replaces it."""
    made = connections.parsed(request.path_params["name"], await _given(request))
    await operating.save(server_of(request).database, made)
    return _json(made.shown())


async def delete(request: Request) -> Response:
    """DELETE /sync/connections/[name]: ends it; what was pulled stays."""
    await operating.remove(server_of(request).database, request.path_params["name"])
    return Reply(204)


async def run(request: Request) -> Response:
    """POST /sync/connections/[name]/run: 202 and the Task of the run, or of the one that is under way."""
    given = await _given(request)
    if given.keys() - set(WISHES) or any(not isinstance(one, bool) for one in given.values()):
        raise BadRequest(f"A run has the wishes {', '.join(WISHES)}: true or false", code="value", rule="run-malformed")
    id_ = await operating.order(server_of(request).database, request.path_params["name"], given)
    location = (b"content-location", f"/fhir/Task/{id_}".encode())
    return Reply(202, encode({"job": id_, "task": f"Task/{id_}"}), [location], JSON)


async def test(request: Request) -> Response:
    """POST /sync/connections/[name]/test: what works on the other side, step by step."""
    server = server_of(request)
    one = await connections.find(server.database, request.path_params["name"])
    steps = [asdict(step) async for step in probe(server.database, server.definitions, one)]
    return _json({"works": all(step["state"] != "failed" for step in steps), "steps": steps})


async def links(request: Request) -> Response:
    """GET /sync/connections/[name]/links: patients there, with those here."""
    state = request.query_params.get("state", "")
    if state not in ("", LINKED, UNLINKED, AMBIGUOUS, MERGED):
        text = f"state is one of {LINKED}, {UNLINKED}, {AMBIGUOUS}, {MERGED}"
        raise BadRequest(text, code="value", rule="invalid-parameter")
    return _json({"links": await operating.links(server_of(request).database, request.path_params["name"], state)})


async def link(request: Request) -> Response:
    """PUT /sync/connections/[name]/links/[id]: links Patient/[id] there with `local` here, as a person decides."""
    given = await _given(request)
    if given.keys() != {"local"} or not isinstance(given["local"], str):
        raise BadRequest("`local` is needed: Patient/id here", code="required", rule="link-malformed")
    remote = f"Patient/{request.path_params['id']}"
    await operating.link(server_of(request).database, request.path_params["name"], remote, given["local"])
    return _json({"remote": remote, "local": given["local"]})


async def unlink(request: Request) -> Response:
    """DELETE /sync/connections/[name]/links/[id]: ends a link; the next run takes away what came by it."""
    remote = f"Patient/{request.path_params['id']}"
    await operating.link(server_of(request).database, request.path_params["name"], remote, None)
    return Reply(204)


async def _given(request: Request) -> dict[str, Any]:
    content = await body.raw(request)
    if not content.strip():
        return {}
    formats.check_content_type(request, formats.JSON)
    return body.an_object(content, server_of(request))


def _json(value: Any) -> Reply:
    return Reply(200, encode(value), media=JSON)


ALL = "/sync/connections"
ONE = ALL + "/{name:fhir_id}"
LINK = ONE + "/links/{id:fhir_id}"
TABLE = (
    (Interaction("connectionPut", "PUT", ONE), put),
    (Interaction("connection", "GET", ONE), connection),
    (Interaction("connectionDelete", "DELETE", ONE), delete),
    (Interaction("connections", "GET", ALL), listed),
    (Interaction("connectionTest", "POST", ONE + "/test"), test),
    (Interaction("connectionRun", "POST", ONE + "/run"), run),
    (Interaction("connectionLinks", "GET", ONE + "/links"), links),
    (Interaction("connectionLink", "PUT", LINK), link),
    (Interaction("connectionUnlink", "DELETE", LINK), unlink),
)
