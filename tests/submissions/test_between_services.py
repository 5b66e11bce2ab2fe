"""One service reports to another over HTTP: what the one sends the other takes, replaces and takes back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from service.api.jobs import rooms_of
from service.submissions.envelope import EVENTS, REPLACES
from tests.promises import live
from tests.submissions.conftest import FHIR
from tests.submissions.registry import SENDER, TASK, ended, owe, reached, state, submit, to


@pytest.fixture
def registry(sqlite_template: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a service that is a registry, in a process and over a database of its own."""
    folder = tmp_path / "registry"
    folder.mkdir()
    shutil.copy(sqlite_template, folder / "registry.sqlite")
    with live.serving(f"sqlite:///{folder / 'registry.sqlite'}", folder) as (port, _):
        yield f"http://127.0.0.1:{port}"


async def states(registry: httpx.AsyncClient) -> list[str]:
    """The states of the reports at the registry."""
    found = (await registry.get("/fhir/Task", params={"code": "registry-report"})).json().get("entry", [])
    return sorted(entry["resource"]["businessStatus"]["coding"][0]["code"] for entry in found)


async def living(registry: httpx.AsyncClient, type_: str) -> int:
    return (await registry.get(f"/fhir/{type_}", params={"_summary": "count"})).json()["total"]


async def test_report_is_taken_superseded_and_taken_back(
    application: FastAPI, client: httpx.AsyncClient, registry: str
) -> None:
    await owe(rooms_of(application.state.server))
    async with httpx.AsyncClient(base_url=registry, headers=FHIR, timeout=30) as there:
        await to(client, registry)
        await submit(client)
        first = await reached(client, "CMP")
        receipt = (await there.get(f"/fhir/{first['message']['receipt']}")).json()
        assert receipt["extension"][0]["valueString"] == first["message"]["digest"]
        assert await states(there) == ["CMP"]
        kinds = ("Patient", "Procedure", "QuestionnaireResponse", "AdverseEvent", "BiologicallyDerivedProduct")
        assert [await living(there, type_) for type_ in kinds] == [1] * len(kinds)

        await to(client, registry, mode="async")
        successor = (await client.post(f"/submissions/{TASK}/supersede", json={})).json()["task"]
        await reached(client, "CMP", successor)
        assert (await state(client))["state"] == "SUP"
        assert await states(there) == ["CMP", "SUP"]
        assert [await living(there, type_) for type_ in kinds] == [1] * len(kinds)

        await client.post(f"/submissions/{successor}/void", json={"reason": "Another subject"})
        await reached(client, "VOID", successor)
        assert await states(there) == ["SUP", "VOID"]
        assert [await living(there, type_) for type_ in kinds] == [0] * len(kinds)
        assert await living(there, "Provenance") == 3
        receipts = [first["message"]["receipt"], (await state(client, successor))["message"]["receipt"]]
        assert [(await there.get(f"/fhir/{one}")).status_code for one in receipts] == [200, 200]


async def test_what_the_registry_refuses_is_told_with_its_place(
    application: FastAPI, client: httpx.AsyncClient, registry: str
) -> None:
    await owe(rooms_of(application.state.server))
    async with httpx.AsyncClient(base_url=registry, headers=FHIR, timeout=30) as there:
        await to(client, registry)
        await submit(client)
        message = (await reached(client, "CMP"))["message"]["message"]
        header = {
            "resourceType": "MessageHeader",
            "id": "another",
            "extension": [{"url": REPLACES, "valueId": message}],
            "eventCoding": {"system": EVENTS, "code": "submission-void"},
            "source": {"endpoint": SENDER},
        }
        void = {"resourceType": "Bundle", "type": "message", "timestamp": "2026-01-01T00:00:00Z"}
        gone = await there.post("/fhir/$process-message", json={**void, "entry": [{"resource": header}]})
        assert gone.status_code == 200, gone.text
        await ended(client, await client.post(f"/submissions/{TASK}/void", json={"reason": "Another subject"}))
    owed = await state(client)
    assert (owed["state"], owed["reason"]) == ("CMP", "registry refused to take it back")
    (issue,) = (await client.get(f"/fhir/Task/{TASK}")).json()["contained"][0]["issue"]
    assert issue["diagnostics"] == "The message that it refers to is voided already"
    assert issue["expression"] == ["Bundle.entry[0].resource.extension"]
