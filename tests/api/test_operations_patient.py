"""Patient/[id]/$everything and Observation/$lastn."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import issues, observation, patient, rules
from tests.api.test_bundles import bundle

FERRITIN, LDH = ({"coding": [{"system": "http://loinc.org", "code": code}]} for code in ("2276-4", "2532-0"))


def put(resource: dict[str, Any]) -> dict[str, Any]:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}


def result(number: int, whose: str = "p1", **changes: Any) -> dict[str, Any]:
    return observation(f"Patient/{whose}", id=f"o{number}", effectiveDateTime=f"2021-03-{number:02}") | changes


CONDITION = {
    "resourceType": "Condition",
    "id": "c1",
    "subject": {"reference": "Patient/p1"},
    "asserter": {"reference": "Practitioner/doctor"},
    "onsetDateTime": "2020-01-01",
}
GROUP = {
    "resourceType": "Group",
    "id": "g1",
    "type": "person",
    "actual": True,
    "member": [{"entity": {"reference": "Patient/p1"}}, {"entity": {"reference": "Patient/p2"}}],
}


@pytest.fixture
async def ward(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Two patients with results, a group of both, a practitioner of the first one's condition."""
    resources = [
        patient(id="p1", managingOrganization={"reference": "Organization/h1"}),
        patient(id="p2"),
        {"resourceType": "Organization", "id": "h1", "name": "h"},
        {"resourceType": "Organization", "id": "h2", "name": "h"},
        {"resourceType": "Practitioner", "id": "doctor"},
        CONDITION,
        GROUP,
        *(result(number) for number in range(1, 6)),
        result(9, "p2"),
    ]
    sent = bundle("transaction", *map(put, resources))
    assert (await client.post("", json=sent)).status_code == 200
    return client


def found(answer: httpx.Response, mode: str | None = None) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for entry in answer.json().get("entry", [])
        if mode in (None, entry["search"]["mode"])
    ]


MINE = {"Patient/p1", "Condition/c1", "Group/g1", *(f"Observation/o{number}" for number in range(1, 6))}


async def test_everything_is_the_compartment_and_what_it_refers_to(ward: httpx.AsyncClient) -> None:
    answer = await ward.get("/Patient/p1/$everything")
    assert found(answer)[0] == "Patient/p1"
    assert set(found(answer, "match")) == MINE
    assert set(found(answer, "include")) == {"Organization/h1", "Practitioner/doctor"}
    assert set(found(await ward.get("/Patient/p2/$everything"))) == {"Patient/p2", "Group/g1", "Observation/o9"}


@pytest.mark.parametrize("count", [1, 2, 3, 100])
async def test_everything_in_pages_is_the_same_without_doubles(ward: httpx.AsyncClient, count: int) -> None:
    answer = await ward.get("/Patient/p1/$everything", params={"_count": count})
    seen = found(answer, "match")
    for _ in range(20):
        assert len(found(answer, "match")) <= count
        following = [link["url"] for link in answer.json()["link"] if link["relation"] == "next"]
        if not following:
            break
        answer = await ward.get(following[0])
        assert found(answer, "match")  # never a phantom page
        seen += found(answer, "match")
    assert len(seen) == len(MINE)
    assert set(seen) == MINE


async def test_everything_of_some_types(ward: httpx.AsyncClient) -> None:
    answer = await ward.get("/Patient/p1/$everything", params={"_type": "Condition,Practitioner"})
    assert set(found(answer)) == {"Condition/c1", "Practitioner/doctor"}
    assert (await ward.get("/Patient/p1/$everything?_type=Banana")).status_code == 404


async def test_everything_of_a_period_of_care(ward: httpx.AsyncClient) -> None:
    answer = await ward.get("/Patient/p1/$everything", params={"start": "2021-03-02", "end": "2021-03-03"})
    assert set(found(answer, "match")) == {"Patient/p1", "Group/g1", "Observation/o2", "Observation/o3"}


async def test_everything_since(ward: httpx.AsyncClient) -> None:
    updated = (await ward.get("/Observation/o5")).json()["meta"]["lastUpdated"]
    await ward.put("/Observation/o3", json=result(3, status="amended"))
    answer = await ward.get("/Patient/p1/$everything", params={"_since": updated})
    assert "Observation/o3" in found(answer)
    future = await ward.get("/Patient/p1/$everything", params={"_since": "2999-01-01"})
    assert found(future, "match") == ["Patient/p1"]


