"""$meta, $meta-add and $meta-delete of an instance: its tags, security labels and profiles.

Source: https://hl7.org/fhir/R4/resource-operation-meta.html, -meta-add.html and -meta-delete.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api import formats, idempotency, replies
from service.api.handling import Door
from service.api.operations.inputs import inputs, one
from service.api.server import server_of
from service.errors import BadRequest, PreconditionFailed
from service.fhir.json import decode
from service.fhir.operations import Applied, Plan, Stored, Update

Meta = dict[str, Any]
KEPT = ("profile", "security", "tag")
TRIES = 10  # against others who write the same resource at the same time


async def meta(request: Request) -> Response:
    """GET or POST [type]/[id]/$meta; it takes no parameters."""
    formats.check_accept(request)
    await inputs(request, ())
    server = server_of(request)
    stored = await server.database.read(server.type_of(request), request.path_params["id"])
    return _answer(stored)


async def meta_add(request: Request) -> Response:
    """POST [type]/[id]/$meta-add: adds what is not there yet; a new version, unless nothing is new."""
    return await _change(request, _added)


async def meta_delete(request: Request) -> Response:
    """POST [type]/[id]/$meta-delete: takes away what is there; a new version, unless nothing was."""
    return await _change(request, _removed)


async def _change(request: Request, change: Callable[[Meta, Meta], Meta]) -> Response:
    formats.check_accept(request)
    server = server_of(request)
    type_, id_ = server.type_of(request), request.path_params["id"]
    wanted = one(await inputs(request, ("meta",)), "meta")
    if not isinstance(wanted, dict) or not wanted.keys() & set(KEPT):
        text = "The parameter meta is a Meta with tag, security or profile"
        raise BadRequest(text, expression="Parameters.parameter", code="required", rule="parameter-missing")
    keyed = idempotency.keyed_of(request)
    if keyed is not None and keyed.before is not None:
        return _answer(_stored(keyed.before[0]))
    door = Door(request)
    for left in reversed(range(TRIES)):
        stored = await server.database.read(type_, id_)
        resource = decode(stored.content or b"{}", 10_000)
        resource["meta"] = change(resource.get("meta", {}), wanted)
        errors = door.passed(resource)
        plan = Plan(
            (Update(resource, if_match=stored.version),), base=server.base(request), beside=door.beside({0: errors})
        )
        try:
            (applied,) = await idempotency.write(request, plan)
        except PreconditionFailed:
            if not left:
                raise
        else:
            return _answer(_stored(applied))
    raise AssertionError("unreachable")


def _added(before: Meta, wanted: Meta) -> Meta:
    after = dict(before)
    for name in KEPT:
        known = {_identity(one) for one in before.get(name, [])}
        new = [one for one in wanted.get(name, []) if _identity(one) not in known]
        if new:
            after[name] = [*before.get(name, []), *new]
    return after


def _removed(before: Meta, wanted: Meta) -> Meta:
    after = dict(before)
    for name in KEPT:
        gone = {_identity(one) for one in wanted.get(name, [])}
        left = [one for one in before.get(name, []) if _identity(one) not in gone]
        after[name] = left
        if not left:
            del after[name]
    return after


def _identity(item: Any) -> Any:
    """A profile is its url, a label its system and code; display and version do not make another one."""
    return item if isinstance(item, str) else (item.get("system"), item.get("code"))


def _stored(result: Any) -> Stored:
    assert isinstance(result, Applied)
    assert result.stored is not None
    return result.stored


def _answer(stored: Stored) -> Response:
    found = decode(stored.content or b"{}", 10_000).get("meta", {})
    answer = replies.json({"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": found}]})
    answer.raw_headers += replies.version_headers(stored)
    return answer
