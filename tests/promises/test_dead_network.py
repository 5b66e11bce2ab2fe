"""A network to PostgreSQL that dies without a word: bounded answers, true outcomes, recovery without help.

The wire takes every byte and passes on none, which no kernel notices; packets that vanish below it are noticed
sooner, by the options that the last test finds on the socket.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from service.conformance.definitions import Definitions
from service.errors import Unavailable
from service.fhir import search
from service.fhir.operations import Applied, Create, Stored, Update, plan_of
from service.settings import Settings
from service.store.database import Database
from service.store.engine import Connection
from tests.promises.live import Load, serving
from tests.promises.wire import Wire

ROUNDS = 10 if os.environ.get("CART_FHIR_SOAK") else 1
LIMITS = {"write_timeout_seconds": 1.0, "search_timeout_seconds": 1.0, "database_silence_seconds": 1.0}
HANGS = 30  # seconds: many times what the limits allow

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def patient(**changes: object) -> dict:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}], **changes}


async def count(database: Database) -> int:
    query = search.parse("Patient", [("_summary", "count")], database.parameters, zone=database.zone)
    return (await database.search(query)).total or 0


@pytest.fixture
def wire(database_url: str) -> Iterator[Wire]:
    made = Wire(f"{parse_qs(urlsplit(database_url).query)['host'][0]}/.s.PGSQL.5432")
    yield made
    made.close()


@pytest.fixture
def wired_url(wire: Wire, database_url: str) -> str:
    return f"postgresql://postgres@127.0.0.1:{wire.port}{urlsplit(database_url).path}?sslmode=disable"


@pytest.fixture
async def behind(wired_url: str, definitions: Definitions) -> AsyncIterator[Database]:
    """The store as a service sees it whose network can fall silent."""
    database = await Database.open(Settings(database_url=wired_url, **LIMITS), definitions)
    await database.write(plan_of(Update(patient(id="first"))))
    yield database
    await asyncio.wait_for(database.close(), HANGS)


async def _all(*asked) -> list[object]:
    return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), HANGS)


async def test_reads_and_writes_of_a_silent_network_are_refused_and_then_go_on(wire: Wire, behind: Database) -> None:
    await _all(*(behind.read("Patient", "first") for _ in range(20)))
    wire.fall_silent()
    reads = [behind.read("Patient", "first") for _ in range(60)]
    answers = await _all(*reads, *(behind.write(plan_of(Create(patient()))) for _ in range(60)))
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert all("nothing was written" in str(answer) for answer in answers[60:])
    with pytest.raises(Unavailable):
        await asyncio.wait_for(behind.ping(), HANGS)
    wire.speak()
    reads = [behind.read("Patient", "first") for _ in range(20)]
    answers = await _all(*reads, *(behind.write(plan_of(Create(patient()))) for _ in range(20)))
    assert [type(answer) for answer in answers] == [Stored] * 20 + [tuple] * 20
    assert await count(behind) == 21


async def test_commit_whose_answer_vanished_is_acknowledged(wire: Wire, behind: Database) -> None:
    wire.silent = "after"
    (applied,) = await asyncio.wait_for(behind.write(plan_of(Create(patient()))), HANGS)
    assert wire.happened.is_set()
    assert isinstance(applied, Applied)
    assert applied.outcome == "created"
    assert await count(behind) == 2


async def test_commit_that_vanished_is_refused_and_holds_up_nobody(
    wire: Wire, behind: Database, settings: Settings, definitions: Definitions
) -> None:
    """PostgreSQL still has the transaction and its lock; the end of the connection vanished as well."""
    wire.silent = "before"
    with pytest.raises(Unavailable, match="nothing was written"):
        await asyncio.wait_for(behind.write(plan_of(Create(patient()))), HANGS)
    assert wire.happened.is_set()
    other = await Database.open(settings, definitions)
    try:
        await asyncio.wait_for(other.write(plan_of(Create(patient()))), HANGS)
        await asyncio.wait_for(behind.write(plan_of(Create(patient()))), HANGS)
        assert await count(behind) == 3
    finally:
        await other.close()


async def test_network_that_falls_silent_in_mid_load(
    wire: Wire, wired_url: str, database_url: str, tmp_path: Path
) -> None:
    with serving(wired_url, tmp_path, **LIMITS) as (port, _):
        load = Load(port)
        clients = asyncio.create_task(load.run())
        for _ in range(ROUNDS):
            await load.until(20)
            wire.fall_silent()
            refused = len(load.refused)
            while len(load.refused) < refused + 3:
                assert not clients.done()
                await asyncio.sleep(0.01)
            wire.speak()
        await load.until(20)
        load.stopped = True
        await clients
        await load.check()
    print(f"{ROUNDS} silences: {len(load.done)} done, {len(load.refused)} refused, {len(load.unknown)} unknown")


async def test_kernel_looks_for_a_dead_peer_at_both_ends(behind: Database) -> None:
    connection = Connection(behind.engine, 1.0)
    try:
        with socket.socket(fileno=os.dup(connection.raw.fileno())) as end:
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        names = ("tcp_user_timeout", "tcp_keepalives_idle", "idle_in_transaction_session_timeout", "statement_timeout")
        sources = "SELECT count(*) FROM pg_settings WHERE name = ? AND source IN ('client', 'session')"
        assert all(connection.rows(sources, (name,)) == [(1,)] for name in names)
    finally:
        connection.close()


async def test_what_the_url_says_of_the_network_is_kept(wired_url: str, definitions: Definitions) -> None:
    chosen = f"{wired_url}&keepalives_idle=77&options=-c%20work_mem%3D9MB"
    database = await Database.open(Settings(database_url=chosen), definitions)
    connection = Connection(database.engine, 1.0)
    try:
        assert isinstance(connection.raw, psycopg.Connection)
        assert connection.raw.info.get_parameters()["keepalives_idle"] == "77"
        assert connection.rows("SHOW work_mem") == [("9MB",)]
        assert connection.rows("SHOW jit") == [("off",)]
    finally:
        connection.close()
        await database.close()
