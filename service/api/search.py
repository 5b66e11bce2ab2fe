"""search by GET and POST: https://hl7.org/fhir/R4/http.html#search"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from service.api import body, bundles, conditions, formats, replies, subset
from service.api.server import Server, server_of
from service.errors import BadRequest
from service.fhir.conditions import Query, Scope
from service.fhir.operations import SearchPage
from service.fhir.search import unknown_parameter
from service.fhir.wish import wish_of

FORM = frozenset({"application/x-www-form-urlencoded"})

Pairs = list[tuple[str, str]]


async def search(request: Request) -> Response:
    """GET [type]?parameters: a searchset Bundle; also of all types, and inside the compartment of one resource."""
    formats.check_accept(request)
    return await _answer(request, conditions.pairs(request))


async def search_by_post(request: Request) -> Response:
    """POST …/_search: the same, with the parameters in a form, where no log sees them."""
    formats.check_accept(request)
    formats.check_content_type(request, FORM)
    content = await body.raw(request)
    try:
        form = content.decode()
    except UnicodeDecodeError:
        raise BadRequest("The form is not UTF-8", code="value", rule="malformed-query") from None
    pairs = conditions.pairs_of(form)
    formats.take_format(request, pairs)
    return await _answer(request, conditions.pairs(request) + pairs)


async def _answer(request: Request, pairs: Pairs) -> Response:
    server = server_of(request)
    scope = _scope(request)
    base = server.base(request)
    followed = next((value for name, value in pairs if name == "_cursor"), None)
    if followed is None:
        query = server.query(scope, pairs, conditions.prefer(request, "handling", "lenient"))
        page = await server.database.search(query)
        return replies.Reply(200, render(server, base, page, query))
    used, total, cursor = server.cursors.open(_kind(scope.path), followed)
    query = server.query(scope, [(name, value) for name, value in used], "lenient")
    page = await server.database.search(replace(query, total=False), _tuple(cursor))
    page = replace(page, total=total)  # the same on every page of one search
    return replies.Reply(200, render(server, base, page, query, followed))


def _scope(request: Request) -> Scope:
    """Where the address searches: all types, one type, or the compartment of a resource with all or one type in it."""
    given = request.path_params
    if "id" in given:
        return Scope(given.get("within"), (given["type"], given["id"]))
    return Scope(given.get("type"))


def render(server: Server, base: str, page: SearchPage, query: Query, followed: str | None = None) -> bytes:
    """The searchset Bundle of one page; `followed` is the cursor that led to it."""
    links = [("self", _self(base, query, followed))]
    if page.next is not None and not query.summary_count:
        cursor = server.cursors.seal(_kind(query.path), (query.link, page.total, page.next))
        links.append(("next", f"{_address(base, query)}?_cursor={cursor}"))
    page = _shortened(server, page, query)
    parameters = server.definitions.search_parameters
    notes = [replace(unknown_parameter(query.type, name, parameters), severity="warning") for name in query.ignored]
    return bundles.searchset(base, page, links, notes, query.summary_count)


def _shortened(server: Server, page: SearchPage, query: Query) -> SearchPage:
    """The page with as much of each resource as `_summary` and `_elements` ask for."""
    wish = wish_of(query.link)
    if wish.whole:
        return page
    included = subset.shortened_all(server, page.included, wish)
    return replace(page, matches=subset.shortened_all(server, page.matches, wish), included=included)


def _kind(path: str) -> str:
    return f"search/{path}"


def _address(base: str, query: Query) -> str:
    return f"{base}/{query.path}" if query.path else base


def _self(base: str, query: Query, followed: str | None) -> str:
    if followed is not None:
        return f"{_address(base, query)}?_cursor={followed}"
    text = urlencode(query.link, safe=":,|/$")
    return f"{_address(base, query)}?{text}" if text else _address(base, query)


def _tuple(value: list[Any]) -> tuple[Any, ...]:
    return tuple(_tuple(item) if isinstance(item, list) else item for item in value)
