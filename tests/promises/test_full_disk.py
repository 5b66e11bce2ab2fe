"""Full disks: what has no room is refused as a whole, what was acknowledged stays, and it goes on once there is room.

A process whose files may grow no further fails in the same system calls as one whose disk is full, with EFBIG in
place of ENOSPC. On PostgreSQL it is set for the server and all its backends.
"""

from __future__ import annotations

import asyncio
import os
import resource
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path
from random import Random
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil
import psycopg
import pytest
from sqlalchemy import event

from service.conformance.definitions import Definitions
from service.errors import Unavailable
from service.fhir import search
from service.fhir.operations import Create, plan_of
from service.settings import Settings
from service.store.database import Database
from service.store.migrate import migrate
from tests.promises.live import Load, serving

ROUNDS = 20 if os.environ.get("CART_FHIR_SOAK") else 3
ROOM = 150_000  # bytes until the disk is full
SEGMENT = 16 * 1024 * 1024  # of PostgreSQL's log: a smaller limit would stop that first


def patient(**changes: object) -> dict:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}], **changes}


async def count(database: Database, type_: str = "Patient") -> int:
    query = search.parse(type_, [("_summary", "count")], database.parameters, zone=database.zone)
    return (await database.search(query)).total or 0


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    migrate(Settings(database_url=url))
    return url


async def test_full_disk_refuses_and_recovers_in_mid_load(sqlite_url: str, tmp_path: Path) -> None:
    with serving(sqlite_url, tmp_path) as (port, process):
        load = Load(port)
        clients = asyncio.create_task(load.run())
        for _ in range(ROUNDS):
            await load.until(15)
            largest = max(path.stat().st_size for path in tmp_path.glob("store.sqlite*"))
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest + ROOM, resource.RLIM_INFINITY))
            refused = len(load.refused)
            while len(load.refused) < refused + 10:
                await asyncio.sleep(0.01)
            found = httpx.get(f"http://127.0.0.1:{port}/fhir/Patient?_count=1")
            assert found.json()["entry"], "reads must go on"
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            await load.until(15)
        load.stopped = True
        await clients
        await load.check()
        print(f"{ROUNDS} full disks, {len(load.done)} acknowledged, {len(load.refused)} refused")


async def test_full_database_file_refuses_whole_and_recovers(sqlite_url: str, definitions: Definitions) -> None:
    database = await Database.open(Settings(database_url=sqlite_url), definitions)
    connections: list = []
    event.listen(database.engine, "connect", lambda connection, record: connections.append(connection))
    try:
        await database.write(plan_of(Create(patient())))
        disk = connections[-1]
        (pages,) = disk.execute("PRAGMA page_count").fetchone()
        disk.execute(f"PRAGMA max_page_count = {pages}")
        large = [Create(patient(name=[{"family": "x" * 300, "text": str(n) * 300}])) for n in range(200)]
        with pytest.raises(Unavailable, match="no room left; nothing was written") as caught:
            await database.write(plan_of(*large))
        assert caught.value.issues[0].code == "no-store"
        assert await count(database) == 1
        disk.execute("PRAGMA max_page_count = 1000000")
        await database.write(plan_of(*large))
        assert await count(database) == 201
    finally:
        await database.close()


def _limit(server: str, pids: Iterable[int], largest: int | None) -> None:
    """How large a file the processes may make, set by the user that they run as: the limit is a soft one."""
    bound = "unlimited" if largest is None else str(largest)
    commands = "; ".join(f"prlimit --pid {pid} --fsize={bound}:" for pid in pids)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; {commands}'")


def _processes(database_url: str) -> list[int]:
    """The server and all its children."""
    folder = Path(parse_qs(urlsplit(database_url).query)["host"][0])
    server = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
    return [server.pid, *(child.pid for child in server.children())]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_tables_without_room_refuse_whole_plans_and_recover(
    database: Database, database_url: str, postgresql_server: str
) -> None:
    random, done = Random(7), []

    def plan(number: int) -> tuple[Create, ...]:
        data = b64encode(random.randbytes(300_000)).decode()
        binary = {"resourceType": "Binary", "contentType": "application/octet-stream", "data": data}
        return (*(Create(patient(language=f"x-{number}")) for _ in range(3)), *(Create(binary) for _ in range(5)))

    async def fill() -> None:
        for number in range(40):
            done.append(await database.write(plan_of(*plan(number))))

    _limit(postgresql_server, _processes(database_url), SEGMENT)
    try:
        with pytest.raises(Unavailable, match="nothing was written"):
            await fill()
        assert done
        assert (await count(database), await count(database, "Binary")) == (3 * len(done), 5 * len(done))
        with pytest.raises(Unavailable, match="nothing was written"):
            await database.write(plan_of(*plan(41)))
    finally:
        _limit(postgresql_server, _processes(database_url), None)
    await database.write(plan_of(*plan(42)))
    assert (await count(database), await count(database, "Binary")) == (3 * len(done) + 3, 5 * len(done) + 5)
