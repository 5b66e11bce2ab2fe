"""kill -9 before and after each request and write of sending: the end is that of a run that nobody disturbed."""

from __future__ import annotations

from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.fhir.json import decode
from service.jobs import Rooms
from service.settings import Settings
from service.simulators.registry import Registry
from service.simulators.serving import serving
from service.store.database import Database
from service.submissions import prepare, send
from service.submissions.destinations import Destination, save
from tests.submissions.killing import Killed, Killer, watched, work_off
from tests.submissions.registry import SENDER, TASK, owe


async def told(database: Database) -> dict[str, Any]:
    """What there is in the end, without ids and times: states, how many of each."""
    found: dict[str, Any] = {}
    for type_ in ("Task", "QuestionnaireResponse", "Provenance", "Observation", "Patient"):
        page = await database.history(type_, count=1000)
        versions = [one for one in page.versions if one.type == type_]
        found[type_] = len({one.id for one in versions})
    owed = decode((await database.read("Task", TASK)).content or b"{}", 10_000)
    found["state"] = (owed["status"], owed["businessStatus"]["coding"][0]["code"])
    found["outputs"] = len(owed["output"])
    return found


async def sending(
    settings: Settings, definitions: Definitions, killer: Killer, monkeypatch: pytest.MonkeyPatch, mode: str
) -> tuple[dict[str, Any], Registry]:
    """A report is queued and worked off, with a kill at the killer's step; what there is in the end."""
    registry = Registry()
    database = await Database.open(settings, definitions)
    rooms = Rooms(settings, definitions, database, Validator(definitions))
    try:
        with serving(registry) as base:
            await owe(rooms)
            to = Destination("registry", SENDER, base=f"{base}/fhir", mode=mode)  # type: ignore[arg-type]
            await save(database, to)
            await prepare.submit(rooms, TASK, None)
            with watched(killer, monkeypatch):
                try:
                    await work_off(rooms, send.KINDS)
                except Killed:
                    await work_off(rooms, send.KINDS)
            return await told(database), registry
    finally:
        await database.close()


STEPS = {"sync": 4, "async": 10}


@pytest.mark.parametrize("mode,at", [(mode, at) for mode, most in STEPS.items() for at in range(1, most + 1)])
async def test_sending_that_is_killed_ends_like_any_other(
    settings: Settings, definitions: Definitions, monkeypatch: pytest.MonkeyPatch, mode: str, at: int
) -> None:
    monkeypatch.setattr(send, "POLL_SECONDS", 0.0)
    killer = Killer(at)
    found, registry = await sending(settings, definitions, killer, monkeypatch, mode)
    assert killer.steps >= at, "there is no such step"
    assert found["state"] == ("completed", "CMP")
    assert (found["QuestionnaireResponse"], found["Provenance"], found["outputs"]) == (1, 1, 1)
    (taken,) = registry.received()
    assert taken.times <= 2
