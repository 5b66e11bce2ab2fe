"""read, vread, update, delete and history of one resource."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.api.conftest import FHIR, issues, observation, patient, rules


async def created(client: httpx.AsyncClient, resource: dict) -> dict:
    answer = await client.post(f"/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_create_ignores_the_clients_id(client: httpx.AsyncClient) -> None:
    answer = await client.post("/Patient", json=patient(id="mine"))
    id_ = answer.json()["id"]
    assert answer.status_code == 201
    assert id_ != "mine"
    assert answer.headers["location"] == f"http://test/fhir/Patient/{id_}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["last-modified"].endswith("GMT")


async def test_read_returns_the_bytes_that_were_sent(client: httpx.AsyncClient) -> None:
    sent = (
        '{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"ferritin"},'
        '"valueQuantity":{"value":1.00,"unit":"ng/mL ığş"}}'
    )
    assert (await client.put("/Observation/o1", content=sent.encode())).status_code == 201
    assert '"value":1.00,"unit":"ng/mL ığş"' in (await client.get("/Observation/o1")).text


async def test_read_with_current_etag_is_not_modified(client: httpx.AsyncClient) -> None:
    id_ = (await created(client, patient()))["id"]
    answer = await client.get(f"/Patient/{id_}", headers={"if-none-match": 'W/"1"'})
    assert (answer.status_code, answer.content) == (304, b"")
    assert (await client.get(f"/Patient/{id_}", headers={"if-none-match": 'W/"2"'})).status_code == 200
    modified = answer.headers["last-modified"]
    assert (await client.get(f"/Patient/{id_}", headers={"if-modified-since": modified})).status_code == 304


async def test_head_answers_the_headers_of_get(client: httpx.AsyncClient) -> None:
    id_ = (await created(client, patient()))["id"]
    get, head = await client.get(f"/Patient/{id_}"), await client.head(f"/Patient/{id_}")
    assert head.content == b""
    assert head.headers["content-length"] == str(len(get.content))
    assert head.headers["etag"] == get.headers["etag"]


async def test_update_creates_then_updates_then_does_nothing(client: httpx.AsyncClient) -> None:
    first = await client.put("/Patient/p1", json=patient(id="p1"))
    second = await client.put("/Patient/p1", json=patient(id="p1", gender="female"))
    third = await client.put("/Patient/p1", json=patient(id="p1", gender="female"))
    assert [one.status_code for one in (first, second, third)] == [201, 200, 200]
    assert [one.headers["etag"] for one in (first, second, third)] == ['W/"1"', 'W/"2"', 'W/"2"']
    assert (await client.get("/Patient/p1/_history/1")).json().get("gender") is None


@pytest.mark.parametrize(("body", "rule"), [(patient(), "id-missing"), (patient(id="other"), "id-mismatch")])
async def test_update_with_wrong_id_is_refused(client: httpx.AsyncClient, body: dict, rule: str) -> None:
    answer = await client.put("/Patient/p1", json=body)
    assert answer.status_code == 400
    assert rules(answer) == {rule}
    assert issues(answer)[0]["expression"] == ["Patient.id"]


async def test_update_with_stale_etag_is_refused(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    put = {"json": patient(id="p1", gender="male"), "headers": FHIR | {"if-match": 'W/"7"'}}
    answer = await client.put("/Patient/p1", **put)
    assert answer.status_code == 412
    assert issues(answer)[0]["code"] == "conflict"
    assert answer.headers["etag"] == 'W/"1"'
    put["headers"]["if-match"] = "yesterday"
    assert (await client.put("/Patient/p1", **put)).status_code == 400


async def test_update_race_with_one_etag_has_one_winner(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    answers = await asyncio.gather(
        *(
            client.put("/Patient/p1", json=patient(id="p1", language=f"x-{n}"), headers={"if-match": 'W/"1"'})
            for n in range(20)
        )
    )
    assert sorted(one.status_code for one in answers) == [200] + [412] * 19


async def test_delete_is_idempotent_and_leaves_history(client: httpx.AsyncClient) -> None:
    id_ = (await created(client, patient()))["id"]
    assert (await client.delete(f"/Patient/{id_}")).status_code == 204
    assert (await client.delete(f"/Patient/{id_}")).status_code == 204
    gone = await client.get(f"/Patient/{id_}")
    assert gone.status_code == 410
    assert issues(gone)[0]["code"] == "deleted"
    assert gone.headers["etag"] == 'W/"2"'
    assert (await client.get(f"/Patient/{id_}/_history/1")).status_code == 200
    history = (await client.get(f"/Patient/{id_}/_history")).json()
    assert [entry["request"]["method"] for entry in history["entry"]] == ["DELETE", "POST"]
    assert "resource" not in history["entry"][0]
    assert history["total"] == 2


async def test_delete_of_a_referenced_resource_is_refused(client: httpx.AsyncClient) -> None:
    id_ = (await created(client, patient()))["id"]
    observed = await created(client, observation(f"Patient/{id_}"))
    answer = await client.delete(f"/Patient/{id_}")
    assert answer.status_code == 409
    assert observed["id"] in answer.text
    assert (await client.get(f"/Patient/{id_}")).status_code == 200


async def test_create_with_a_dangling_reference_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/Observation", json=observation("Patient/nobody"))
    assert answer.status_code == 409
    assert issues(answer)[0]["expression"] == ["Observation.subject.reference"]


@pytest.mark.parametrize("number", ["2", "x", "9" * 30])
async def test_vread_of_an_unknown_version_is_not_found(client: httpx.AsyncClient, number: str) -> None:
    id_ = (await created(client, patient()))["id"]
    answer = await client.get(f"/Patient/{id_}/_history/{number}")
    assert answer.status_code == 404
    assert issues(answer)[0]["code"] == "not-found"


async def test_prefer_chooses_the_body(client: httpx.AsyncClient) -> None:
    minimal = await client.post("/Patient", json=patient(), headers={"prefer": "return=minimal"})
    outcome = await client.post("/Patient", json=patient(), headers={"prefer": "return=OperationOutcome"})
    assert (minimal.status_code, minimal.content) == (201, b"")
    assert minimal.headers["location"]
    assert outcome.status_code == 201
    assert issues(outcome)[0]["severity"] == "information"


async def test_absolute_reference_to_ourselves_is_one_of_ours(client: httpx.AsyncClient) -> None:
    id_ = (await created(client, patient()))["id"]
    stored = await created(client, observation(f"http://test/fhir/Patient/{id_}"))
    assert stored["subject"]["reference"] == f"Patient/{id_}"


async def test_answers_are_asked_for_again_before_a_cache_shows_them(client: httpx.AsyncClient) -> None:
    id_ = (await created(client, patient()))["id"]
    for address in (f"/Patient/{id_}", "/Patient", "/_history"):
        headers = (await client.get(address)).headers
        assert headers["cache-control"] == "private, no-cache"
        assert headers["x-content-type-options"] == "nosniff"
