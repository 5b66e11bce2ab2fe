"""`cart-fhir jobs` as a user meets it: plain lines, exit code 2 where something cannot be done, no word of an input."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.errors import Issue
from service.fhir.json import encode
from service.fhir.operations import Plan, Update
from service.jobs import enqueue, letter
from service.settings import Settings
from service.store.database import Database
from service.sync import connections
from tests.sync.pulling import LAB_SEARCH, SUBJECT, hospital, person, subject, value


@pytest.fixture
def used(settings: Settings, prepared: Path):  # type: ignore[no-untyped-def]
    """Runs a command against the store of this test: exit code, what it printed, what it complained about."""
    named = {"CART_FHIR_DATABASE_URL": settings.database_url, "CART_FHIR_DATA_DIR": str(prepared)}

    async def command(*words: str) -> tuple[int, str, str]:
        line = [sys.executable, "-m", "service", "jobs", *words]
        run = subprocess.run
        done = await asyncio.to_thread(run, line, env=os.environ | named, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    return command


async def test_jobs_are_listed_cancelled_and_tried_again(database: Database, used) -> None:  # type: ignore[no-untyped-def]
    for id_ in ("one", "two"):
        update, job = enqueue("of-tomorrow", {"name": "Ayşe"}, id=id_)
        await database.write(Plan((update,), jobs=(job,)))
    code, printed, _ = await used("list")
    assert code == 0
    assert [line.split()[:3] for line in printed.splitlines()] == [
        ["two", "of-tomorrow", "waiting"],
        ["one", "of-tomorrow", "waiting"],
    ]
    assert "Ayşe" not in printed
    assert (await used("cancel", "two"))[:2] == (0, "two  of-tomorrow  cancelled\n")
    assert (await database.job("two")).state == "cancelled"
    again, none, strange = await asyncio.gather(
        used("cancel", "two"), used("retry", "three"), used("list", "--state", "asleep")
    )
    assert [(one[0], len(one[2].splitlines())) for one in (again, none, strange)] == [(2, 1)] * 3
    assert ("cancelled and cannot be cancelled" in again[2], "no job three" in none[2]) == (True, True)
    assert (await used("list", "--state", "failed,cancelled", "--count", "5"))[1].split()[0] == "two"
    assert (await used("retry", "two"))[:2] == (0, "two  of-tomorrow  waiting\n")


async def test_letters_are_listed_replayed_and_discarded(database: Database, used) -> None:  # type: ignore[no-untyped-def]
    issue = Issue("structure", "It has no [red]status[/red]", "Observation.status", "required-missing")
    notes = [
        letter("sync-pull", "north", f"Observation/{id_}", encode(value(id_, note=[{"text": "Ayşe"}])), [issue])
        for id_ in ("a", "b")
    ]
    with hospital([person("p1", "ISIKOK19-001")]) as (_, base):
        given = {"base": base, "patient_systems": [SUBJECT], "pull": [LAB_SEARCH]}
        await database.write(connections.saved(connections.parsed("north", given)))
        await database.write(Plan((), notes=tuple(notes)))
        code, printed, _ = await used("letters")
        assert (code, "Ayşe" in printed) == (0, False)
        assert f"{notes[0].key}  " in printed
        assert "    Observation.status: It has no [red]status[/red]\n" in printed
        refused = await used("replay", notes[0].key)
        assert (refused[0], "not linked" in refused[2]) == (2, True)
        assert "not linked" in (await used("letters"))[1]
        await database.write(Plan((Update(subject("ISIKOK19-001")),)))
        taken = await used("replay", notes[0].key)
        assert (taken[0], "created Observation/" in taken[1]) == (0, True)
    assert (await used("discard", notes[1].key))[0] == 0
    assert (await used("letters"))[:2] == (0, "")
    gone = await used("discard", notes[1].key)
    assert (gone[0], "no dead letter" in gone[2]) == (2, True)
