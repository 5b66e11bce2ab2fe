"""Conditional create, update and delete."""

from __future__ import annotations

import asyncio

import httpx

from tests.api.conftest import patient, rules

ONE = "identifier=urn:ietf:rfc:3986|a"


async def test_create_under_race_makes_exactly_one(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(client.post("/Patient", json=patient(), headers={"if-none-exist": ONE}) for _ in range(50))
    )
    assert sorted(one.status_code for one in answers) == [200] * 49 + [201]
    assert len({one.headers["location"] for one in answers}) == 1
    assert len({one.headers["etag"] for one in answers}) == 1


async def test_create_with_several_matches_is_refused(client: httpx.AsyncClient) -> None:
    for _ in range(2):
        await client.post("/Patient", json=patient())
    answer = await client.post("/Patient", json=patient(), headers={"if-none-exist": ONE})
    assert answer.status_code == 412


async def test_create_with_unknown_criterion_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/Patient", json=patient(), headers={"if-none-exist": "identifer=a"})
    assert answer.status_code == 400
    assert rules(answer) == {"unknown-parameter"}
    assert (await client.get("/Patient?_summary=count")).json()["total"] == 0


async def test_update_by_criteria_creates_then_updates(client: httpx.AsyncClient) -> None:
    first = await client.put(f"/Patient?{ONE}", json=patient())
    second = await client.put(f"/Patient?{ONE}", json=patient(gender="male"))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["etag"] == 'W/"2"'


async def test_update_by_criteria_with_another_id_is_refused(client: httpx.AsyncClient) -> None:
    await client.put(f"/Patient?{ONE}", json=patient())
    assert (await client.put(f"/Patient?{ONE}", json=patient(id="other"))).status_code == 400


async def test_update_without_criteria_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.put("/Patient", json=patient())).status_code == 412
    assert (await client.delete("/Patient")).status_code == 412


async def test_delete_by_criteria_takes_at_most_one(client: httpx.AsyncClient) -> None:
    assert (await client.delete(f"/Patient?{ONE}")).status_code == 204
    await client.post("/Patient", json=patient())
    assert (await client.delete(f"/Patient?{ONE}")).status_code == 204
    assert (await client.get("/Patient?_summary=count")).json()["total"] == 0
    for _ in range(2):
        await client.post("/Patient", json=patient())
    assert (await client.delete(f"/Patient?{ONE}")).status_code == 412
    assert (await client.get("/Patient?_summary=count")).json()["total"] == 2


async def test_conditional_update_never_overwrites_another_resource(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1", gender="male"))
    wanted = patient(id="p1", identifier=[{"system": "urn:ietf:rfc:3986", "value": "other"}])
    url = "/Patient?identifier=urn:ietf:rfc:3986|other"
    answer = await client.put(url, json=wanted)
    assert answer.status_code == 409
    assert rules(answer) == {"id-taken"}
    assert (await client.get("/Patient/p1")).headers["etag"] == 'W/"1"'
    assert (await client.put(url, json=wanted | {"id": "p2"})).status_code == 201
