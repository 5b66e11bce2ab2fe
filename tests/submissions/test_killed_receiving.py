"""kill -9 before and after each write of receiving, and of a served process: no line is taken twice, none is lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx
import pytest

from service.api.jobs import rooms_of
from service.app import create_app
from service.conformance.definitions import Definitions
from service.settings import Settings
from service.submissions import asynchronous
from tests.promises import live
from tests.submissions.conftest import FHIR, NDJSON, message, report
from tests.submissions.killing import Killed, Killer, watched, work_off
from tests.submissions.test_receiving import counts, lines


@pytest.mark.parametrize("at", range(1, 9))
async def test_receiving_that_is_killed_ends_like_any_other(
    settings: Settings, definitions: Definitions, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    content = lines(message(), message("m2", report("2", status="banana")), message("m3", report("3")), message())
    killer = Killer(at)
    idle = create_app(settings.model_copy(update={"workers": 0}), definitions)
    async with (
        idle.router.lifespan_context(idle),
        httpx.AsyncClient(transport=httpx.ASGITransport(idle), base_url="http://test", headers=FHIR) as client,
    ):
        later = NDJSON | {"prefer": "respond-async"}
        place = (await client.post("/submissions/bulk", content=content, headers=later)).headers["content-location"]
        rooms = rooms_of(idle.state.server)
        with watched(killer, monkeypatch):
            try:
                await work_off(rooms, asynchronous.KINDS)
            except Killed:
                await work_off(rooms, asynchronous.KINDS)
        assert killer.steps >= at, "there is no such step"
        assert counts(await client.get(place)) == {"lines": 4, "accepted": 2, "repeated": 1, "refused": 1, "empty": 0}
        task = (await client.get(f"/fhir/Task/{place.rpartition('/')[2]}")).json()
        noted = {one["type"]["text"]: one["valueUnsignedInt"] for one in task["output"]}
        assert noted == {"accepted": 2, "repeated": 1, "refused": 1}
        found = {type_: (await client.get(f"/fhir/{type_}")).json()["entry"] for type_ in ("Observation", "Provenance")}
        assert {type_: len(entries) for type_, entries in found.items()} == {"Observation": 2, "Provenance": 2}


async def test_answer_survives_a_server_that_is_killed(database_url: str, tmp_path: Path) -> None:
    many = lines(*(message(f"m{number}", report(str(number))) for number in range(40)))
    later = NDJSON | {"prefer": "respond-async"}
    port = live.free_port()
    with live.serving(database_url, tmp_path, port=port) as (_, process):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            place = (await client.post("/submissions/bulk", content=many, headers=later)).headers["content-location"]
            os.kill(process.pid, signal.SIGKILL)
    with live.serving(database_url, tmp_path, port=port):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            answer = await client.get(place)
            assert answer.status_code in (200, 202)
            again = await client.post("/submissions/bulk", content=many, headers=NDJSON)
            found = counts(again)
            assert found["accepted"] + found["repeated"] == 40
            assert (await client.get("/fhir/Observation", params={"_summary": "count"})).json()["total"] == 40
