"""OpenAPI 3.1, curated: an operation per interaction, a resource as a free-form object, every error with its outcome.

A full FHIR schema is recursive and too large for Swagger UI: profiles and /fhir/metadata say what is valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service import __version__
from service.api import replies
from service.api.conflicts_shown import CONFLICTS
from service.api.examples import JSON_PATCH, NDJSON, Body, Operation, Parameter, body
from service.api.framework import BY_STATUS
from service.api.interactions import INTERACTIONS
from service.api.operations.shown import SHOWN
from service.api.others import OTHERS
from service.api.searches import SEARCHES
from service.api.server import server_of
from service.api.submissions_shown import SUBMISSIONS
from service.api.sync_shown import SYNC
from service.conformance.capability import Interaction
from service.errors import Issue
from service.fhir.json import encode

FHIR = "application/fhir+json"
DESCRIBED = {**INTERACTIONS, **SHOWN, **OTHERS, **SUBMISSIONS, **CONFLICTS, **SYNC}
OUTCOMES = {
    400: ("required", "Observation.code is required", "Observation.code", "element-required"),
    404: ("not-found", "There is no Patient/nobody", None, "unknown-resource"),
    405: ("not-supported", "This address answers GET, HEAD", None, "method-not-allowed"),
    406: ("not-supported", "This server speaks FHIR JSON and FHIR XML (4.0)", None, "not-acceptable"),
    409: ("conflict", "Other resources refer to this one", None, "conflict"),
    410: ("deleted", "The resource was deleted", None, "deleted"),
    412: ("conflict", "If-Match names a version that is not current", None, "precondition-failed"),
    413: ("too-long", "The body is larger than this server takes", None, "body-too-large"),
    415: ("not-supported", "The body must be FHIR JSON or FHIR XML", None, "unsupported-media-type"),
    422: ("business-rule", "The profile asks for a unit", "Observation.valueQuantity.code", "unprocessable"),
    503: ("transient", "The store is busy; nothing was written", None, "unavailable"),
}
ERRORS = {
    400: "Not parsable, or against R4: every finding with its place",
    404: "Unknown: the resource, the type or the address",
    405: "This address does not answer this method; `Allow` names those that it does",
    406: "Only application/fhir+json and application/fhir+xml (R4) are spoken here",
    409: "Integrity: a reference leads nowhere, or others still refer to this resource",
    410: "The resource was deleted; its versions can still be read",
    412: "`If-Match` names another version, or criteria match several",
    413: "The body is larger than CART_FHIR_MAX_BODY_BYTES",
    415: "The body is of another media type",
    422: "Against a profile or a business rule",
    503: "The store is busy or away; nothing was written, try again",
}
GOOD = {
    200: "Done",
    201: "Created; `Location` names the version",
    202: "Taken down, and not done yet",
    204: "Gone",
}


async def openapi(request: Request) -> Response:
    """GET /openapi.json"""
    content = encode(document(server_of(request).interactions))
    return replies.Reply(200, content, media=(b"content-type", b"application/json"))


TABLE = ((Interaction("openapi", "GET", "/openapi.json"), openapi),)


@cache
def document(interactions: tuple[Interaction, ...]) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for name, path, operation in SEARCHES:
        paths.setdefault(path, {})["get"] = _operation(name, operation)
    for interaction in interactions:
        operation = DESCRIBED[interaction.name]
        paths.setdefault(plain(interaction.path), {})[interaction.method.lower()] = _operation(
            interaction.name, operation
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cart-fhir",
            "version": __version__,
            "description": "FHIR R4 for the ISIKOK-19 CAR-T trial. Every example runs as it stands once "
            "`cart-fhir demo` has filled the store. JSON is shown; every FHIR address also speaks XML.",
        },
        "tags": [{"name": name} for name in _tags(interactions)],
        "paths": paths,
        "components": {"schemas": SCHEMAS, "responses": _error_responses()},
    }


def plain(path: str) -> str:
    """`/fhir/{type:type_name}` as OpenAPI writes it: `/fhir/{type}`."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


