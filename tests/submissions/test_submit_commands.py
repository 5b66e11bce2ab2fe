"""`cart-fhir submit` as a user meets it, against a registry over real HTTP; results as CIBMTR takes them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from service.api.jobs import rooms_of
from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.fhir.operations import Plan, Update
from service.jobs import Rooms
from service.settings import Settings
from service.simulators.registry import Behaviour, Registry
from service.simulators.serving import serving
from service.store.database import Database
from service.submissions.laboratory import CENTRES
from tests.submissions.conftest import rules
from tests.submissions.records import RESTRICTED, concept, result
from tests.submissions.registry import SENDER, TASK, ended, owe, to

LABORATORY = concept("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory")


def command(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    named = {"CART_FHIR_DATABASE_URL": settings.database_url, "CART_FHIR_DATA_DIR": str(settings.data_dir)}
    line = [sys.executable, "-m", "service", "submit", *words]
    return subprocess.run(line, env=os.environ | named, capture_output=True, text=True, timeout=60)


async def test_due_report_is_sent_from_the_command_line(settings: Settings, definitions: Definitions) -> None:
    database = await Database.open(settings, definitions)
    await owe(Rooms(settings, definitions, database, Validator(definitions)))
    await database.close()
    registry = Registry()

    def used(*words: str) -> subprocess.CompletedProcess[str]:
        return command(settings, *words)

    with serving(registry) as base:
        alone = await asyncio.to_thread(used, "run")
        assert (alone.returncode, "destination add" in alone.stderr) == (2, True)
        added = await asyncio.to_thread(
            used, "destination", "add", "registry", "--base", f"{base}/fhir", "--sender", SENDER
        )
        assert added.returncode == 0, added.stderr
        listed = await asyncio.to_thread(used, "list", "--state", "DUE")
        assert f"{TASK}  DUE    form 4100 day-100  due 2026-05-20 OVERDUE" in listed.stdout
        sent = await asyncio.to_thread(used, "run", "--obligation", TASK)
        assert sent.returncode == 0, sent.stderr
        assert " is done" in sent.stdout
        again = await asyncio.to_thread(used, "run")
        assert (again.returncode, "1 of 1 that are due were queued" in again.stdout) == (0, True), again.stdout
        late = await asyncio.to_thread(used, "waive", TASK, "--state", "LTF", "--reason", "x")
        assert late.returncode == 2
    assert len(registry.received()) == 2


async def test_results_go_in_labelled_bundles_of_fifty(application: FastAPI, client: httpx.AsyncClient) -> None:
    await owe(rooms_of(application.state.server))
    labs = [
        result(f"lab-{number}", "2276-4", number + 1, "ng/mL", "2026-02-01", meta=RESTRICTED, category=[LABORATORY])
        for number in range(119)
    ]
    await rooms_of(application.state.server).database.write(Plan(tuple(map(Update, labs))))
    registry = Registry()
    with serving(registry) as base:
        await to(client, base)
        answer = await client.post("/submissions/laboratory", json={"patient": "Patient/p"})
        assert (answer.status_code, rules(answer.json()["issue"])) == (400, {"unknown-destination"})
        await to(client, base, centre="rc_10001")
        registry.down(mode="lose", match="POST /fhir", requests=1)
        queued = await client.post("/submissions/laboratory", json={"patient": "Patient/p"})
        assert queued.json()["bundles"] == 3
        task = await ended(client, queued)
    assert task["status"] == "completed", task
    counts = {one["type"]["text"]: one["valueUnsignedInt"] for one in task["output"]}
    assert counts == {"bundles": 3, "results": 120}
    sizes = [len(taken.bundle["entry"]) for taken in registry.received()]
    assert sizes == [50, 50, 20]
    for taken in registry.received():
        for entry in taken.bundle["entry"]:
            labels = [one["code"] for one in entry["resource"]["meta"]["security"] if one["system"] == CENTRES]
            assert labels == ["rc_10001"]


async def test_results_that_a_registry_refuses_are_told(application: FastAPI, client: httpx.AsyncClient) -> None:
    await owe(rooms_of(application.state.server))
    registry = Registry(Behaviour(rejects=True))
    with serving(registry) as base:
        await to(client, base, centre="rc_10001")
        task = await ended(client, await client.post("/submissions/laboratory", json={"patient": "Patient/p"}))
    assert task["status"] == "failed"
    assert "The form is not complete" in str(task["contained"])
    assert registry.received() == []


@pytest.mark.parametrize("asked,status", [
    ({"patient": "nobody"}, 404),
    ({}, 400),
    ({"patient": 7}, 400),
    ({"patient": "Patient/p", "more": 1}, 400),
])  # fmt: skip
async def test_results_of_nobody_are_refused(
    client: httpx.AsyncClient, asked: dict, status: int, tmp_path: Path
) -> None:
    await to(client, "https://registry.example", centre="rc_10001")
    assert (await client.post("/submissions/laboratory", json=asked)).status_code == status
