"""The answers: stored bytes with their headers, outcomes, Bundles put together without decoding anything."""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api import conditions
from service.api.server import Server, server_of
from service.errors import CartFhirError, Issue, operation_outcome
from service.fhir.json import encode
from service.fhir.operations import Applied, Stored

Header = tuple[bytes, bytes]
FHIR: Header = (b"content-type", b"application/fhir+json; charset=utf-8")
NOTHING: Header = (b"content-length", b"0")
# A cache that goes by Last-Modified alone would show what is no longer so; with the ETag it asks first.
ALWAYS: tuple[Header, ...] = (
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"accept"),
    (b"x-content-type-options", b"nosniff"),
)


class Reply(Response):
    """A response whose bytes and headers are ready; Response.__init__ would encode every header again."""

    def __init__(self, status: int, body: bytes = b"", headers: Iterable[Header] = (), media: Header = FHIR) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = [*headers, *ALWAYS]
        if body:
            self.raw_headers += (media, (b"content-length", b"%d" % len(body)))
        elif status not in (204, 304):
            self.raw_headers.append(NOTHING)


def version_headers(stored: Stored) -> list[Header]:
    """ETag and Last-Modified of a version."""
    return [(b"etag", b'W/"%d"' % stored.version), (b"last-modified", _http_date(stored.at // 1_000_000))]


@lru_cache(maxsize=1024)
def _http_date(seconds: int) -> bytes:
    """Seconds since 1970 as RFC 9110 5.6.7 writes them."""
    return formatdate(seconds, usegmt=True).encode()


def resource(request: Request, stored: Stored) -> Reply:
    """A read: the stored bytes, or 304 when the client has them."""
    headers = version_headers(stored)
    if conditions.not_modified(request, stored):
        return Reply(304, headers=headers)
    return Reply(200, stored.content or b"", headers)


def written(request: Request, applied: Applied, findings: Iterable[Issue] = ()) -> Reply:
    """The answer to a create or update: body as Prefer asks, Location of the version.

    `findings` are warnings of the validator, shown where the client asks for an outcome.
    """
    stored = applied.stored
    assert stored is not None  # only an absent delete has none
    headers = version_headers(stored)
    place = f"{server_of(request).base(request)}/{stored.type}/{stored.id}/_history/{stored.version}".encode()
    headers += ((b"location", place), (b"content-location", place))
    wish = conditions.prefer(request, "return", "representation")
    if wish == "minimal":
        return Reply(applied.status, headers=headers)
    if wish == "OperationOutcome":
        return Reply(applied.status, encode(operation_outcome([_done(applied), *findings])), headers)
    return Reply(applied.status, stored.content or b"", headers)


def deleted(request: Request, applied: Applied) -> Reply:
    """The answer to a delete: 204, or 200 with an outcome where the client prefers one."""
    headers = version_headers(applied.stored)[:1] if applied.stored else []
    if conditions.prefer(request, "return", "minimal") == "OperationOutcome":
        return Reply(200, encode(operation_outcome([_done(applied)])), headers)
    return Reply(204, headers=headers)


def _done(applied: Applied) -> Issue:
    texts = {
        "created": "The resource was created",
        "updated": "The resource was updated",
        "unchanged": "Nothing changed, so there is no new version",
        "existing": "A resource that matches If-None-Exist exists already; nothing was written",
        "deleted": "The resource was deleted",
        "absent": "There was nothing to delete",
    }
    return Issue("informational", texts[applied.outcome], None, applied.outcome, "information")


def failure(error: CartFhirError, extra: Iterable[Header] = ()) -> Reply:
    """Any error of the tree as its OperationOutcome."""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in error.headers.items()]
    if error.status == 413:
        headers.append((b"connection", b"close"))  # the rest of the body is not worth reading
    if error.status == 503 and not any(name == b"retry-after" for name, _ in headers):
        headers.append((b"retry-after", b"1"))
    return Reply(error.status, encode(error.outcome()), [*headers, *extra])


def json(value: Any, status: int = 200) -> Reply:
    """A resource that this service has just made."""
    return Reply(status, encode(value))


def base_of(request: Request) -> str:
    """The FHIR base that the client used."""
    server: Server = server_of(request)
    return server.base(request)
