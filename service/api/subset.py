"""Stored resources with as much of them as a client asks for, by `_summary` and `_elements`."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace
from starlette.requests import Request

from service.api import conditions
from service.api.server import Server, server_of
from service.conformance.elements import elements_of
from service.conformance.subset import shortened
from service.errors import BadRequest
from service.fhir.operations import Stored
from service.fhir.wish import Wish, wish_of


def shortened_all(server: Server, versions: Iterable[Stored], wish: Wish) -> tuple[Stored, ...]:
    """The versions, each shortened; deletions as they are."""
    if wish.whole:
        return tuple(versions)
    elements = elements_of(server.definitions)
    return tuple(
        replace(stored, content=shortened(stored.content, wish, elements)) if stored.content is not None else stored
        for stored in versions
    )


def of_request(request: Request, stored: Stored) -> Stored:
    """What a read answers. Raises BadRequest."""
    query = request.scope["query_string"]
    if b"_summary" not in query and b"_elements" not in query:
        return stored
    wish = wish_of(conditions.pairs(request))
    if wish.summary == "count":
        raise BadRequest("_summary=count is for searches and histories", code="invalid", rule="invalid-parameter")
    return shortened_all(server_of(request), (stored,), wish)[0]
