"""Several service processes on one PostgreSQL database are one store: conditions hold, the feed has no gap."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack

import httpx
import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.promises.live import FHIR, bundle, serving

LONG = bool(os.environ.get("CART_FHIR_SOAK"))
PROCESSES = 3 if LONG else 2
ROUNDS = 20 if LONG else 2


@pytest.fixture(scope="module")
def ports(postgresql_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """Where the processes listen, all on one database."""
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE processes TEMPLATE cart_fhir_template")
    url = make_url(postgresql_server).set(database="processes").render_as_string(hide_password=False)
    folder = tmp_path_factory.mktemp("processes")
    with ExitStack() as stack:
        yield [stack.enter_context(serving(url, folder))[0] for _ in range(PROCESSES)]


@pytest.fixture
async def services(ports: list[int]) -> AsyncIterator[list[httpx.AsyncClient]]:
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with AsyncExitStack() as stack:
        clients = [
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fhir", headers=FHIR, timeout=60, limits=limits)
            for port in ports
        ]
        yield [await stack.enter_async_context(client) for client in clients]


async def test_conditional_create_over_processes_makes_one(services: list[httpx.AsyncClient]) -> None:
    for number in range(ROUNDS):
        who = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": f"{number}"}]}
        unless = {"if-none-exist": f"identifier=urn:x|{number}"}
        posts = (services[n % PROCESSES].post("/Patient", json=who, headers=unless) for n in range(100))
        answers = await asyncio.gather(*posts)
        assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 99}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert {answer.headers["etag"] for answer in answers} == {'W/"1"'}


async def test_update_with_one_etag_over_processes_lets_one_through(services: list[httpx.AsyncClient]) -> None:
    await services[0].put("/Patient/a", json={"resourceType": "Patient", "id": "a"})
    for version in range(1, ROUNDS + 1):
        puts = (
            services[n % PROCESSES].put(
                "/Patient/a",
                json={"resourceType": "Patient", "id": "a", "language": f"x-{version}-{n}"},
                headers={"if-match": f'W/"{version}"'},
            )
            for n in range(50)
        )
        answers = await asyncio.gather(*puts)
        assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 49}
        assert {answer.headers["etag"] for answer in answers} == {f'W/"{version + 1}"'}


async def _versions(client: httpx.AsyncClient, url: str) -> list[tuple[str, str, str]]:
    """(fullUrl's end, ETag, lastUpdated) of every version behind `url`, page by page, newest first."""
    found: list[tuple[str, str, str]] = []
    while url:
        page = (await client.get(url)).json()
        for entry in page.get("entry", []):
            place = "/".join(entry["fullUrl"].split("/")[-2:])
            found.append((place, entry["response"]["etag"], entry["response"]["lastModified"]))
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
        url = url.partition("/fhir")[2]
    return found


async def test_feed_has_every_version_once_while_all_write(services: list[httpx.AsyncClient]) -> None:
    acknowledged: list[tuple[str, str]] = []
    reading = True

    async def write(number: int) -> None:
        client = services[number % PROCESSES]
        for count in range(15 * ROUNDS):
            answer = await client.post("", json=bundle(f"{number}-{count}"))
            assert answer.status_code == 200
            responses = [entry["response"] for entry in answer.json()["entry"]]
            acknowledged.extend(("/".join(one["location"].split("/")[-4:-2]), one["etag"]) for one in responses)

    async def follow(client: httpx.AsyncClient) -> int:
        """Reads the feed again and again: what an earlier reading saw is the end of a later one, without a gap."""
        readings, before = 0, []
        while reading:
            told = len(acknowledged)
            must = set(acknowledged[:told])
            seen = await _versions(client, "/_history?_count=97")
            assert len(seen) == len(set(seen))
            assert seen[len(seen) - len(before) :] == before
            assert must <= {version[:2] for version in seen}
            times = [version[2] for version in seen]
            assert times == sorted(times, reverse=True)
            readings, before = readings + 1, seen
        return readings

    before_all = await _versions(services[0], "/_history?_count=97")
    followers = [asyncio.create_task(follow(client)) for client in services]
    await asyncio.gather(*(write(number) for number in range(2 * PROCESSES)))
    reading = False
    readings = await asyncio.gather(*followers)
    seen = await _versions(services[-1], "/_history?_count=97")
    assert seen[len(seen) - len(before_all) :] == before_all
    assert Counter(version[:2] for version in seen[: len(seen) - len(before_all)]) == Counter(acknowledged)
    print(f"{len(seen)} versions, {sum(readings)} readings of the feed over {PROCESSES} processes")
    assert sum(readings) >= PROCESSES
