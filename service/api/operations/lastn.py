"""Observation/$lastn: the newest results of each kind. https://hl7.org/fhir/R4/observation-operation-lastn.html"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from service.api import bundles, conditions, formats, replies
from service.api.operations.inputs import number, sent_pairs
from service.api.server import Server, server_of
from service.errors import BadRequest
from service.fhir.conditions import Query, Scope
from service.fhir.json import decode
from service.fhir.operations import SearchPage, Stored

WHOSE = frozenset({"patient", "subject"})
TYPE = "Observation"


async def lastn(request: Request) -> Response:
    """GET Observation/$lastn?patient=…&max=…: the `max` newest (1) of each code, the newest first.

    Any search parameter of Observation narrows the choice; a patient or subject is required. By POST the parameters
    may also stand in a Parameters resource.
    """
    formats.check_accept(request)
    server, base = server_of(request), server_of(request).base(request)
    pairs = [*conditions.criteria(request), *await sent_pairs(request)]
    largest = number({"max": [value for name, value in pairs if name == "max"][:1]}, "max", 1, 1000)
    criteria = [(name, value) for name, value in pairs if name != "max"]
    if not any(name.partition(":")[0].partition(".")[0] in WHOSE for name, _ in criteria):
        text = "$lastn needs a patient or a subject: Observation/$lastn?patient=[id]"
        raise BadRequest(text, code="required", rule="required-parameter")
    query = _query(server, criteria, conditions.prefer(request, "handling", "strict"))
    groups: list[tuple[set[Any], list[Stored]]] = []
    async for stored in _newest_first(server, query):
        _sort_in(groups, stored, largest)
    found = SearchPage(tuple(stored for _, members in groups for stored in members))
    page = replace(found, total=len(found.matches))
    links = [("self", f"{base}/{TYPE}/$lastn?{urlencode(pairs, safe=':,|/$')}")]
    return replies.Reply(200, bundles.searchset(base, page, links, ()))


def _query(server: Server, criteria: list[tuple[str, str]], handling: str) -> Query:
    fixed = sorted({name for name, _ in criteria} & {"_sort", "_count", "_include", "_revinclude", "_summary"})
    if fixed:
        raise BadRequest(f"$lastn does not take {fixed[0]}", code="not-supported", rule="unknown-parameter")
    count = ("_count", str(server.settings.max_page_size))
    return server.query(Scope(TYPE), [*criteria, ("_sort", "-date"), count], handling)


async def _newest_first(server: Server, query: Query) -> AsyncIterator[Stored]:
    cursor: tuple[Any, ...] | None = None
    while True:
        page = await server.database.search(query, cursor)
        for stored in page.matches:
            yield stored
        cursor = page.next
        if cursor is None:
            return


def _sort_in(groups: list[tuple[set[Any], list[Stored]]], stored: Stored, largest: int) -> None:
    """Two results are of one kind when they share a coding; without any coding, when their text is the same."""
    code = decode(stored.content or b"{}", 10_000).get("code", {})
    kinds = {(one.get("system"), one.get("code")) for one in code.get("coding", []) if one.get("code")}
    kinds = kinds or {code.get("text")}
    for known, members in groups:
        if known & kinds:
            known |= kinds
            if len(members) < largest:
                members.append(stored)
            return
    groups.append((kinds, [stored]))