def _tags(interactions: Iterable[Interaction]) -> list[str]:
    names = [DESCRIBED[interaction.name].tag for interaction in interactions]
    return list(dict.fromkeys(["System", "Instance", "Type", "Operations", "Worked searches", "ISIKOK-19", *names]))


def _operation(name: str, operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": name,
        "summary": operation.summary,
        "description": operation.text,
        "tags": [operation.tag],
    }
    if operation.parameters:
        found["parameters"] = [_parameter(one) for one in operation.parameters]
    if operation.bodies:
        found["requestBody"] = {"required": True, "content": _bodies(operation.bodies)}
    if operation.form:
        content = {"application/x-www-form-urlencoded": _form(operation.form)}
        found["requestBody"] = {"required": True, "content": content}
    found["responses"] = {str(status): _good(status, operation) for status in operation.success}
    found["responses"] |= {str(status): {"$ref": f"#/components/responses/{status}"} for status in operation.errors}
    return found


def _parameter(parameter: Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.text,
        "schema": {"type": "string"},
    }
    if parameter.place == "path":
        found["required"] = True
    if parameter.example is not None:
        found["example"] = parameter.example
    return found


def _bodies(bodies: Iterable[Body]) -> dict[str, Any]:
    """The examples by media type."""
    content: dict[str, Any] = {}
    for one in bodies:
        name = "JsonPatch" if one.media == JSON_PATCH else "Resource"
        schema = {"type": "string"} if one.media == NDJSON else {"$ref": f"#/components/schemas/{name}"}
        of_media = content.setdefault(one.media, {"schema": schema, "examples": {}})
        of_media["examples"][one.file.partition(".")[0]] = _body(one.file, one.text, one.status)
    return content


def _body(file: str, text: str, status: int) -> dict[str, Any]:
    return {"summary": f"{text} ({status})" if status >= 400 else text, "value": body(file), "x-status": status}


def _form(text: str) -> dict[str, Any]:
    fields = dict(pair.split("=", 1) for pair in text.split("&"))
    properties = {name: {"type": "string", "example": value} for name, value in fields.items()}
    return {"schema": {"type": "object", "properties": properties}, "example": fields}


def _good(status: int, operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {"description": GOOD[status]}
    if status == 204:
        return found
    if operation.media == FHIR:
        shown = {"example": operation.answer} if operation.answer else {}
        found["content"] = {FHIR: {"schema": {"$ref": "#/components/schemas/Resource"}, **shown}}
        return found
    kind = {"type": "object"} if operation.media == "application/json" else {"type": "string"}
    found["content"] = {media: {"schema": kind} for media in operation.media.split(",")}
    return found


def _error_responses() -> dict[str, Any]:
    found = {}
    for status, (code, text, expression, rule) in OUTCOMES.items():
        outcome = BY_STATUS[status](issues=[Issue(code, text, expression, rule)]).outcome()
        content = {FHIR: {"schema": {"$ref": "#/components/schemas/OperationOutcome"}, "example": outcome}}
        found[str(status)] = {"description": ERRORS[status], "content": content}
    return found


SCHEMAS: dict[str, Any] = {
    "Resource": {
        "type": "object",
        "description": "Any FHIR R4 resource; the server validates it against R4 and the profiles that it claims.",
        "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string"}},
        "additionalProperties": True,
    },
    "JsonPatch": {
        "type": "array",
        "description": "Operations of RFC 6902: add, remove, replace, move, copy, test.",
        "items": {"type": "object", "required": ["op", "path"]},
    },
    "OperationOutcome": {
        "type": "object",
        "required": ["resourceType", "issue"],
        "properties": {
            "resourceType": {"type": "string", "enum": ["OperationOutcome"]},
            "issue": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["severity", "code"],
                    "properties": {
                        "severity": {"type": "string", "enum": ["fatal", "error", "warning", "information"]},
                        "code": {"type": "string"},
                        "details": {"type": "object"},
                        "diagnostics": {"type": "string"},
                        "expression": {"type": "array", "items": {"type": "string"}},
                    },
                },
            },
        },
    },
}
