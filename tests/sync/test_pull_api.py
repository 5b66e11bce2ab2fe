"""Connections over the API and by the commands: kept without secrets in answers, tested, run, linked by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from service.app import create_app
from service.conformance.definitions import Definitions
from service.settings import Settings
from service.store.migrate import migrate
from tests.sync.pulling import LAB_SEARCH, SUBJECT, hospital, person, subject, value

P1 = person("p1", "ISIKOK19-001")


@pytest.fixture
async def api(settings: Settings, definitions: Definitions) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, definitions)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client,
    ):
        yield client


async def run(api: httpx.AsyncClient, name: str, **wishes: bool) -> dict[str, object]:
    import asyncio

    answer = await api.post(f"/sync/connections/{name}/run", json=wishes)
    assert answer.status_code == 202
    async with asyncio.timeout(60):
        while True:
            task: dict[str, object] = (await api.get(answer.headers["content-location"])).json()
            if task["status"] in ("completed", "failed"):
                return task
            await asyncio.sleep(0.05)


async def test_connection_is_kept_shown_and_ended_without_its_login(api: httpx.AsyncClient, tmp_path: Path) -> None:
    given = {"base": "https://ehr.example/fhir", "client_id": "secret-client", "key_file": str(tmp_path / "key.pem")}
    put = await api.put("/sync/connections/north", json=given)
    assert put.status_code == 200
    shown = [put, await api.get("/sync/connections"), await api.get("/sync/connections/north")]
    shown += [await api.get("/fhir/Endpoint"), await api.get("/fhir/_history")]
    assert all(one.status_code == 200 for one in shown)
    assert not any(word in one.text for one in shown for word in ("secret-client", "key.pem"))
    assert put.json()["login"] is True
    endpoint = (await api.get("/fhir/Endpoint")).json()["entry"][0]["resource"]
    assert (endpoint["status"], endpoint["address"]) == ("active", "https://ehr.example/fhir")
    assert [(await api.delete("/sync/connections/north")).status_code for _ in range(2)] == [204, 204]
    assert (await api.get("/sync/connections/north")).status_code == 404
    assert (await api.get(f"/fhir/Endpoint/{endpoint['id']}")).json()["status"] == "off"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"base": "ftp://ehr.example"}, "base"),
        ({"base": "https://user:pass@ehr.example/fhir"}, "base"),
        ({"base": "https://ehr.example/fhir?x=1"}, "base"),
        ({"base": 5}, "base"),
        ({"base": None}, "base"),
        ({"vendor": "nobody"}, "vendor"),
        ({"vendor": "epic", "pull": ["Observation"]}, "pull[0]"),
        ({"pull": ["Patient"]}, "pull[0]"),
        ({"every": 0}, "every"),
        ({"client_id": "x"}, "client_id"),
        ({"password": "x"}, "password"),
    ],
)
async def test_malformed_connection_is_refused_with_its_field(
    api: httpx.AsyncClient, changes: dict[str, object], word: str
) -> None:
    answer = await api.put("/sync/connections/north", json={"base": "https://ehr.example/fhir", **changes})
    assert answer.status_code == 400
    assert any(issue["diagnostics"].startswith(f"{word}: ") for issue in answer.json()["issue"])
    assert "pass" not in answer.text.replace("password", "")
    assert (await api.get("/sync/connections/north")).status_code == 404


async def test_run_status_and_links_by_hand(api: httpx.AsyncClient) -> None:
    twin, stranger = person("p3", "ISIKOK19-001"), person("p2")
    with hospital([P1, stranger, twin, value("o1"), value("o2", "p2")]) as (_, base):
        for one in (subject("ISIKOK19-001"), subject("ISIKOK19-002")):
            assert (await api.put(f"/fhir/Patient/{one['id']}", json=one)).status_code == 201
        connection = {"base": base, "pull": [LAB_SEARCH], "patient_systems": [SUBJECT]}
        assert (await api.put("/sync/connections/north", json=connection)).status_code == 200
        assert (await run(api, "north"))["status"] == "completed"
        found = (await api.get("/sync/connections/north")).json()
        assert found["patients"] == {"ambiguous": 2, "unlinked": 1}
        assert {one["kind"] for one in found["work"]} == {"patient-ambiguous", "patient-unlinked"}
        assert (await api.get("/fhir/Observation?_summary=count")).json()["total"] == 0
        for there, here in (("p1", "isikok19-001"), ("p2", "isikok19-002")):
            linked = await api.put(f"/sync/connections/north/links/{there}", json={"local": f"Patient/{here}"})
            assert linked.status_code == 200
        await run(api, "north")
        found = (await api.get("/sync/connections/north")).json()
        assert found["runs"][0]["counts"]["created"] == 2
        assert LAB_SEARCH in found["watermarks"]
        assert len((await api.get("/sync/connections/north/links?state=linked")).json()["links"]) == 2
        assert (await api.get("/fhir/Observation?patient=isikok19-002&_summary=count")).json()["total"] == 1
        assert (await api.delete("/sync/connections/north/links/p2")).status_code == 204
        await run(api, "north")
        assert (await api.get("/fhir/Observation?patient=isikok19-002&_summary=count")).json()["total"] == 0
        assert (await api.put("/sync/connections/north/links/p2", json={"local": "Patient/no"})).status_code == 404


async def test_poison_is_replayed_over_the_api_when_it_is_mended(api: httpx.AsyncClient) -> None:
    poison = value("bad")
    del poison["status"]
    with hospital([P1, value("o1"), poison]) as (ehr, base):
        one = subject("ISIKOK19-001")
        await api.put(f"/fhir/Patient/{one['id']}", json=one)
        connection = {"base": base, "pull": [LAB_SEARCH], "patient_systems": [SUBJECT]}
        await api.put("/sync/connections/north", json=connection)
        assert (await run(api, "north"))["status"] == "completed"
        assert (await api.get("/fhir/Observation?_summary=count")).json()["total"] == 1
        (letter,) = (await api.get("/dead-letters")).json()["letters"]
        assert (letter["source"], letter["place"]) == ("north", "Observation/bad")
        again = await api.post(f"/dead-letters/{letter['id']}/replay")
        assert again.status_code == 400
        assert "Observation.status" in again.text
        assert len((await api.get("/dead-letters")).json()["letters"]) == 1
        await run(api, "north")
        assert len((await api.get("/dead-letters")).json()["letters"]) == 1
        ehr.put([value("bad")])
        await run(api, "north")
        assert (await api.get("/fhir/Observation?_summary=count")).json()["total"] == 2
        late = await api.post(f"/dead-letters/{letter['id']}/replay")
        assert late.status_code == 409


def test_commands_add_test_run_show_and_link(tmp_path: Path) -> None:
    migrate(Settings(data_dir=tmp_path))
    environment = os.environ | {"CART_FHIR_DATA_DIR": str(tmp_path)}

    def sync(*words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "service", "sync", *words]
        return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120)

    with hospital([P1, value("o1")]) as (_, base):
        added = sync("add", "north", "--base", base, "--patient-system", SUBJECT, "--pull", LAB_SEARCH)
        assert added.returncode == 0, added.stderr
        tried = sync("test", "north")
        assert tried.returncode == 0, tried.stdout
        assert "filters" in tried.stdout
        done = sync("run", "north", "--wait")
        assert (done.returncode, "1 waiting" in done.stdout) == (0, True), done.stdout
        shown = sync("status", "north")
        assert "1 unlinked" in shown.stdout
        assert "patient-unlinked" in shown.stdout
        assert sync("link", "north", "Patient/p1", "Patient/no").returncode == 2
        assert sync("remove", "north").returncode == 0
    gone = sync("run", "north")
    assert gone.returncode == 2
    assert len(gone.stderr.strip().splitlines()) == 1
