"""Strict and lenient handling of several resources at once: bundles, messages, races, and requests sent again."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.api.conftest import issues, observation, patient
from tests.api.handling import BASE, LENIENT, OUTCOME, STRICT, a_patient, bundle, entry, flags, right, total, wrong


@pytest.fixture
async def subject(client: httpx.AsyncClient) -> str:
    return await a_patient(client)


async def test_transaction_flags_its_entries_and_stays_atomic(client: httpx.AsyncClient) -> None:
    identity = "urn:uuid:6f0f2c1e-6d0a-4f0e-9d68-0d6f5f6b1a01"
    sent = bundle(
        entry(patient(), fullUrl=identity),
        entry(wrong(identity)),
        entry(right(identity)),
        entry(wrong(identity, id="o"), "PUT", "Observation/o"),
    )
    refused = await client.post("", json=sent)
    assert refused.status_code == 422
    dangling = bundle(*sent["entry"], entry(observation("Patient/nobody")))
    assert (await client.post("", json=dangling, headers=LENIENT)).status_code == 409
    assert (await total(client, "Patient"), await flags(client)) == (0, [])
    answer = await client.post("", json=sent, headers=LENIENT)
    assert answer.status_code == 200
    responses = [one["response"] for one in answer.json()["entry"]]
    assert ["outcome" in one for one in responses] == [False, True, False, True]
    assert {issue["severity"] for issue in responses[1]["outcome"]["issue"]} == {"information", "warning"}
    made = [one["location"].split("/fhir/")[1].split("/_history")[0] for one in responses]
    found = await flags(client)
    assert {flag["implicated"][0]["reference"] for flag in found} == {made[1], made[3]}
    assert {flag["patient"]["reference"] for flag in found} == {made[0]}
    settle = bundle(entry(right(made[0], id="o"), "PUT", "Observation/o"))
    assert (await client.post("", json=settle)).status_code == 200
    assert sorted(flag["status"] for flag in await flags(client)) == ["amended", "final"]


async def test_batch_refuses_or_flags_entry_by_entry(client: httpx.AsyncClient, subject: str) -> None:
    sent = bundle(entry(wrong()), entry(right()), entry(wrong(status="banana")), type_="batch")
    strict = (await client.post("", json=sent)).json()["entry"]
    assert [one["response"]["status"][:3] for one in strict] == ["422", "201", "400"]
    lenient = (await client.post("", json=sent, headers=LENIENT)).json()["entry"]
    assert [one["response"]["status"][:3] for one in lenient] == ["201", "201", "400"]
    assert "outcome" not in lenient[1]["response"]
    (flag,) = await flags(client)
    assert flag["implicated"][0]["reference"] in lenient[0]["response"]["location"]


async def test_batch_entries_about_one_resource_leave_the_flag_that_fits(
    client: httpx.AsyncClient, subject: str
) -> None:
    parts = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "Observation.effective"}]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    for number in range(4):
        await client.put("/Observation/o", json=right(id="o", note=[{"text": str(number)}]))
        changes = [entry(parameters, "PATCH", "Observation/o"), entry(right(id="o"), "PUT", "Observation/o")]
        sent = bundle(*(changes if number % 2 else reversed(changes)), type_="batch")
        assert (await client.post("", json=sent, headers=LENIENT)).status_code == 200
        wrong_now = "effectiveDateTime" not in (await client.get("/Observation/o")).json()
        (flag,) = await flags(client)
        assert (flag["status"] == "final") == wrong_now


async def test_patch_entry_is_flagged_by_what_it_makes(client: httpx.AsyncClient, subject: str) -> None:
    await client.put("/Observation/o", json=right(id="o"))
    parts = [
        {"name": "type", "valueCode": "delete"},
        {"name": "path", "valueString": "Observation.effective"},
    ]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    sent = bundle(entry(parameters, "PATCH", "Observation/o"))
    assert (await client.post("", json=sent)).status_code == 422
    headers = LENIENT | {"idempotency-key": "p"}
    answers = [await client.post("", json=sent, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert "outcome" in answers[0].json()["entry"][0]["response"]
    assert [flag["implicated"] for flag in await flags(client)] == [[{"reference": "Observation/o"}]]


async def test_if_none_exist_that_matches_writes_no_flag(client: httpx.AsyncClient, subject: str) -> None:
    identifier = [{"system": "urn:ietf:rfc:3986", "value": "x"}]
    query = "identifier=urn:ietf:rfc:3986|x"
    await client.put("/Observation/o", json=right(id="o", identifier=identifier))
    sent = wrong(identifier=identifier)
    answer = await client.post("/Observation", json=sent, headers=OUTCOME | {"if-none-exist": query})
    assert answer.status_code == 200
    assert {issue["severity"] for issue in issues(answer)} == {"information"}
    inside = bundle(entry(sent, request={"ifNoneExist": query}))
    response = (await client.post("", json=inside, headers=LENIENT)).json()["entry"][0]["response"]
    assert response["status"].startswith("200")
    assert "outcome" not in response
    assert await flags(client) == []
    other = {"if-none-exist": "identifier=urn:ietf:rfc:3986|y"}
    made = await client.post("/Observation", json=wrong(), headers=LENIENT | other)
    assert made.status_code == 201
    assert len(await flags(client)) == 1


async def test_replay_gives_the_same_answer_however_strictly_it_asks(client: httpx.AsyncClient, subject: str) -> None:
    for path, sent in (("/Observation", wrong()), ("", bundle(entry(wrong()), entry(right())))):
        key = {"idempotency-key": f"k{len(path)}"}
        assert (await client.post(path, json=sent, headers=STRICT | key)).status_code == 422
        first = await client.post(path, json=sent, headers=LENIENT | key)
        assert first.is_success
        for headers in (LENIENT, STRICT, {}):
            again = await client.post(path, json=sent, headers=headers | key)
            assert (again.status_code, again.content) == (first.status_code, first.content)
            assert again.headers["idempotent-replayed"] == "true"
    assert len(await flags(client)) == 2
    assert await total(client) == 3


async def test_message_is_refused_or_flagged(client: httpx.AsyncClient) -> None:
    identity, value = "urn:uuid:11111111-1111-4111-8111-111111111111", "urn:uuid:22222222-2222-4222-8222-222222222222"
    system = "https://hospital.example/lab"
    sent = bundle(
        {
            "fullUrl": "urn:uuid:33333333-3333-4333-8333-333333333333",
            "resource": {
                "resourceType": "MessageHeader",
                "id": "33333333-3333-4333-8333-333333333333",
                "eventCoding": {"system": f"{BASE}/CodeSystem/message-event", "code": "record-update"},
                "source": {"endpoint": "https://hospital.example/laboratory"},
                "focus": [{"reference": value}],
            },
        },
        {"fullUrl": identity, "resource": patient(id="a", identifier=[{"system": system, "value": "p"}])},
        {"fullUrl": value, "resource": wrong(identity, id="b", identifier=[{"system": system, "value": "o"}])},
        type_="message",
    )
    refused = await client.post("/$process-message", json=sent)
    assert refused.status_code == 422
    key = {"idempotency-key": "m"}
    taken = await client.post("/$process-message", json=sent, headers=LENIENT | key)
    assert taken.status_code == 200
    outcome = taken.json()["entry"][1]["resource"]
    warned = [one for one in outcome["issue"] if one["severity"] == "warning"]
    assert {one["expression"][0].split(".resource")[0] for one in warned} == {"Bundle.entry[2]"}
    (flag,) = await flags(client)
    assert any(flag["id"] in one["diagnostics"] for one in outcome["issue"])
    (made,) = (await client.get("/Observation")).json()["entry"]
    assert flag["implicated"] == [{"reference": f"Observation/{made['resource']['id']}"}]
    assert all(one["code"][0]["text"].startswith("Observation") for one in flag["evidence"])
    again = await client.post("/$process-message", json=sent, headers=STRICT | key)
    assert (again.status_code, again.content) == (200, taken.content)
    assert (await client.post("/$process-message", json=sent, headers=LENIENT)).status_code == 200
    assert [one["meta"]["versionId"] for one in await flags(client)] == ["1"]


async def test_concurrent_updates_leave_the_flag_that_fits_the_last(client: httpx.AsyncClient, subject: str) -> None:
    await client.put("/Observation/o", json=right(id="o"))
    sent = [(wrong if number % 2 else right)(id="o", note=[{"text": str(number)}]) for number in range(12)]
    answers = await asyncio.gather(*(client.put("/Observation/o", json=resource, headers=LENIENT) for resource in sent))
    assert {answer.status_code for answer in answers} == {200}
    last = (await client.get("/Observation/o")).json()
    (flag,) = await flags(client)
    assert flag["status"] == ("final" if "effectiveDateTime" not in last else "amended")
