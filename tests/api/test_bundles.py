"""Batch and transaction at the FHIR base."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import issues, observation, patient, rules


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def post(resource: dict[str, Any], full_url: str | None = None, **request: Any) -> dict[str, Any]:
    entry = {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"], **request}}
    return entry | ({"fullUrl": full_url} if full_url else {})


def get(url: str) -> dict[str, Any]:
    return {"request": {"method": "GET", "url": url}}


URN = "urn:uuid:6f0f2c1e-6d0a-4f0e-9d68-0d6f5f6b1c01"


async def test_transaction_links_and_answers_in_order(client: httpx.AsyncClient) -> None:
    sent = bundle("transaction", post(observation(URN)), post(patient(), URN), get("Patient?identifier=a"))
    answer = await client.post("", json=sent, headers={"prefer": "return=representation"})
    assert answer.status_code == 200
    observed, who, found = answer.json()["entry"]
    assert observed["resource"]["subject"]["reference"] == f"Patient/{who['resource']['id']}"
    assert [one["response"]["status"] for one in (observed, who, found)] == ["201 Created", "201 Created", "200 OK"]
    assert found["resource"]["entry"][0]["resource"]["id"] == who["resource"]["id"]


async def test_transaction_with_a_broken_entry_writes_nothing(client: httpx.AsyncClient) -> None:
    broken = observation(URN, status="banana", valueQuantity={"value": "12"})
    del broken["code"]
    answer = await client.post("", json=bundle("transaction", post(patient(), URN), post(broken)))
    assert answer.status_code == 400
    places = {issue["expression"][0] for issue in issues(answer)}
    under = "Bundle.entry[1].resource"
    assert places == {f"{under}.status", f"{under}.valueQuantity.value", f"{under}.code"}
    assert (await client.get("/_history")).json()["total"] == 0


async def test_transaction_that_the_store_refuses_writes_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.post("", json=bundle("transaction", post(patient()), post(observation("Patient/nobody"))))
    assert answer.status_code == 409
    assert issues(answer)[0]["expression"] == ["Bundle.entry[1].resource.subject.reference"]
    assert (await client.get("/_history")).json()["total"] == 0


async def test_transaction_names_every_broken_entry(client: httpx.AsyncClient) -> None:
    bad = {"resource": patient(), "request": {"method": "BREW", "url": "Patient"}}
    answer = await client.post("", json=bundle("transaction", bad, post(patient(gender="banana")), {"request": {}}))
    assert answer.status_code == 400
    entries = {issue["expression"][0].split(".")[1] for issue in issues(answer)}
    assert entries == {"entry[0]", "entry[1]", "entry[2]"}


async def test_batch_answers_entry_by_entry(client: httpx.AsyncClient) -> None:
    sent = bundle(
        "batch", post(patient()), get("Patient/nobody"), post(patient(gender="banana")), get("Patient?_count=0")
    )
    answer = await client.post("", json=sent)
    assert answer.status_code == 200
    entries = answer.json()["entry"]
    statuses = [entry["response"]["status"][:3] for entry in entries]
    assert statuses == ["201", "404", "400", "200"]
    assert entries[2]["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[2].resource.gender"]
    assert entries[3]["resource"]["total"] == 1


async def test_batch_entry_cannot_link_to_another(client: httpx.AsyncClient) -> None:
    answer = await client.post("", json=bundle("batch", post(patient(), URN), post(observation(URN))))
    assert [entry["response"]["status"][:3] for entry in answer.json()["entry"]] == ["201", "400"]


async def test_another_kind_of_bundle_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("", json=bundle("collection"))
    assert answer.status_code == 400
    assert rules(answer) == {"bundle-type"}


async def test_base_with_a_slash_is_the_base(client: httpx.AsyncClient) -> None:
    answer = await client.post("/", json=bundle("transaction"))
    assert answer.status_code == 200
    assert answer.json()["type"] == "transaction-response"


async def test_transaction_of_one_conditional_create_twice_makes_one(client: httpx.AsyncClient) -> None:
    sent = bundle("transaction", post(patient(), ifNoneExist="identifier=a"))
    first, second = [(await client.post("", json=sent)).json()["entry"][0]["response"] for _ in range(2)]
    assert (first["status"][:3], second["status"][:3]) == ("201", "200")
    assert first["location"] == second["location"]


NEVER, LATER = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00+03:00"


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"ifNoneMatch": 'W/"1"'}, 304),
        ({"ifNoneMatch": "*"}, 304),
        ({"ifNoneMatch": 'W/"2"', "ifModifiedSince": LATER}, 200),
        ({"ifModifiedSince": LATER}, 304),
        ({"ifModifiedSince": NEVER}, 200),
    ],
)
async def test_read_in_a_bundle_of_what_is_known_is_304(
    client: httpx.AsyncClient, kind: str, request_: dict[str, str], status: int
) -> None:
    await client.put("/Patient/p", json=patient(id="p"))
    for url in ("Patient/p", "Patient/p?_elements=id") if kind == "batch" else ("Patient/p",):
        answer = await client.post("", json=bundle(kind, {"request": {"method": "GET", "url": url, **request_}}))
        (entry,) = answer.json()["entry"]
        assert entry["response"]["status"].startswith(str(status)), url
        assert ("resource" in entry) == (status == 200)


@pytest.mark.parametrize(
    ("name", "value"), [("ifModifiedSince", "yesterday"), ("ifModifiedSince", 3), ("ifNoneMatch", 3)]
)
async def test_read_in_a_bundle_with_a_malformed_condition_is_refused(
    client: httpx.AsyncClient, name: str, value: Any
) -> None:
    entry = {"request": {"method": "GET", "url": "Patient/p", name: value}}
    answer = await client.post("", json=bundle("transaction", entry))
    assert answer.status_code == 400
    assert issues(answer)[0]["expression"] == [f"Bundle.entry[0].request.{name}"]
