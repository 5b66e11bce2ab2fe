"""A worker that is killed (SIGKILL) after each page, and the next one, until all is there: as if it had never died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.fhir.json import decode
from service.settings import Settings
from service.store.database import Database
from service.sync import peers
from tests.sync.pulling import WHEN, Here, counts, here, hospital, person, value

PAGES, SIZE = 3, 20
P1 = person("p1", "ISIKOK19-001")
WORKER = """
import asyncio, sys
from service.conformance.definitions import load
from service.conformance.validator import Validator
from service.jobs import Rooms, Runner
from service.settings import Settings
from service.store.database import Database
from service.sync.cycle import KINDS
from pathlib import Path
import dataclasses

async def work():
    settings = Settings(database_url=sys.argv[1], data_dir=Path(sys.argv[2]))
    definitions = load(Path(sys.argv[3]))
    database = await Database.open(settings, definitions)
    kinds = [dataclasses.replace(kind, lease=1.0) for kind in KINDS]
    await Runner(Rooms(settings, definitions, database, Validator(definitions)), kinds).run()

asyncio.run(work())
"""


@pytest.fixture
def cache(definitions: Definitions) -> Path:
    """Where the fixture of the definitions keeps them."""
    import tempfile

    return Path(tempfile.gettempdir()) / f"cart-fhir-tests-{os.getuid()}"


def results() -> list[dict[str, Any]]:
    return [value(f"o{number:02d}", number=f"{number}.50") for number in range(PAGES * SIZE)]


def said(log: Any, stop: int) -> bool:
    """Whether the hospital has answered `stop` pages of results."""
    return sum("Observation?" in one.path and one.status == 200 for one in list(log)) >= stop


async def state(it: Here) -> dict[str, Any]:
    """What a pull leaves behind, but for times and names of runs."""
    found = await it.observations()
    content = {id_: {**one, "meta": {**one["meta"], "lastUpdated": ""}} for id_, one in found.items()}
    kept = {key: decode(text) for key, text in await it.database.notes(peers.room("north"), count=1000)}
    targets = [one["reference"] for said in await it.all("Provenance") for one in said["target"]]
    return {"content": content, "peers": kept, "provenance": sorted(targets)}


class Worker:
    """A process of its own that works on jobs."""

    def __init__(self, settings: Settings, cache: Path) -> None:
        line = [sys.executable, "-c", WORKER, settings.database_url, str(settings.data_dir), str(cache)]
        self.process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    started: list[Worker] = []
    yield started
    for one in started:
        if one.process.poll() is None:
            one.kill()


async def test_kill_after_each_page_ends_as_the_uninterrupted_run(
    settings: Settings, definitions: Definitions, database: Database, cache: Path, workers: list[Worker]
) -> None:
    with hospital([P1]) as (ehr, base):
        ehr.configure({"most_count": SIZE})
        ehr.put(results(), WHEN)
        it = await here(settings, definitions, database, base)
        id_ = await it.start()
        killed = 0
        for stop in range(1, PAGES + 1):
            workers.append(Worker(settings, cache))
            limit = time.monotonic() + 30
            while not said(ehr.log, stop) and time.monotonic() < limit:
                time.sleep(0.002)
            workers[-1].kill()
            killed += (await database.job(id_)).state == "running"
        assert killed >= 2
        async with it.working():
            task = await it.ended(id_)
        assert (task["status"], counts(task)["created"]) == ("completed", PAGES * SIZE)
        interrupted = await state(it)
        asked = sum("Observation?" in one.path for one in ehr.log)
        assert asked <= PAGES * 3 + 2  # it went on from where it was, and did not begin anew each time
        assert {one["meta"]["versionId"] for one in interrupted["content"].values()} == {"1"}
        assert len(interrupted["content"]) == len(interrupted["provenance"]) == PAGES * SIZE
        again = await it.run()
        assert counts(again)["created"] + counts(again)["updated"] == 0
        assert await state(it) == interrupted
