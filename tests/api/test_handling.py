"""Prefer: handling=strict|lenient: what violates only a profile is refused, or stored with a DetectedIssue."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.app import create_app
from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.settings import Settings
from tests.api.conftest import FHIR, issues, observation, patient, rules
from tests.api.handling import (
    BASE,
    LABORATORY,
    LENIENT,
    OUTCOME,
    STRICT,
    a_patient,
    bundle,
    entry,
    flags,
    right,
    total,
    wrong,
)


@pytest.fixture
async def subject(client: httpx.AsyncClient) -> str:
    return await a_patient(client)


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


async def test_meta_add_of_a_profile_follows_the_preference(client: httpx.AsyncClient, subject: str) -> None:
    await client.put("/Observation/o", json=observation(subject, id="o"))
    meta = {"name": "meta", "valueMeta": {"profile": [LABORATORY]}}
    sent = {"resourceType": "Parameters", "parameter": [meta]}
    assert (await client.post("/Observation/o/$meta-add", json=sent)).status_code == 422
    assert (await client.post("/Observation/o/$meta-add", json=sent, headers=LENIENT)).status_code == 200
    assert len(await flags(client)) == 1
    assert (await client.post("/Observation/o/$meta-delete", json=sent)).status_code == 200
    assert [flag["status"] for flag in await flags(client)] == ["amended"]


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
