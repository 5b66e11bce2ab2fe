"""history of an instance, a type, everything: https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from service.api import bundles, conditions, formats, replies, subset
from service.api.server import Server, server_of
from service.errors import BadRequest
from service.fhir import dates
from service.fhir.wish import NAMES, wish_of

KNOWN = frozenset({"_since", "_count"}) | NAMES


async def history_instance(request: Request) -> Response:
    """GET [type]/[id]/_history: every version, deletions included."""
    return await _answer(request, server_of(request).type_of(request), request.path_params["id"])


async def history_type(request: Request) -> Response:
    """GET [type]/_history: every version of every resource of the type."""
    return await _answer(request, server_of(request).type_of(request), None)


async def history_system(request: Request) -> Response:
    """GET _history: the feed of all changes, in the order of their commits."""
    return await _answer(request, None, None)


async def _answer(request: Request, type_: str | None, id_: str | None) -> Response:
    server = server_of(request)
    formats.check_accept(request)
    path = "/".join(part for part in (type_, id_, "_history") if part)
    pairs = conditions.criteria(request)
    cursor = total = None
    followed = dict(pairs).get("_cursor")
    if followed is not None:
        state = server.cursors.open(path, followed)
        pairs, total, cursor = [(n, v) for n, v in state[0]], state[1], state[2]
    wish = _wish(server, pairs, conditions.prefer(request, "handling", "lenient"))
    shape = wish_of(pairs)
    if shape.summary == "count":
        wish["count"] = 0
    page = await server.database.history(type_, id_, cursor=cursor, **wish)
    total = page.total if cursor is None else total
    base = server.base(request)
    here = [("_cursor", followed)] if followed else [pair for pair in pairs if pair[0] in KNOWN]
    links = [("self", f"{base}/{path}?{urlencode(here)}" if here else f"{base}/{path}")]
    if page.next is not None and wish["count"]:
        links.append(("next", f"{base}/{path}?_cursor={server.cursors.seal(path, (pairs, total, page.next))}"))
    versions = subset.shortened_all(server, page.versions, shape)
    return replies.Reply(200, bundles.history(base, versions, total, links))


def _wish(server: Server, pairs: list[tuple[str, str]], handling: str) -> dict[str, Any]:
    """The arguments of `Database.history`.

    An unknown parameter is an error when handling is strict, else only absent from `self`:
    bdl-3 leaves no room for an outcome in a history.
    """
    wish: dict[str, Any] = {"since": None, "count": server.settings.default_page_size}
    for name, value in pairs:
        if name == "_count" and value.isdecimal():
            wish["count"] = min(int(value[:18]), server.settings.max_page_size)
        elif name == "_since":
            wish["since"] = _moment(server, name, value)
        elif name == "_count":
            raise BadRequest("_count needs a whole number, 0 or more", code="invalid", rule="invalid-parameter")
        elif handling == "strict" and name not in NAMES:
            known = ", ".join(sorted(KNOWN))
            raise BadRequest(f"A history knows only {known}", code="not-supported", rule="unknown-parameter")
    return wish


def _moment(server: Server, name: str, text: str) -> datetime:
    try:  # a "+" of an offset that was not percent-encoded arrives as a blank
        return dates.moment(dates.date_range(text.replace(" ", "+"), ZoneInfo(server.settings.time_zone))[0])
    except (ValueError, OverflowError):  # the first instant of year 1 in a zone east of Greenwich is before year 1
        raise BadRequest(f"{name} needs a date or an instant", code="invalid", rule="invalid-parameter") from None
