"""The request headers that carry conditions and preferences, parsed.

Source: https://hl7.org/fhir/R4/http.html#concurrency, #cond-update, #prefer
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl

from starlette.requests import Request

from service.errors import BadRequest, PreconditionFailed
from service.fhir.bundle import UNLESS
from service.fhir.freshness import ETAG, Known
from service.fhir.operations import ABSENT, Stored

RETURNS = frozenset({"minimal", "representation", "OperationOutcome"})
GENERAL = frozenset({"_format", "_pretty"})


def header(request: Request, name: str) -> str | None:
    """The value of a header, those of several of its name with commas between them (RFC 9110 5.3)."""
    values = request.headers.getlist(name)
    return ", ".join(values) if values else None


def if_match(request: Request) -> int | None:
    """The version that must be current, or None; ABSENT where a PUT says `If-None-Match: *` (RFC 9110 13.1.2).

    An ETag that this server never gave is a PreconditionFailed.
    """
    text, unless = header(request, "if-match"), header(request, "if-none-match")
    if unless is not None:
        if unless.strip() != "*" or request.method != "PUT" or text is not None:
            raise BadRequest(UNLESS, code="not-supported", rule="malformed-etag")
        return ABSENT
    if text is None:
        return None
    match = ETAG.match(text)
    if match is None:
        raise BadRequest('If-Match takes one ETag, such as W/"3"', code="value", rule="malformed-etag")
    if not match[1].isdecimal() or int(match[1]) == 0:
        raise PreconditionFailed("If-Match names a version that does not exist", rule="version-mismatch")
    return int(match[1])


def not_modified(request: Request, stored: Stored) -> bool:
    """Whether the client already has this version (If-None-Match, else If-Modified-Since)."""
    tags, since = header(request, "if-none-match"), request.headers.get("if-modified-since")
    if tags is None and since is None:
        return False
    return Known(tags, _http_date(since)).covers(stored)


def _http_date(text: str | None) -> datetime | None:
    """None for one that cannot be read, which RFC 9110 13.1.3 ignores."""
    try:
        found = parsedate_to_datetime(text) if text is not None else None
    except (ValueError, TypeError):
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)


def prefer(request: Request, name: str, default: str) -> str:
    """The value of a preference, `return` or `handling`; unknown values are ignored as RFC 7240 asks."""
    text = header(request, "prefer")
    if text is None:
        return default
    known = RETURNS if name == "return" else {"strict", "lenient"}
    for part in re.split(r"[,;]", text):
        key, _, value = part.strip().partition("=")
        if key.strip().lower() == name and value.strip().strip('"') in known:
            return value.strip().strip('"')
    return default


def criteria(request: Request) -> list[tuple[str, str]]:
    """Names and values of the URL's query, without the parameters that only speak of the format."""
    return [(name, value) for name, value in pairs(request) if name not in GENERAL]


def pairs(request: Request) -> list[tuple[str, str]]:
    """Names and values of the URL's query. Raises BadRequest; bytes that were not percent-encoded may be anything."""
    try:
        return pairs_of(request.scope["query_string"].decode())
    except UnicodeDecodeError:
        raise _undecodable() from None


def pairs_of(query: str) -> list[tuple[str, str]]:
    """Names and values of a query string. Raises BadRequest when it is not UTF-8 or has too many fields."""
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=1000)
    except (UnicodeDecodeError, ValueError):
        raise _undecodable() from None


def _undecodable() -> BadRequest:
    return BadRequest("The query string cannot be decoded", code="value", rule="malformed-query")
