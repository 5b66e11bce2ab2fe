"""$validate: would this resource be taken? https://hl7.org/fhir/R4/resource-operation-validate.html"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api import body, formats, places, replies
from service.api.operations.inputs import inputs, posted, text
from service.api.server import Server, server_of
from service.errors import BadRequest, CartFhirError, Issue, operation_outcome
from service.fhir.json import decode
from service.fhir.operations import Create, Delete, Operation, Plan, Update
from service.fhir.positions import Steps
from service.trial.flags import Flags

MODES = frozenset({"create", "update", "delete", "profile"})
KNOWN = ("mode", "profile")
FINE = Issue("informational", "No errors were found", None, "valid", "information")


async def validate_type(request: Request) -> Response:
    """POST [type]/$validate: a resource, or Parameters with resource, mode and profile; 200 whatever is found."""
    return await _answer(request, None)


async def validate_instance(request: Request) -> Response:
    """GET or POST [type]/[id]/$validate: what is sent, or without a body what is stored."""
    return await _answer(request, request.path_params["id"])


async def _answer(request: Request, id_: str | None) -> Response:
    formats.check_accept(request)
    server = server_of(request)
    type_ = server.type_of(request)
    resource, mode, profiles = await _asked(request, type_)
    if mode == "delete":
        if id_ is None:
            raise BadRequest("mode=delete needs [type]/[id]/$validate", code="required", rule="id-missing")
        return _outcome(await _rehearsed(request, Delete(type_, id_)))
    if resource is None:
        if id_ is None:
            raise BadRequest("A resource is needed", expression=type_, code="required", rule="body-empty")
        stored = await server.database.read(type_, id_)
        resource = decode(stored.content or b"{}", server.settings.max_depth * 2)
    found = await _findings(request, server, resource, profiles)
    if mode in ("create", "update") and not any(issue.severity == "error" for issue in found):
        found += await _would(request, resource, mode, id_)
    return _outcome(await places.in_issues(request, found))


def _root(sent: dict[str, Any] | None) -> Steps | None:
    """Where in the Parameters the resource stands."""
    parts = enumerate(sent["parameter"] if sent else ())
    return next((("parameter", n, "resource") for n, part in parts if part.get("name") == "resource"), None)


async def _asked(request: Request, type_: str) -> tuple[dict[str, Any] | None, str, list[str]]:
    """The resource, the mode and the profiles that the request names. Raises BadRequest."""
    sent = await posted(request) if request.method == "POST" else None
    wrapped = sent is not None and sent.get("resourceType") == "Parameters" and type_ != "Parameters"
    if wrapped or sent is None:
        found = await inputs(request, KNOWN, ("resource",))
        resource = found.get("resource", [None])[0]
        body.speaks_of(request, _root(sent))
    else:
        found = {}
        for name, value in request.query_params.multi_items():
            found.setdefault(name, []).append(value)
        resource = sent
        body.speaks_of(request)
    mode = text(found, "mode") or ""
    if mode and mode not in MODES:
        raise BadRequest(f"mode is one of {', '.join(sorted(MODES))}", code="value", rule="code-invalid")
    profiles = [value for value in found.get("profile", []) if isinstance(value, str)]
    if mode == "profile" and not profiles:
        raise BadRequest("mode=profile needs a profile", code="required", rule="profile-missing")
    if resource is not None:
        if not isinstance(resource, dict):
            raise BadRequest("The parameter resource is a resource", rule="not-an-object")
        body.check_type(resource, type_)
    return resource, mode, profiles


async def _findings(request: Request, server: Server, resource: dict[str, Any], profiles: list[str]) -> list[Issue]:
    size = len(await body.raw(request)) if request.method == "POST" else 0
    return await body.compute(lambda: server.validator.check(resource, profiles), size)


async def _would(request: Request, resource: dict[str, Any], mode: str, id_: str | None) -> list[Issue]:
    """What the store itself would have against the write: links that lead nowhere, another id."""
    if mode == "create":
        return await _rehearsed(request, Create({key: value for key, value in resource.items() if key != "id"}))
    sent = resource.get("id")
    if sent is None or (id_ is not None and sent != id_):
        text = "The body has no id" if sent is None else "The body's id is not the URL's"
        return [Issue("value", text, f"{resource['resourceType']}.id", "id-missing" if sent is None else "id-mismatch")]
    return await _rehearsed(request, Update(resource))


async def _rehearsed(request: Request, operation: Operation) -> list[Issue]:
    """The write up to the point where it would be kept."""
    server = server_of(request)
    try:
        plan = Plan((operation,), base=server.base(request), rehearsal=True, beside=Flags())
        await server.database.write(plan)
    except CartFhirError as error:
        if error.status >= 500:
            raise
        return list(error.issues)
    return []


def _outcome(found: list[Issue]) -> Response:
    wrong = any(issue.severity == "error" for issue in found)
    return replies.json(operation_outcome(found if wrong else [FINE, *found]))
