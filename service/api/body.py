"""The request body: bounded while it streams, decoded once, checked before anything is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from service.api import formats
from service.api.server import Server, server_of
from service.conformance.xml import from_xml
from service.errors import BadRequest, TooLarge
from service.fhir.json import decode
from service.fhir.positions import Steps

CONTENT = "cart_fhir.content"  # where a body that was read stays for whoever asks again
DRAIN_SECONDS, DRAIN_PAUSE = 5, 0.5  # in all, and for the next piece
ROOT = "cart_fhir.root"  # where in the body the expressions of errors start, once that is known
LARGE = 64 * 1024  # bytes; parsing and checking more than this happens beside the event loop

T = TypeVar("T")


async def raw(request: Request) -> bytes:
    """The bytes of the body. Raises TooLarge as soon as it is known, before the rest is read."""
    if CONTENT in request.scope:
        return request.scope[CONTENT]
    limit = server_of(request).settings.max_body_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise await _too_large(request, limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise await _too_large(request, limit)
            chunks.append(chunk)
    except ClientDisconnect:
        raise BadRequest("The connection ended before the body did", rule="body-incomplete") from None
    request.scope[CONTENT] = b"".join(chunks)
    return request.scope[CONTENT]


def speaks_of(request: Request, root: Steps | None = ()) -> None:
    """Says that the expressions of errors start at `root` of the body, so that their places in it can be told.

    None: they speak of something else.
    """
    request.scope[ROOT] = root


async def _too_large(request: Request, limit: int) -> TooLarge:
    """The refusal, once a body that is not far over the limit has run out: else its client would see a broken
    connection instead of the answer. Nothing of it is kept, and who waits to be asked for it is not asked."""
    left = 0 if request.headers.get("expect") else limit
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0:
                message = await asyncio.wait_for(request.receive(), DRAIN_PAUSE)
                left -= len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    break
    return TooLarge(f"The body is larger than the {limit} bytes that this server takes")


async def resource(
    request: Request, type_: str, keep_id: bool, judge: Callable[[dict[str, Any]], T]
) -> tuple[dict[str, Any], T]:
    """The resource of a create or update, and what `judge` says of it, which raises where it is not taken.

    Without `keep_id` the client's id is dropped: the server gives one (hl7.org/fhir/R4/http.html#create).
    """
    formats.check_content_type(request)
    server, xml = server_of(request), formats.sends_xml(request)
    content = await raw(request)
    speaks_of(request)

    def parsed() -> tuple[dict[str, Any], T]:
        value = an_object(content, server, xml)
        check_type(value, type_)
        if not keep_id:
            value.pop("id", None)
        return value, judge(value)

    return await compute(parsed, len(content))


def an_object(content: bytes, server: Server, xml: bool = False) -> dict[str, Any]:
    """The JSON object of the body, which may be XML. Raises BadRequest."""
    if not content.strip():
        raise BadRequest("The body is empty: a resource is needed", code="required", rule="body-empty")
    if xml:
        return from_xml(content, server.definitions, server.settings.max_depth)
    value = decode(content, server.settings.max_depth)
    if not isinstance(value, dict):
        raise BadRequest("A resource is a JSON object", rule="not-an-object")
    return value


def check_type(value: dict[str, Any], type_: str) -> None:
    """Raises BadRequest when the body is not of the URL's type."""
    if "resourceType" not in value:
        raise BadRequest("resourceType is missing", expression=type_, code="required", rule="resource-type-missing")
    if value["resourceType"] != type_:
        raise BadRequest(
            f"The URL says {type_}, the body's resourceType is another",
            expression=f"{type_}.resourceType",
            code="value",
            rule="resource-type-mismatch",
        )


async def compute(work: Callable[[], T], size: int) -> T:
    """`work()`, in a thread when the body is so large that others would wait."""
    return await asyncio.to_thread(work) if size > LARGE else work()
