"""PATCH by id, by criteria and in bundles: JSON Patch and FHIRPath Patch."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from typing import Any

import httpx
import pytest

from tests.api.conftest import issues, observation, patient, rules

JSON_PATCH = {"content-type": "application/json-patch+json"}
SYSTEM = "urn:ietf:rfc:3986"


def parameters(*operations: dict[str, Any]) -> dict[str, Any]:
    """A FHIRPath Patch; the parts of an operation are given as name → part."""
    entries = [
        {"name": "operation", "part": [{"name": name} | said for name, said in one.items()]} for one in operations
    ]
    return {"resourceType": "Parameters", "parameter": entries}


def add(name: str, **value: Any) -> dict[str, Any]:
    """Adds an element to a Patient."""
    return {
        "type": {"valueCode": "add"},
        "path": {"valueString": "Patient"},
        "name": {"valueString": name},
        "value": value,
    }


async def json_patch(client: httpx.AsyncClient, address: str, *steps: Any, **headers: str) -> httpx.Response:
    content = json.dumps(steps).encode()
    return await client.patch(address, content=content, headers=JSON_PATCH | headers)


def binary(*steps: Any) -> dict[str, Any]:
    data = b64encode(json.dumps(steps).encode()).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(url: str, resource: dict[str, Any], **request: Any) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": "PATCH", "url": url} | request}


GENDER = {"op": "add", "path": "/gender", "value": "female"}


async def test_json_patch_makes_a_version_that_search_finds(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    answer = await json_patch(client, "/Patient/p1", GENDER)
    assert answer.status_code == 200
    assert answer.headers["etag"] == 'W/"2"'
    assert answer.headers["location"] == "http://test/fhir/Patient/p1/_history/2"
    assert answer.json()["gender"] == "female"
    assert answer.json()["meta"]["versionId"] == "2"
    found = (await client.get("/Patient?gender=female")).json()["entry"]
    assert [one["resource"]["id"] for one in found] == ["p1"]
    history = (await client.get("/Patient/p1/_history")).json()["entry"]
    assert [one["request"]["method"] for one in history] == ["PATCH", "PUT"]


async def test_fhirpath_patch_changes_what_the_path_names(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1", gender="male"))
    replace = {
        "type": {"valueCode": "replace"},
        "path": {"valueString": "Patient.identifier.where(value='a').value"},
        "value": {"valueString": "b"},
    }
    answer = await client.patch("/Patient/p1", json=parameters(replace, add("active", valueBoolean=True)))
    assert answer.status_code == 200
    assert answer.json()["identifier"] == [{"system": SYSTEM, "value": "b"}]
    assert answer.json()["active"] is True
    assert "entry" not in (await client.get(f"/Patient?identifier={SYSTEM}|a")).json()


async def test_patch_keeps_every_digit(client: httpx.AsyncClient) -> None:
    sent = (
        b'{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"ferritin"},'
        b'"valueQuantity":{"value":1.00,"unit":"ng/mL"},"component":[{"code":{"text":"a"},"valueQuantity":{"value":1e2}}]}'
    )
    await client.put("/Observation/o1", content=sent)
    step = b'[{"op":"add","path":"/component/-","value":{"code":{"text":"b"},"valueQuantity":{"value":2.50}}}]'
    answer = await client.patch("/Observation/o1", content=step, headers=JSON_PATCH)
    assert [f'"value":{number}' in answer.text for number in ("1.00", "1e2", "2.50")] == [True] * 3


async def test_patch_that_changes_nothing_makes_no_version(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1", gender="female"))
    assert (await json_patch(client, "/Patient/p1", GENDER)).headers["etag"] == 'W/"1"'
    outcome = await json_patch(client, "/Patient/p1", GENDER, prefer="return=OperationOutcome")
    assert rules(outcome) == {"unchanged"}
    minimal = await json_patch(client, "/Patient/p1", GENDER, prefer="return=minimal")
    assert (minimal.status_code, minimal.content) == (200, b"")


async def test_failed_test_is_unprocessable_and_changes_nothing(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1", gender="male"))
    answer = await json_patch(client, "/Patient/p1", {"op": "test", "path": "/gender", "value": "other"}, GENDER)
    assert answer.status_code == 422
    assert rules(answer) == {"patch-test-failed"}
    assert "Operation 0" in issues(answer)[0]["diagnostics"]
    assert (await client.get("/Patient/p1")).headers["etag"] == 'W/"1"'


@pytest.mark.parametrize(
    ("steps", "status", "expression"),
    [
        ([{"op": "add", "path": "/gender", "value": "banana"}], 400, "Patient.gender"),
        ([{"op": "add", "path": "/shoeSize", "value": 42}], 400, "Patient.shoeSize"),
        ([{"op": "add", "path": "/managingOrganization", "value": {"reference": "Organization/nobody"}}], 409, None),
        ([{"op": "replace", "path": "/id", "value": "p2"}], 422, None),
        ([{"op": "remove", "path": "/gender"}], 422, None),
        ([{"op": "jump", "path": "/gender"}], 400, None),
        ({"op": "add"}, 400, None),
        ([{"op": "replace", "path": "/meta", "value": []}], 400, "Patient.meta"),
    ],
)
async def test_patch_to_something_invalid_is_refused(
    client: httpx.AsyncClient, steps: Any, status: int, expression: str | None
) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    answer = await client.patch("/Patient/p1", content=json.dumps(steps).encode(), headers=JSON_PATCH)
    assert answer.status_code == status, answer.text
    assert expression is None or issues(answer)[0]["expression"] == [expression]
    assert (await client.get("/Patient/p1")).headers["etag"] == 'W/"1"'


async def test_patch_of_an_unknown_or_deleted_resource(client: httpx.AsyncClient) -> None:
    assert (await json_patch(client, "/Patient/nobody", GENDER)).status_code == 404
    await client.put("/Patient/p1", json=patient(id="p1"))
    await client.delete("/Patient/p1")
    gone = await json_patch(client, "/Patient/p1", GENDER)
    assert (gone.status_code, gone.headers["etag"]) == (410, 'W/"2"')


@pytest.mark.parametrize(
    "media", ["text/plain", "application/merge-patch+json", "", "application/fhir+json; fhirVersion=5.0"]
)
async def test_patch_of_another_media_type_is_refused(client: httpx.AsyncClient, media: str) -> None:
    answer = await client.patch("/Patient/p1", content=b"[]", headers={"content-type": media})
    assert answer.status_code == 415
    assert answer.headers["accept-patch"] == "application/fhir+json, application/fhir+xml, application/json-patch+json"


async def test_fhirpath_patch_that_is_no_patch_is_refused_at_its_place(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    unsupported = {"type": {"valueCode": "delete"}, "path": {"valueString": "Patient.name.resolve()"}}
    answer = await client.patch("/Patient/p1", json=parameters(add("active", valueBoolean=True), unsupported))
    assert answer.status_code == 400
    assert issues(answer)[0]["code"] == "not-supported"
    assert issues(answer)[0]["expression"] == ["Parameters.parameter[1]"]
    assert "Patient.name.resolve()" in issues(answer)[0]["diagnostics"]
    assert (await client.patch("/Patient/p1", json=patient())).status_code == 400


async def test_patch_race_with_one_etag_has_one_winner(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    steps = [{"op": "add", "path": "/language", "value": "x-{n}"}]
    answers = await asyncio.gather(
        *(json_patch(client, "/Patient/p1", steps[0] | {"value": f"x-{n}"}, **{"if-match": 'W/"1"'}) for n in range(10))
    )
    assert sorted(one.status_code for one in answers) == [200] + [412] * 9
    assert {one.headers["etag"] for one in answers} == {'W/"2"'}


async def test_patches_at_once_all_count(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    answers = await asyncio.gather(
        *(
            json_patch(client, "/Patient/p1", {"op": "add", "path": "/identifier/-", "value": {"value": f"n{n}"}})
            for n in range(20)
        )
    )
    assert {one.status_code for one in answers} == {200}
    stored = (await client.get("/Patient/p1")).json()
    assert stored["meta"]["versionId"] == "21"
    assert {one["value"] for one in stored["identifier"]} == {"a", *(f"n{n}" for n in range(20))}


async def test_conditional_patch_needs_exactly_one_match(client: httpx.AsyncClient) -> None:
    address = f"/Patient?identifier={SYSTEM}|a"
    assert (await json_patch(client, address, GENDER)).status_code == 404
    await client.put("/Patient/p1", json=patient(id="p1"))
    one = await json_patch(client, address, GENDER)
    assert (one.status_code, one.json()["id"], one.json()["gender"]) == (200, "p1", "female")
    stale = await json_patch(client, address, {"op": "remove", "path": "/gender"}, **{"if-match": 'W/"1"'})
    assert stale.status_code == 412
    await client.put("/Patient/p2", json=patient(id="p2"))
    many = await json_patch(client, address, GENDER)
    assert (many.status_code, rules(many)) == (412, {"multiple-matches"})
    assert (await json_patch(client, "/Patient", GENDER)).status_code == 412


async def test_transaction_patches_by_both_formats_and_links(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    await client.put("/Observation/o1", json=observation("Patient/p1", id="o1"))
    hospital = {
        "fullUrl": "urn:uuid:0b7e4c52-8a3e-4d0c-9a4e-5d8f1c2b3a40",
        "resource": {"resourceType": "Organization", "name": "a hospital"},
        "request": {"method": "POST", "url": "Organization"},
    }
    manage = add("managingOrganization", valueReference={"reference": hospital["fullUrl"]})
    amend = entry("Observation/o1", binary({"op": "replace", "path": "/status", "value": "amended"}), ifMatch='W/"1"')
    by_condition = entry(f"Patient?identifier={SYSTEM}|a", parameters(manage))
    answer = await client.post("", json=bundle("transaction", by_condition, amend, hospital))
    assert answer.status_code == 200, answer.text
    statuses = [one["response"]["status"] for one in answer.json()["entry"]]
    assert statuses == ["200 OK", "200 OK", "201 Created"]
    place = answer.json()["entry"][2]["response"]["location"].split("/fhir/")[1].split("/_history")[0]
    assert (await client.get("/Patient/p1")).json()["managingOrganization"] == {"reference": place}
    assert (await client.get("/Observation/o1")).json()["status"] == "amended"


async def test_transaction_with_a_patch_that_fails_changes_nothing(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    create = {"resource": patient(), "request": {"method": "POST", "url": "Patient"}}
    invalid = entry("Patient/p1", binary({"op": "add", "path": "/gender", "value": "banana"}))
    answer = await client.post("", json=bundle("transaction", create, invalid))
    assert answer.status_code == 400
    assert issues(answer)[0]["expression"] == ["Bundle.entry[1].resource"]
    assert "Patient.gender" in issues(answer)[0]["diagnostics"]
    failing = entry("Patient/p1", binary({"op": "test", "path": "/gender", "value": "male"}))
    assert (await client.post("", json=bundle("transaction", create, failing))).status_code == 422
    nowhere = parameters(
        {"type": {"valueCode": "replace"}, "path": {"valueString": "Patient.photo"}, "value": {"valueString": "x"}}
    )
    answer = await client.post("", json=bundle("transaction", create, entry("Patient/p1", nowhere)))
    assert issues(answer)[0]["expression"] == ["Bundle.entry[1].resource.parameter[0]"]
    assert (await client.get("/_history?_count=0")).json()["total"] == 1


async def test_transaction_with_two_changes_of_one_resource_is_refused(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    others = [
        entry("Patient/p1", binary(GENDER)),
        {"request": {"method": "DELETE", "url": "Patient/p1"}},
        {"resource": patient(id="p1"), "request": {"method": "PUT", "url": "Patient/p1"}},
    ]
    for other in others:
        answer = await client.post("", json=bundle("transaction", entry("Patient/p1", binary(GENDER)), other))
        assert (answer.status_code, rules(answer)) == (400, {"identity-overlap"})


BROKEN = [
    ({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "x"}, "Binary data"),
    ({"resourceType": "Binary", "contentType": "application/json", "data": "W10="}, "another contentType"),
    ({"resourceType": "Patient"}, "another resource"),
    ({"resourceType": "Parameters"}, "no operation"),
]


@pytest.mark.parametrize(("resource", "what"), BROKEN, ids=[what for _, what in BROKEN])
async def test_batch_entry_without_a_patch_fails_alone(
    client: httpx.AsyncClient, resource: dict[str, Any], what: str
) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    good = entry("Patient/p1", binary(GENDER))
    answer = (await client.post("", json=bundle("batch", entry("Patient/p1", resource), good))).json()["entry"]
    assert [one["response"]["status"][:3] for one in answer] == ["400", "200"]
    for issue in answer[0]["response"]["outcome"]["issue"]:
        assert issue["expression"][0].startswith("Bundle.entry[0].resource")


async def test_batch_patch_of_nothing_is_not_found(client: httpx.AsyncClient) -> None:
    batch = bundle("batch", entry("Patient/nobody", binary(GENDER)), entry("Patient?active=true", binary(GENDER)))
    answer = (await client.post("", json=batch)).json()["entry"]
    assert [one["response"]["status"][:3] for one in answer] == ["404", "404"]


async def test_capability_statement_offers_patch(client: httpx.AsyncClient) -> None:
    statement = (await client.get("/metadata")).json()
    assert statement["patchFormat"] == ["application/fhir+json", "application/fhir+xml", "application/json-patch+json"]
    for resource in statement["rest"][0]["resource"]:
        assert {"code": "patch"} in resource["interaction"]


async def test_write_of_a_subset_is_refused(client: httpx.AsyncClient) -> None:
    tag = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
    await client.put("/Patient/p1", json=patient(id="p1"))
    subset = patient(id="p1", meta={"tag": [tag]})
    put = await client.put("/Patient/p1", json=subset)
    assert (put.status_code, rules(put)) == (422, {"subsetted"})
    assert issues(put)[0]["expression"] == ["Patient.meta.tag"]
    request = {"method": "PUT", "url": "Patient/p1"}
    sent = await client.post("", json=bundle("transaction", {"resource": subset, "request": request}))
    assert (sent.status_code, issues(sent)[0]["expression"]) == (422, ["Bundle.entry[0].resource.meta.tag"])
    patched = await json_patch(client, "/Patient/p1", {"op": "add", "path": "/meta/tag", "value": [tag]})
    assert (patched.status_code, rules(patched)) == (422, {"subsetted"})
