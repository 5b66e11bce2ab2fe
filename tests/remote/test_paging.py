"""Pages: followed as written, on one origin, to an end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import Response

from service.errors import Upstream, UpstreamRefused
from service.remote import Limits, Page, Remote
from tests.remote.serving import fhir, outcome, patient, searchset, serve

ODD = "_page=a%7Cb%2C+c==&x=%C3%A9;z|1"


async def collected(remote: Remote, path: str) -> list[Page]:
    return [page async for page in remote.pages(path)]


async def test_next_is_followed_as_it_was_written_over_empty_pages() -> None:
    async def answer(request: Request) -> Response:
        query = request.scope["query_string"].decode()
        if query == "_count=2":
            return fhir(searchset(patient("1"), patient("2"), next=f"{server.base}?{ODD}"))
        if query.startswith("_page=a"):
            return fhir(searchset(next="/fhir?last=1"))
        return fhir(searchset(patient("3")))

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            pages = await collected(remote, "Patient?_count=2")
            again = await collected(remote, pages[0].next or "")
    assert [[entry["resource"]["id"] for entry in page.entries] for page in pages] == [["1", "2"], [], ["3"]]
    assert pages[0].next == f"{server.base}?{ODD}"
    assert server.seen[1].scope["query_string"].decode() == ODD
    assert (pages[0].url, pages[2].next) == (f"{server.base}/Patient?_count=2", None)
    assert [page.url for page in again] == [page.url for page in pages[1:]]
    assert len({request.headers["x-request-id"] for request in server.seen}) == 5


async def test_outcomes_stand_apart_from_the_entries() -> None:
    told = outcome("suppressed", "warning")

    async def answer(request: Request) -> Response:
        return fhir(searchset(patient(), told))

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            (page,) = await collected(remote, "Patient")
            assert await remote.search("Patient") == [patient()]
    assert (page.outcomes, [entry["resource"] for entry in page.entries]) == ([told], [patient()])


async def test_search_that_the_server_calls_incomplete_is_refused() -> None:
    async def answer(request: Request) -> Response:
        return fhir(searchset(patient(), outcome("timeout")))

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            with pytest.raises(Upstream, match="incomplete; the server says: timeout") as raised:
                await remote.search("Patient?identifier=secret")
    assert "secret" not in str(raised.value)


async def test_search_joins_all_pages() -> None:
    async def answer(request: Request) -> Response:
        at = int(request.query_params.get("at", "0"))
        return fhir(searchset(patient(str(at)), next=f"?at={at + 1}" if at < 3 else None))

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            found = await remote.search("Patient")
    assert [one["id"] for one in found] == ["0", "1", "2", "3"]


async def into(found: list[str], pages: AsyncIterator[Page]) -> None:
    async for page in pages:
        found.append(page.entries[0]["resource"]["id"])


@pytest.mark.parametrize("start", ["Patient", "Patient?at=1"])
async def test_loop_of_next_ends_with_an_error_after_its_pages(start: str) -> None:
    async def answer(request: Request) -> Response:
        at = int(request.query_params.get("at", "0"))
        return fhir(searchset(patient(str(at)), next=f"{server.base}/Patient?at={(at + 1) % 3}"))

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            found: list[str] = []
            pages = remote.pages(start)
            with pytest.raises(Upstream, match="was there before"):
                await into(found, pages)
    assert sorted(set(found)) == ["0", "1", "2"]
    assert len(found) == len(server.seen) <= 4


async def test_pages_are_bounded() -> None:
    async def answer(request: Request) -> Response:
        at = int(request.query_params.get("at", "0"))
        return fhir(searchset(next=f"{server.base}/Patient?at={at + 1}"))

    with serve(answer) as server:
        async with Remote(server.base, limits=Limits(pages=7)) as remote:
            with pytest.raises(Upstream, match="more than 7 pages"):
                await collected(remote, "Patient")
    assert len(server.seen) == 7


async def test_next_of_another_origin_is_refused_and_not_asked() -> None:
    async def elsewhere(request: Request) -> Response:
        return fhir(searchset())

    async def answer(request: Request) -> Response:
        return fhir(searchset(patient(), next=f"{other.base}/Patient?secret=1"))

    with serve(elsewhere) as other, serve(answer) as server:
        async with Remote(server.base) as remote:
            with pytest.raises(UpstreamRefused) as raised:
                await collected(remote, "Patient")
            with pytest.raises(UpstreamRefused):
                await collected(remote, f"{other.base}/Patient")
    assert other.root in str(raised.value)
    assert "secret" not in str(raised.value)
    assert other.seen == []


async def test_one_page_is_fetched_ahead_and_no_more() -> None:
    asked = threading.Semaphore(0)

    async def answer(request: Request) -> Response:
        at = int(request.query_params.get("at", "0"))
        asked.release()
        return fhir(searchset(patient(str(at)), next=f"{server.base}/Patient?at={at + 1}"))

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            pages = remote.pages("Patient")
            await anext(pages)
            assert await asyncio.to_thread(asked.acquire, timeout=10)
            assert await asyncio.to_thread(asked.acquire, timeout=10)
            await asyncio.sleep(0.1)
            assert len(server.seen) == 2
            await pages.aclose()


@pytest.mark.parametrize(
    "bundle",
    [
        searchset(type="collection"),
        {**searchset(), "entry": {"resource": {}}},
        {**searchset(), "link": [None]},
        patient(),
        outcome(),
    ],
)
async def test_answer_that_is_no_page_is_refused(bundle: dict) -> None:
    async def answer(request: Request) -> Response:
        return fhir(bundle)

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            with pytest.raises(Upstream) as raised:
                await collected(remote, "Patient")
    assert raised.value.transient is False
