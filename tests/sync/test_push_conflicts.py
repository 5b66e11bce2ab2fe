"""Both sides change: merged where the elements differ, else decided by a person."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.app import create_app
from service.conformance.definitions import Definitions
from service.simulators.ehr import Quirks
from service.store.database import Database
from tests.sync.pushing import Ward, observation, ward

SINGLE = Quirks(transactions="absent")
LATER = "2026-01-01T00:00:00Z"


def decided(task: dict[str, Any]) -> Any:
    return task["output"][0]["valueCode"]


@pytest.mark.parametrize("status", [409, 412])
async def test_change_between_read_and_write_is_merged(
    database: Database, definitions: Definitions, status: int
) -> None:
    async with ward(database, definitions, Quirks(conflict_status=status)) as one:
        await one.put(observation("o1"))
        await one.push()
        await one.change("Observation/o1", status="amended")
        there = one.theirs("Observation/o1")
        one.ehr.put_after(1, [{**there, "issued": LATER}], match=f"GET /fhir/Observation/{there['id']}")
        assert await one.push() == {"merged": 1, "updated": 1}
        assert one.ehr.count("PUT ") == 2
        for side in (one.theirs("Observation/o1"), await one.ours("Observation/o1")):
            assert (side["status"], side["issued"]) == ("amended", LATER)
        before = len(one.ehr.log)
        assert await one.push() == {}
        assert len(one.ehr.log) == before


async def conflicting(one: Ward) -> dict[str, Any]:
    """Both have changed the value; the hospital also `issued`, we also `note`."""
    await one.put(observation("o1"))
    await one.push()
    one.edit("Observation/o1", valueQuantity={"value": 1, "unit": "U/L"}, issued=LATER)
    await one.change("Observation/o1", valueQuantity={"value": 2, "unit": "U/L"}, note=[{"text": "ours"}])
    assert await one.push() == {"conflicts": 1}
    (task,) = await one.tasks("conflict")
    return task


async def resolved(one: Ward, definitions: Definitions, id_: str, body: dict[str, Any]) -> httpx.Response:
    app = create_app(one.database.settings, definitions)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        listed = (await client.get("/sync/conflicts")).json()
        assert [found["id"] for found in listed["conflicts"]] == [id_]
        shown = (await client.get(f"/sync/conflicts/{id_}")).json()
        assert [shown[name]["valueQuantity"]["value"] for name in ("base", "ours", "theirs")] == [500, 2, 1]
        assert (await client.get(f"/fhir/Binary/{id_}")).status_code == 200
        answer = await client.post(f"/sync/conflicts/{id_}/resolve", json=body)
        if answer.status_code == 200:
            assert (await client.get("/sync/conflicts")).json()["conflicts"] == []
            assert (await client.post(f"/sync/conflicts/{id_}/resolve", json=body)).status_code == 404
        return answer


@pytest.mark.parametrize(("keep", "value"), [("ours", 2), ("theirs", 1)])
async def test_conflict_waits_for_a_person_whose_word_reaches_both_sides(
    database: Database, definitions: Definitions, keep: str, value: int
) -> None:
    async with ward(database, definitions, SINGLE) as one:
        task = await conflicting(one)
        assert (task["status"], task["focus"]["reference"]) == ("requested", "Observation/o1")
        assert "Observation.valueQuantity" in task["description"]
        assert one.theirs("Observation/o1")["valueQuantity"]["value"] == 1
        before = len(one.ehr.log)
        assert await one.push() == {}
        assert len(one.ehr.log) == before
        assert (await resolved(one, definitions, task["id"], {"keep": keep})).status_code == 200
        assert await one.push() == {"updated": 1}
        for side in (one.theirs("Observation/o1"), await one.ours("Observation/o1")):
            assert (side["valueQuantity"]["value"], side["issued"], side["note"][0]["text"]) == (value, LATER, "ours")
        (task,) = await one.tasks("conflict")
        assert (task["status"], decided(task)) == ("completed", keep)
        before = len(one.ehr.log)
        assert await one.push() == {}
        assert len(one.ehr.log) == before


async def test_conflict_is_resolved_by_a_resource_that_must_be_valid(
    database: Database, definitions: Definitions
) -> None:
    async with ward(database, definitions, SINGLE) as one:
        task = await conflicting(one)
        for body, status in (
            ({"keep": "both"}, 400),
            ({"resourceType": "Observation", "status": "final"}, 400),
            ({"resourceType": "Patient"}, 422),
        ):
            assert (await resolved(one, definitions, task["id"], body)).status_code == status
        merged = observation("o1", valueQuantity={"value": 3, "unit": "U/L"}, issued=LATER)
        assert (await resolved(one, definitions, task["id"], merged)).status_code == 200
        assert await one.push() == {"updated": 1}
        for side in (one.theirs("Observation/o1"), await one.ours("Observation/o1")):
            assert (side["valueQuantity"]["value"], side["issued"], "note" in side) == (3, LATER, False)


async def test_conflict_that_ends_by_itself_is_closed(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions, SINGLE) as one:
        await conflicting(one)
        await one.change("Observation/o1", valueQuantity={"value": 1, "unit": "U/L"})
        counts = await one.push()
        assert counts["updated"] == 1
        (task,) = await one.tasks("conflict")
        assert (task["status"], decided(task)) == ("completed", "merged")
        assert await database.notes("conflict") == []
        for side in (one.theirs("Observation/o1"), await one.ours("Observation/o1")):
            assert (side["valueQuantity"]["value"], side["issued"], side["note"][0]["text"]) == (1, LATER, "ours")


async def test_further_change_there_is_shown_in_the_same_task(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions, SINGLE) as one:
        first = await conflicting(one)
        one.edit("Observation/o1", status="corrected")
        await one.change("Observation/o1", status="amended")
        assert await one.push() == {"conflicts": 1}
        (task,) = await one.tasks("conflict")
        assert task["id"] == first["id"]
        assert "Observation.status" in task["description"]


async def test_same_change_on_both_sides_is_no_conflict(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions, SINGLE) as one:
        await one.put(observation("o1"))
        await one.push()
        one.edit("Observation/o1", status="amended")
        await one.change("Observation/o1", status="amended")
        writes = one.writes()
        assert "conflicts" not in await one.push()
        assert one.writes() == writes
        before = len(one.ehr.log)
        assert await one.push() == {}
        assert len(one.ehr.log) == before
