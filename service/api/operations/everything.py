"""Patient/[id]/$everything: https://hl7.org/fhir/R4/patient-operation-everything.html"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from service.api import bundles, formats, replies
from service.api.operations.inputs import Inputs, inputs, number, text
from service.api.server import Server, server_of
from service.errors import BadRequest, NotFound
from service.fhir import dates
from service.store.compartment import Part

KNOWN = ("start", "end", "_since", "_type", "_count", "_cursor")


async def everything(request: Request) -> Response:
    """GET or POST Patient/[id]/$everything: the patient, what belongs to them and what that refers to, in pages."""
    formats.check_accept(request)
    server = server_of(request)
    id_, base = request.path_params["id"], server.base(request)
    path = f"Patient/{id_}/$everything"
    asked = await inputs(request, KNOWN)
    followed, after = text(asked, "_cursor"), None
    if followed is not None:
        asked, after = server.cursors.open(path, followed)
    part = _part(server, asked)
    count = number(asked, "_count", server.settings.default_page_size, server.settings.max_page_size)
    page = await server.database.everything(id_, part, count, after)
    pairs = [("_cursor", followed)] if followed else [(n, str(v)) for n, values in asked.items() for v in values]
    links = [("self", f"{base}/{path}?{urlencode(pairs)}" if pairs else f"{base}/{path}")]
    if page.next is not None:
        links.append(("next", f"{base}/{path}?_cursor={server.cursors.seal(path, (asked, page.next[0]))}"))
    return replies.Reply(200, bundles.searchset(base, page, links, ()))


def _part(server: Server, asked: Inputs) -> Part:
    """What of the compartment is asked for. Raises BadRequest, NotFound for a type that R4 does not have."""
    names = {name for value in asked.get("_type", []) for name in str(value).split(",") if name}
    if names - server.definitions.resource_types:
        raise NotFound("_type names a type that R4 does not have", code="not-supported", rule="unknown-type")
    start, end, since = (_range(server, asked, name) for name in ("start", "end", "_since"))
    return Part(
        frozenset(names) or None,
        since[0] if since else None,
        start[0] if start else None,
        end[1] if end else None,
    )


def _range(server: Server, asked: Inputs, name: str) -> tuple[int, int] | None:
    value: Any = text(asked, name)
    if value is None:
        return None
    try:  # a "+" of an offset that was not percent-encoded arrives as a blank
        return dates.date_range(value.replace(" ", "+"), ZoneInfo(server.settings.time_zone))
    except (ValueError, OverflowError):
        raise BadRequest(f"{name} needs a date or an instant", code="invalid", rule="invalid-parameter") from None
