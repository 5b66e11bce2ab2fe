"""Errors that the framework raises itself, as OperationOutcomes like all others."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.api.operations.table import unknown
from service.api.representation import failed
from service.errors import (
    BadRequest,
    CartFhirError,
    Conflict,
    Gone,
    Internal,
    Issue,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    PreconditionFailed,
    TooLarge,
    Unavailable,
    Unprocessable,
    UnsupportedMediaType,
)

BY_STATUS = {
    kind.status: kind
    for kind in (
        BadRequest,
        NotFound,
        MethodNotAllowed,
        NotAcceptable,
        Conflict,
        Gone,
        PreconditionFailed,
        TooLarge,
        UnsupportedMediaType,
        Unprocessable,
        Unavailable,
    )
}
TEXTS = {404: "There is nothing at this address", 405: "This address does not answer this method"}


def install(app: FastAPI) -> None:
    """Sets the handlers of `app`."""
    app.add_exception_handler(CartFhirError, _ours)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _validation)  # type: ignore[arg-type]


async def _ours(request: Request, error: CartFhirError) -> Response:
    return await failed(request, error)


async def _http(request: Request, error: HTTPException) -> Response:
    kind = BY_STATUS.get(error.status_code, BadRequest if error.status_code < 500 else Internal)
    operation = unknown(request) if error.status_code == 404 else None
    if operation is not None:
        return await failed(request, operation)
    text = TEXTS.get(error.status_code, "The request cannot be answered")
    rule = "unknown-address" if error.status_code == 404 else None
    return await failed(request, kind(text, rule=rule, headers=dict(error.headers or {})))


async def _validation(request: Request, error: RequestValidationError) -> Response:
    """Where and which rule only: pydantic's `input` and messages may quote what the client sent."""
    issues = [
        Issue("value", f"{'.'.join(map(str, one['loc']))}: {one['type']}", None, "invalid-parameter")
        for one in error.errors()
    ]
    return await failed(request, Unprocessable(issues=issues))
