"""Pages of a search, one of them fetched ahead. https://hl7.org/fhir/R4/http.html#paging

`next` is followed as the server wrote it, on the origin of the connection alone; an empty page with a `next` is a page
like any other, and a `next` that was there before ends the search with an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from service.errors import Upstream, UpstreamRefused
from service.remote.answers import Page
from service.remote.calls import Answer, Call, joined, origin, place
from service.remote.failures import Resource, expect

Fetch = Callable[[str], Awaitable[Page]]


async def follow(first: str, fetch: Fetch, most: int) -> AsyncIterator[Page]:
    """The pages from the address `first` on, at most `most` of them. Raises what `fetch` raises, and Upstream."""
    seen = {hash(first)}
    ahead: asyncio.Task[Page] | None = asyncio.ensure_future(fetch(first))
    try:
        while ahead is not None:
            page = await ahead
            ahead = problem = None
            if page.next is not None:
                problem = _unbounded(page, seen, most)
                seen.add(hash(page.next))
                ahead = None if problem else asyncio.ensure_future(fetch(page.next))
            yield page
            if problem:
                raise problem
    finally:
        if ahead is not None:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)


def _unbounded(page: Page, seen: set[int], most: int) -> Upstream | None:
    problem = None
    if hash(page.next) in seen:
        problem = "the next link leads to a page that was there before"
    elif len(seen) >= most:
        problem = f"the search has more than {most} pages"
    if problem is None:
        return None
    text = f"{Call('GET', page.url).shown}: {problem}"
    return Upstream(text, code="processing", rule="upstream-paging", request_id=page.request_id)


def page_of(call: Call, answer: Answer, bundle: Resource, base: str) -> Page:
    """The page that a Bundle of the type searchset or history is. Raises Upstream, UpstreamRefused."""
    expect(call, answer, bundle, "Bundle")
    entries, links = bundle.get("entry", []), bundle.get("link", [])
    sound = _objects(entries) and _objects(links) and bundle.get("type") in ("searchset", "history")
    if not sound:
        text = f"{call.shown}: {answer.status}: the Bundle is not a sound searchset or history"
        raise Upstream(text, code="processing", rule="upstream-paging", status_code=answer.status, request_id=call.id)
    outcomes = [entry["resource"] for entry in entries if _is_outcome(entry)]
    kept = [entry for entry in entries if not _is_outcome(entry)] if outcomes else entries
    return Page(kept, outcomes, answer.url, _next(call, answer, links, base), call.id, answer.body)


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _is_outcome(entry: Resource) -> bool:
    resource = entry.get("resource")
    return isinstance(resource, dict) and resource.get("resourceType") == "OperationOutcome"


def _next(call: Call, answer: Answer, links: list[Resource], base: str) -> str | None:
    target = next((link.get("url") for link in links if link.get("relation") == "next"), None)
    if not isinstance(target, str) or not target:
        return None
    url = joined(answer.url, target)
    same_origin(call.shown, url, base)
    return url


def same_origin(shown: str, url: str, base: str) -> None:
    """Raises UpstreamRefused where an address is not of the connection's server: a token must not go elsewhere."""
    if origin(url) != origin(base):
        text = f"{shown}: the next address is one of {place(url)}, and the connection is with {place(base)}"
        raise UpstreamRefused(text, code="security", rule="upstream-origin")
