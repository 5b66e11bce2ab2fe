"""Searchsets and histories in pages with opaque `next` links."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.simulators.ehr.quirks import Quirks
from service.simulators.ehr.resources import Version, instant_text
from service.simulators.wire import Refusal, Resource, outcome

PAGE = "_page"


@dataclass(frozen=True, slots=True)
class Listing:
    """A search or a history that is read in pages. `find` asks it anew; `kept` is what it was at first."""

    kind: str
    path: str
    self_link: str
    count: int
    find: Callable[[], list[Version]]
    kept: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    listing: Listing
    offset: int
    empty: bool


class Pages:
    """Knows where each `next` link leads; a link may be followed again."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}

    def first(self, listing: Listing, base: str, quirks: Quirks) -> Resource:
        """The first page, a Bundle."""
        return self._page(_Place(listing, 0, False), base, quirks)

    def follow(self, token: str, base: str, quirks: Quirks) -> Resource:
        """The page of a `next` link. Raises Refusal."""
        place = self._places.get(token)
        if place is None:
            raise Refusal(410, "not-found", "This page is not known, or not any more")
        return self._page(place, base, quirks)

    def _page(self, place: _Place, base: str, quirks: Quirks) -> Resource:
        listing, offset = place.listing, place.offset
        found = listing.find() if quirks.live_paging else list(listing.kept)
        end = offset + listing.count
        shown = [] if place.empty else found[offset:end]
        if shown and offset and quirks.repeats_entries:
            shown = [found[offset - 1], *shown]
        links = [{"relation": "self", "url": f"{base}/{listing.self_link}"}]
        if place.empty:
            links.append(self._next(_Place(listing, offset, False), base))
        elif listing.count and end < len(found):
            links.append(self._next(_Place(listing, end, quirks.empty_pages), base))
        bundle: Resource = {"resourceType": "Bundle", "type": listing.kind}
        if not quirks.omits_total:
            bundle["total"] = len(found)
        bundle["link"] = links
        if entries := self._entries(listing.kind, shown, base, quirks):
            bundle["entry"] = entries
        return bundle

    def _next(self, place: _Place, base: str) -> dict[str, str]:
        token = f"p{len(self._places) + 1:x}"
        self._places[token] = place
        return {"relation": "next", "url": f"{base}/{place.listing.path}?{PAGE}={token}"}

    def _entries(self, kind: str, shown: list[Version], base: str, quirks: Quirks) -> list[dict[str, Any]]:
        if kind == "history":
            return [_historical(version, base) for version in shown]
        entries = [
            _outcome_entry("suppressed", "A resource was omitted", "warning")
            if version.reference in quirks.withholds
            else {"fullUrl": f"{base}/{version.reference}", "resource": version.resource, "search": {"mode": "match"}}
            for version in shown
        ]
        if quirks.informs:
            entries.append(_outcome_entry("informational", "Results are those of this hospital alone", "information"))
        return entries


def _outcome_entry(code: str, text: str, severity: str) -> dict[str, Any]:
    return {"resource": outcome(code, text, severity), "search": {"mode": "outcome"}}


def _historical(version: Version, base: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"fullUrl": f"{base}/{version.reference}"}
    if version.resource is not None:
        entry["resource"] = version.resource
    url = version.type if version.method == "POST" else version.reference
    status = {"POST": "201 Created", "DELETE": "204 No Content"}.get(version.method)
    status = status or ("201 Created" if version.number == 1 else "200 OK")
    return entry | {
        "request": {"method": version.method, "url": url},
        "response": {"status": status, "etag": version.etag, "lastModified": instant_text(version.instant)},
    }
