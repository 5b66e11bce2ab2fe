"""Prefer: handling=strict|lenient: what violates only a profile is refused, or stored with a DetectedIssue."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.settings import Settings
from tests.api.conftest import FHIR, issues, observation, patient, rules

BASE = "https://cart-fhir.example/fhir"
LABORATORY = f"{BASE}/StructureDefinition/laboratory-result"
LENIENT, STRICT = {"prefer": "handling=lenient"}, {"prefer": "handling=strict"}
OUTCOME = {"prefer": "handling=lenient, return=OperationOutcome"}
RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}


def wrong(subject: str = "Patient/p", **changes: Any) -> dict[str, Any]:
    """A laboratory result that claims the profile and does not meet it."""
    return observation(subject, meta={"profile": [LABORATORY]}) | changes


def right(subject: str = "Patient/p", **changes: Any) -> dict[str, Any]:
    """One that meets it."""
    category = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}
    quantity = {"value": 12, "unit": "ng/mL", "system": "http://unitsofmeasure.org", "code": "ng/mL"}
    return (
        wrong(
            subject,
            meta={"profile": [LABORATORY], "security": [RESTRICTED]},
            category=[{"coding": [category]}],
            effectiveDateTime="2021-03-04",
            valueQuantity=quantity,
        )
        | changes
    )


def entry(resource: dict[str, Any], method: str = "POST", url: str = "", **changes: Any) -> dict[str, Any]:
    request = {"method": method, "url": url or resource["resourceType"]} | changes.pop("request", {})
    return {"resource": resource, "request": request} | changes


def bundle(*entries: dict[str, Any], type_: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": type_, "entry": list(entries)}


async def flags(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """All flags, each of which must be valid by R4 and by our profile."""
    found = (await client.get("/DetectedIssue")).json().get("entry", [])
    for one in found:
        answer = await client.get(f"/DetectedIssue/{one['resource']['id']}/$validate")
        assert rules(answer) == {"valid"}
    return [one["resource"] for one in found]


async def total(client: httpx.AsyncClient, type_: str = "Observation") -> int:
    return (await client.get(f"/{type_}?_summary=count")).json()["total"]


@pytest.fixture
async def subject(client: httpx.AsyncClient) -> str:
    assert (await client.put("/Patient/p", json=patient(id="p"))).status_code == 201
    return "Patient/p"


async def test_create_is_refused_or_flagged_as_the_client_prefers(client: httpx.AsyncClient, subject: str) -> None:
    for headers in ({}, STRICT, {"prefer": "handling=whatever"}):
        assert (await client.post("/Observation", json=wrong(), headers=headers)).status_code == 422
    assert await flags(client) == []
    made = await client.post("/Observation", json=wrong(), headers=LENIENT)
    assert made.status_code == 201
    (flag,) = await flags(client)
    reference = f"Observation/{made.json()['id']}"
    assert flag["implicated"] == [{"reference": reference}]
    assert flag["patient"] == {"reference": subject}
    assert (flag["status"], flag["code"]["coding"][0]["code"]) == ("final", "profile-violation")
    assert flag["reference"] == LABORATORY
    codes = {one["code"][0]["coding"][0]["code"] for one in flag["evidence"]}
    assert {"cf-effective", "cf-restricted", "slice-required"} <= codes
    assert all(code in flag["detail"] for code in codes)
    assert "Observation.effective" in flag["detail"]
    found = await client.get("/DetectedIssue", params={"implicated": reference})
    assert len(found.json()["entry"]) == 1


async def test_what_violates_r4_is_refused_in_either_case(client: httpx.AsyncClient, subject: str) -> None:
    for headers in (LENIENT, STRICT):
        answer = await client.post("/Observation", json=wrong(status="banana"), headers=headers)
        assert answer.status_code == 400
        assert "binding-required" in rules(answer)
    sent = bundle(entry(wrong()), entry(wrong(status="banana")))
    refused = await client.post("", json=sent, headers=LENIENT)
    assert refused.status_code == 400
    assert {issue["expression"][0].split(".resource")[0] for issue in issues(refused)} == {"Bundle.entry[1]"}
    assert (await total(client), await flags(client)) == (0, [])


async def test_valid_resource_has_no_flag(client: httpx.AsyncClient, subject: str) -> None:
    for sent in (right(), observation(subject)):
        assert (await client.post("/Observation", json=sent, headers=LENIENT)).status_code == 201
    assert (await client.put("/Observation/o", json=right(id="o"), headers=LENIENT)).status_code == 201
    assert await flags(client) == []


async def test_outcome_tells_what_is_wrong_as_warnings(client: httpx.AsyncClient, subject: str) -> None:
    answer = await client.put("/Observation/o", json=wrong(id="o"), headers=OUTCOME)
    assert answer.status_code == 201
    found = issues(answer)
    assert "error" not in {issue["severity"] for issue in found}
    warned = {issue["details"]["coding"][0]["code"] for issue in found if issue["severity"] == "warning"}
    assert "cf-effective" in warned
    (flag,) = await flags(client)
    assert any(f"DetectedIssue/{flag['id']}" in issue["diagnostics"] for issue in found)


async def test_second_update_replaces_the_flag_and_a_valid_one_settles_it(
    client: httpx.AsyncClient, subject: str
) -> None:
    async def put(resource: dict[str, Any]) -> dict[str, Any]:
        answer = await client.put("/Observation/o", json=resource, headers=LENIENT)
        assert answer.status_code in (200, 201)
        (flag,) = await flags(client)
        return flag

    first = await put(wrong(id="o"))
    again = await put(wrong(id="o", note=[{"text": "the same is wrong"}]))
    assert again == first
    less = await put(wrong(id="o", effectiveDateTime="2021-03-04"))
    assert (less["id"], less["meta"]["versionId"]) == (first["id"], "2")
    assert less["identifiedDateTime"] == first["identifiedDateTime"]
    assert len(less["evidence"]) < len(first["evidence"])
    settled = await put(right(id="o"))
    assert (settled["id"], settled["status"]) == (first["id"], "amended")
    assert settled["mitigation"][0]["date"]
    assert await put(right(id="o", note=[{"text": "still right"}])) == settled
    reopened = await put(wrong(id="o"))
    assert (reopened["status"], "mitigation" in reopened) == ("final", False)


async def test_strict_update_settles_a_flag_as_well(client: httpx.AsyncClient, subject: str) -> None:
    made = (await client.post("/Observation", json=wrong(), headers=LENIENT)).json()
    assert (await client.put(f"/Observation/{made['id']}", json=right(id=made["id"]))).status_code == 200
    assert [flag["status"] for flag in await flags(client)] == ["amended"]


async def test_conditional_update_flags_what_it_finds_or_makes(client: httpx.AsyncClient, subject: str) -> None:
    identifier = [{"system": "urn:ietf:rfc:3986", "value": "x"}]
    for status in (201, 200):
        sent = wrong(identifier=identifier, note=[{"text": str(status)}])
        answer = await client.put("/Observation?identifier=urn:ietf:rfc:3986|x", json=sent, headers=LENIENT)
        assert answer.status_code == status
    (flag,) = await flags(client)
    assert flag["implicated"] == [{"reference": f"Observation/{answer.json()['id']}"}]
    assert flag["meta"]["versionId"] == "1"


async def test_patch_is_judged_by_what_it_makes(client: httpx.AsyncClient, subject: str) -> None:
    await client.put("/Observation/o", json=right(id="o"))
    headers = FHIR | {"content-type": "application/json-patch+json"}
    remove = [{"op": "remove", "path": "/effectiveDateTime"}]
    assert (await client.patch("/Observation/o", json=remove, headers=headers)).status_code == 422
    patched = await client.patch("/Observation/o", json=remove, headers=headers | OUTCOME)
    assert patched.status_code == 200
    assert "cf-effective" in {
        issue["details"]["coding"][0]["code"] for issue in issues(patched) if issue["severity"] == "warning"
    }
    (flag,) = await flags(client)
    assert flag["implicated"] == [{"reference": "Observation/o"}]
    add = [{"op": "add", "path": "/effectiveDateTime", "value": "2021-03-04"}]
    assert (await client.patch("/Observation/o", json=add, headers=headers)).status_code == 200
    assert [flag["status"] for flag in await flags(client)] == ["amended"]


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


async def test_deleted_resource_takes_its_flag_along(client: httpx.AsyncClient, subject: str) -> None:
    for number in range(3):
        await client.put(f"/Observation/o{number}", json=wrong(id=f"o{number}"), headers=LENIENT)
    assert len(await flags(client)) == 3
    assert (await client.delete("/Observation/o0")).status_code == 204
    assert (await client.delete("/Observation?_id=o1")).status_code == 204
    sent = bundle({"request": {"method": "DELETE", "url": "Observation/o2"}})
    assert (await client.post("", json=sent)).status_code == 200
    assert await flags(client) == []
    assert (await client.delete("/Patient/p")).status_code == 204


async def test_flag_that_others_refer_to_keeps_its_resource(client: httpx.AsyncClient, subject: str) -> None:
    await client.put("/Observation/o", json=wrong(id="o"), headers=LENIENT)
    (flag,) = await flags(client)
    assert rules(await client.get("/Observation/o/$validate?mode=delete")) == {"valid"}
    task = {"resourceType": "Task", "id": "t", "status": "requested", "intent": "order"}
    task["focus"] = {"reference": f"DetectedIssue/{flag['id']}"}
    assert (await client.put("/Task/t", json=task)).status_code == 201
    refused = await client.delete("/Observation/o")
    assert (refused.status_code, rules(refused)) == (409, {"referenced"})
    assert rules(await client.get("/Observation/o/$validate?mode=delete")) == {"referenced"}
    assert len(await flags(client)) == 1
    assert (await client.delete("/Task/t")).status_code == 204
    assert (await client.delete("/Observation/o")).status_code == 204


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


async def test_meta_add_of_a_profile_follows_the_preference(client: httpx.AsyncClient, subject: str) -> None:
    await client.put("/Observation/o", json=observation(subject, id="o"))
    meta = {"name": "meta", "valueMeta": {"profile": [LABORATORY]}}
    sent = {"resourceType": "Parameters", "parameter": [meta]}
    assert (await client.post("/Observation/o/$meta-add", json=sent)).status_code == 422
    assert (await client.post("/Observation/o/$meta-add", json=sent, headers=LENIENT)).status_code == 200
    assert len(await flags(client)) == 1
    assert (await client.post("/Observation/o/$meta-delete", json=sent)).status_code == 200
    assert [flag["status"] for flag in await flags(client)] == ["amended"]


async def test_concurrent_updates_leave_the_flag_that_fits_the_last(client: httpx.AsyncClient, subject: str) -> None:
    await client.put("/Observation/o", json=right(id="o"))
    sent = [(wrong if number % 2 else right)(id="o", note=[{"text": str(number)}]) for number in range(12)]
    answers = await asyncio.gather(*(client.put("/Observation/o", json=resource, headers=LENIENT) for resource in sent))
    assert {answer.status_code for answer in answers} == {200}
    last = (await client.get("/Observation/o")).json()
    (flag,) = await flags(client)
    assert flag["status"] == ("final" if "effectiveDateTime" not in last else "amended")


async def test_default_is_the_setting(settings: Settings, definitions: Definitions) -> None:
    app = create_app(settings.model_copy(update={"handling": "lenient"}), definitions)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/fhir", headers=FHIR) as client:
            await client.put("/Patient/p", json=patient(id="p"))
            assert (await client.post("/Observation", json=wrong(), headers=STRICT)).status_code == 422
            assert (await client.post("/Observation", json=wrong())).status_code == 201
            assert len(await flags(client)) == 1


async def test_own_code_without_a_claim_is_judged_like_a_claim(client: httpx.AsyncClient, subject: str) -> None:
    concept = {"coding": [{"system": f"{BASE}/CodeSystem/trial-concept", "code": "leukapheresis"}]}
    sent = {"resourceType": "Procedure", "status": "completed", "code": concept, "subject": {"reference": subject}}
    refused = await client.post("/Procedure", json=sent)
    assert refused.status_code == 422
    sources = {issue["extension"][0]["valueString"].partition("|")[0] for issue in issues(refused)}
    assert sources == {f"{BASE}/StructureDefinition/leukapheresis"}
    assert (await client.post("/Procedure", json=sent, headers=LENIENT)).status_code == 201
    (flag,) = await flags(client)
    assert flag["reference"] == f"{BASE}/StructureDefinition/leukapheresis"


async def test_shared_code_is_only_advised(client: httpx.AsyncClient, subject: str) -> None:
    for prefer in ("handling=strict, return=OperationOutcome", "handling=lenient, return=OperationOutcome"):
        answer = await client.post("/Observation", json=observation(subject), headers={"prefer": prefer})
        assert answer.status_code == 201
        assert {issue["severity"] for issue in issues(answer)} == {"information", "warning"}
    assert await flags(client) == []


async def test_flags_are_as_our_profile_says(client: httpx.AsyncClient, definitions: Definitions) -> None:
    sent = patient(id="p", meta={"profile": [f"{BASE}/StructureDefinition/trial-patient"]})
    assert (await client.put("/Patient/p", json=sent, headers=LENIENT)).status_code == 201
    (flag,) = await flags(client)
    assert flag["patient"] == {"reference": "Patient/p"}
    assert Validator(definitions).check(flag) == []