async def test_everything_by_post(ward: httpx.AsyncClient) -> None:
    sent = {
        "resourceType": "Parameters",
        "parameter": [{"name": "_type", "valueString": "Observation"}, {"name": "_count", "valueInteger": 2}],
    }
    answer = await ward.post("/Patient/p1/$everything", json=sent)
    assert found(answer) == ["Observation/o1", "Observation/o2"]
    (following,) = [link["url"] for link in answer.json()["link"] if link["relation"] == "next"]
    assert found(await ward.get(following)) == ["Observation/o3", "Observation/o4"]


async def test_everything_of_nobody(ward: httpx.AsyncClient) -> None:
    assert (await ward.get("/Patient/nobody/$everything")).status_code == 404
    await ward.put("/Patient/p3", json=patient(id="p3"))
    await ward.delete("/Patient/p3")
    assert (await ward.get("/Patient/p3/$everything")).status_code == 410


@pytest.mark.parametrize(
    "query", ["start=x", "_since=2021-13", "_count=0", "_count=x", "_cursor=AAAA", "banana=1", "start=2021&start=2022"]
)
async def test_everything_with_a_wrong_parameter(ward: httpx.AsyncClient, query: str) -> None:
    answer = await ward.get(f"/Patient/p1/$everything?{query}")
    assert answer.status_code == 400
    assert issues(answer)


async def test_lastn_is_the_newest_of_each_code(ward: httpx.AsyncClient) -> None:
    for number in (11, 12):
        await ward.put(f"/Observation/o{number}", json=result(number, code=LDH))
    one = await ward.get("/Observation/$lastn?patient=p1")
    assert found(one) == ["Observation/o12", "Observation/o5"]
    assert one.json()["total"] == 2
    assert found(await ward.get("/Observation/$lastn?patient=p1&max=3")) == [
        *("Observation/o12", "Observation/o11"),
        *("Observation/o5", "Observation/o4", "Observation/o3"),
    ]


async def test_lastn_joins_codes_that_translate_each_other(ward: httpx.AsyncClient) -> None:
    local = {"system": "https://hospital.example/lab", "code": "FER"}
    both = {"coding": [*FERRITIN["coding"], local]}
    await ward.put("/Observation/o11", json=result(11, code=both))
    await ward.put("/Observation/o10", json=result(10, code={"coding": [local]}))
    assert found(await ward.get("/Observation/$lastn?patient=p1&max=2")) == ["Observation/o11", "Observation/o10"]


async def test_lastn_of_a_code_and_a_category(ward: httpx.AsyncClient) -> None:
    lab = [{"coding": [{"code": "laboratory"}]}]
    await ward.put("/Observation/o11", json=result(11, code=LDH, category=lab))
    assert found(await ward.get("/Observation/$lastn?subject=Patient/p1&category=laboratory")) == ["Observation/o11"]
    assert found(await ward.get("/Observation/$lastn?patient=p1&code=2276-4")) == ["Observation/o5"]
    assert found(await ward.get("/Observation/$lastn?patient=p2&code=2532-0")) == []


async def test_lastn_by_post_is_the_same(ward: httpx.AsyncClient) -> None:
    parts = [{"name": "patient", "valueString": "p1"}, {"name": "max", "valuePositiveInt": 3}]
    asked = await ward.post("/Observation/$lastn", json={"resourceType": "Parameters", "parameter": parts})
    assert found(asked) == found(await ward.get("/Observation/$lastn?patient=p1&max=3"))
    assert len(found(asked)) > 1
    mixed = await ward.post("/Observation/$lastn?patient=p1", json={"resourceType": "Parameters"})
    assert found(mixed) == found(await ward.get("/Observation/$lastn?patient=p1"))


async def test_meta_by_post_is_the_same(ward: httpx.AsyncClient) -> None:
    asked = await ward.post("/Patient/p1/$meta", json={"resourceType": "Parameters"})
    assert asked.json() == (await ward.get("/Patient/p1/$meta")).json()
    assert (await ward.get("/Patient/p1/$meta?x=1")).status_code == 400


@pytest.mark.parametrize(
    "query,rule",
    [
        ("", "required-parameter"),
        ("code=2276-4", "required-parameter"),
        ("patient=p1&max=0", "invalid-parameter"),
        ("patient=p1&max=x", "invalid-parameter"),
        ("patient=p1&banana=x", "unknown-parameter"),
        ("patient=p1&_sort=date", "unknown-parameter"),
    ],
)
async def test_lastn_with_wrong_parameters(ward: httpx.AsyncClient, query: str, rule: str) -> None:
    answer = await ward.get(f"/Observation/$lastn?{query}")
    assert answer.status_code == 400
    assert rules(answer) == {rule}
