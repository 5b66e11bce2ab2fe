"""Two services in two-way sync: random changes and kills on both sides; equal in the end, then silent.

`make soak` makes 500 changes and kills both sides again and again, `make test` makes fewer and restarts each side once.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from pathlib import Path

from service.conformance.definitions import Definitions
from service.settings import Settings
from service.store.database import Database
from tests.sync.two_way import COMPARED, Pair, Side, door

SOAK = bool(os.environ.get("CART_FHIR_SOAK"))
CHANGES, TOGETHER, KILLS = (500, 12, 0.15) if SOAK else (60, 30, 0.0)


def copied(template: Path, folder: Path) -> str:
    folder.mkdir()
    for suffix in ("", "-wal", "-shm"):
        if Path(f"{template}{suffix}").exists():
            shutil.copy(f"{template}{suffix}", f"{folder / 'other.sqlite'}{suffix}")
    return f"sqlite:///{folder / 'other.sqlite'}"


async def test_two_services_are_equal_in_the_end_and_then_silent(
    database_url: str, sqlite_template: Path, tmp_path: Path, definitions: Definitions
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    a = Side(database_url, tmp_path)
    b = Side(copied(sqlite_template, tmp_path / "b"), tmp_path / "b")
    database = await Database.open(Settings(database_url=database_url, data_dir=tmp_path), definitions)
    a.start()
    b.start()
    try:
        with door(b.port) as (port, seen):
            pair = Pair(a, b, database, random.Random(seed))
            await pair.prepare(port)
            await changed(pair)
            await pair.rest()
            await equal(pair)
            requests = len(seen)
            await silent(pair, seen)
        print(f"{CHANGES} changes, {pair.made} resources, {pair.conflicts} conflicts, {requests} requests")
    finally:
        a.kill()
        b.kill()
        await database.close()


async def changed(pair: Pair) -> None:
    """Changes on both sides, runs between and beside them, and each side killed at least once in mid-run."""
    must = [pair.a, pair.b]
    for at in range(0, CHANGES, TOGETHER):
        for _ in range(min(TOGETHER, CHANGES - at)):
            await pair.change()
        run = await pair.ask()
        dying = must.pop() if must else pair.chance.choice((pair.a, pair.b)) if pair.chance.random() < KILLS else None
        if dying is not None:
            await asyncio.sleep(pair.chance.uniform(0.3, 1.2))
            if dying is pair.a and not SOAK:  # a job whose process was killed waits for its lease to end
                dying.stop()
            else:
                dying.kill()
            dying.start()
        else:
            await pair.change()
        await pair.done(run)
        if pair.chance.random() < 0.5:
            await pair.decide()


async def equal(pair: Pair) -> None:
    ours, theirs = await pair.a.observations(), await pair.b.observations()
    assert len(ours) == pair.made
    assert theirs.keys() <= ours.keys()
    for number, one in ours.items():
        if number not in theirs:  # what was withdrawn before it went anywhere does not go
            assert one["status"] == "entered-in-error"
            continue
        other = theirs[number]
        for name in COMPARED:
            assert one.get(name) == other.get(name), (number, name, one["id"], other["id"])
        assert one["subject"]["reference"].removeprefix("Patient/a") == other["subject"]["reference"].removeprefix(
            "Patient/b"
        )


async def silent(pair: Pair, seen: list[str]) -> None:
    """Two more runs: nothing is written but the Task of the run that was asked for, and the same is asked twice."""
    asked = []
    before = await pair.b.versions(), await pair.a.versions()
    tasks = await pair.a.tasks(), await pair.b.tasks()
    for _ in range(2):
        seen.clear()
        await pair.done(await pair.ask())
        assert [line for line in seen if not line.startswith("GET ")] == []
        asked.append(len(seen))
    assert (await pair.b.versions(), await pair.a.versions()) == before
    assert (await pair.a.tasks(), await pair.b.tasks()) == (tasks[0] + 2, tasks[1])
    assert asked[0] == asked[1]
