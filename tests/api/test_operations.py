"""$validate, $meta, $meta-add, $meta-delete, and what is said of operations that there are not."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.api.conftest import issues, observation, patient, rules

REVIEWED = {"system": "https://hospital.example/tags", "code": "reviewed"}
RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
LABORATORY = "https://cart-fhir.example/fhir/StructureDefinition/laboratory-result"


def parameters(**values: Any) -> dict[str, Any]:
    """A Parameters resource; `resource` goes in as such, others by the FHIR type in front: mode=("Code", "create")."""
    parts = [
        {"name": name, "resource": value} if name == "resource" else {"name": name, f"value{value[0]}": value[1]}
        for name, value in values.items()
    ]
    return {"resourceType": "Parameters", "parameter": parts}


async def total(client: httpx.AsyncClient) -> int:
    return (await client.get("/_history")).json()["total"]


def uncoded(subject: str, **changes: Any) -> dict[str, Any]:
    """An observation whose code chooses no profile."""
    return observation(subject, code={"text": "Ferritin"}) | changes


async def test_validate_of_a_good_resource_finds_no_error(client: httpx.AsyncClient) -> None:
    for sent in (patient(), parameters(resource=patient())):
        answer = await client.post("/Patient/$validate", json=sent)
        assert answer.status_code == 200
        assert [issue["severity"] for issue in issues(answer)] == ["information"]
    assert await total(client) == 0


async def test_validate_of_a_broken_resource_is_a_200_with_every_finding(client: httpx.AsyncClient) -> None:
    broken = observation("Patient/p", status="banana", valueQuantity={"value": "12"})
    for sent in (broken, parameters(resource=broken, mode=("Code", "create"))):
        answer = await client.post("/Observation/$validate", json=sent)
        assert answer.status_code == 200
        places = {issue["expression"][0] for issue in issues(answer) if issue["severity"] == "error"}
        assert places == {"Observation.status", "Observation.valueQuantity.value"}


async def test_validate_checks_the_profile_that_is_asked_for(client: httpx.AsyncClient) -> None:
    plain = await client.post("/Observation/$validate", json=uncoded("Patient/p"))
    assert {issue["severity"] for issue in issues(plain)} == {"information"}
    by_body = parameters(resource=observation("Patient/p"), profile=("Uri", LABORATORY))
    by_url = f"/Observation/$validate?profile={LABORATORY}"
    for answer in (
        await client.post("/Observation/$validate", json=by_body),
        await client.post(by_url, json=observation("Patient/p")),
    ):
        assert answer.status_code == 200
        assert "error" in {issue["severity"] for issue in issues(answer)}


async def test_validate_with_a_mode_asks_the_store_and_writes_nothing(client: httpx.AsyncClient) -> None:
    dangling = parameters(resource=uncoded("Patient/p1"), mode=("Code", "create"))
    assert rules(await client.post("/Observation/$validate", json=dangling)) == {"unresolved-reference"}
    assert (await client.put("/Patient/p1", json=patient(id="p1"))).status_code == 201
    assert rules(await client.post("/Observation/$validate", json=dangling)) == {"valid"}
    update = "/Observation/o1/$validate?mode=update"
    assert rules(await client.post(update, json=uncoded("Patient/p1"))) == {"id-missing"}
    assert rules(await client.post(update, json=uncoded("Patient/p1", id="o2"))) == {"id-mismatch"}
    assert rules(await client.post(update, json=uncoded("Patient/p1", id="o1"))) == {"valid"}
    assert await total(client) == 1


async def test_validate_of_a_delete_names_what_keeps_it(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    assert rules(await client.get("/Patient/p1/$validate?mode=delete")) == {"valid"}
    await client.put("/Observation/o1", json=observation("Patient/p1", id="o1"))
    answer = await client.post("/Patient/p1/$validate", json=parameters(mode=("Code", "delete")))
    assert (answer.status_code, rules(answer)) == (200, {"referenced"})
    assert (await client.get("/Patient/p1")).status_code == 200
    assert (await client.post("/Patient/$validate?mode=delete")).status_code == 400


async def test_validate_of_what_is_stored(client: httpx.AsyncClient) -> None:
    await client.put("/Observation/o1", json=uncoded("https://elsewhere.example/Patient/1", id="o1"))
    assert rules(await client.get("/Observation/o1/$validate")) == {"valid"}
    answer = await client.get(f"/Observation/o1/$validate?profile={LABORATORY}")
    assert "error" in {issue["severity"] for issue in issues(answer)}
    assert (await client.get("/Observation/nobody/$validate")).status_code == 404


@pytest.mark.parametrize(
    "path,sent",
    [
        ("/Patient/$validate", observation("Patient/p")),
        ("/Patient/$validate", parameters(mode=("Code", "create"))),
        ("/Patient/$validate", parameters(resource=patient(), mode=("Code", "banana"))),
        ("/Patient/$validate", parameters(resource=patient(), mode=("Code", "profile"))),
        ("/Patient/$validate", parameters(resource=patient(), banana=("Code", "x"))),
        ("/Patient/$validate", {"resourceType": "Parameters", "parameter": {}}),
        ("/Patient/$validate", {"resourceType": "Parameters", "parameter": [3]}),
        ("/Patient/$validate", {"resourceType": "Parameters", "parameter": [{"valueCode": "x"}]}),
        ("/Patient/p1/$meta-add", parameters()),
        ("/Patient/p1/$meta-add", parameters(meta=("String", "x"))),
        ("/Patient/p1/$meta-add", parameters(meta=("Meta", {"versionId": "3"}))),
        ("/Patient/p1/$meta-add", parameters(meta=("Meta", {"tag": "x"}))),
    ],
)
async def test_operation_with_wrong_parameters_is_refused(
    client: httpx.AsyncClient, path: str, sent: dict[str, Any]
) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    answer = await client.post(path, json=sent)
    assert answer.status_code == 400
    assert issues(answer)


async def test_meta_is_added_and_taken_away(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1", meta={"security": [RESTRICTED]}))
    add = parameters(meta=("Meta", {"tag": [REVIEWED], "security": [RESTRICTED | {"display": "restricted"}]}))
    for _ in range(2):  # the second time there is nothing new
        answer = await client.post("/Patient/p1/$meta-add", json=add)
        assert answer.status_code == 200
        assert answer.headers["etag"] == 'W/"2"'
        made = answer.json()["parameter"][0]["valueMeta"]
        assert (made["tag"], made["security"]) == ([REVIEWED], [RESTRICTED])
    assert (await client.get("/Patient/p1/$meta")).json() == answer.json()
    found = await client.get("/Patient", params={"_tag": f"{REVIEWED['system']}|reviewed"})
    assert len(found.json()["entry"]) == 1
    gone = await client.post("/Patient/p1/$meta-delete", json=parameters(meta=("Meta", {"tag": [REVIEWED]})))
    assert "tag" not in gone.json()["parameter"][0]["valueMeta"]
    assert (await client.get("/Patient/p1")).json()["meta"]["security"] == [RESTRICTED]
    assert gone.headers["etag"] == 'W/"3"'


async def test_meta_keeps_every_digit_of_the_resource(client: httpx.AsyncClient) -> None:
    sent = (
        b'{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"L"},"valueQuantity":{"value":1.00}}'
    )
    assert (await client.put("/Observation/o1", content=sent)).status_code == 201
    await client.post("/Observation/o1/$meta-add", json=parameters(meta=("Meta", {"tag": [REVIEWED]})))
    assert b'"value":1.00}' in (await client.get("/Observation/o1")).content


async def test_meta_add_at_once_loses_no_tag(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    tags = [REVIEWED | {"code": f"t{number}"} for number in range(6)]
    answers = await asyncio.gather(
        *(client.post("/Patient/p1/$meta-add", json=parameters(meta=("Meta", {"tag": [tag]}))) for tag in tags)
    )
    assert {answer.status_code for answer in answers} == {200}
    assert {tag["code"] for tag in (await client.get("/Patient/p1")).json()["meta"]["tag"]} == {t["code"] for t in tags}


async def test_meta_add_of_a_profile_that_does_not_hold_is_refused(client: httpx.AsyncClient) -> None:
    await client.put("/Observation/o1", json=observation("https://elsewhere.example/Patient/1", id="o1"))
    answer = await client.post("/Observation/o1/$meta-add", json=parameters(meta=("Meta", {"profile": [LABORATORY]})))
    assert answer.status_code == 422
    assert (await client.get("/Observation/o1")).headers["etag"] == 'W/"1"'


async def test_meta_add_with_a_key_is_replayed_after_the_resource_is_gone(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    sent, key = parameters(meta=("Meta", {"tag": [REVIEWED]})), {"idempotency-key": "k1"}
    first = await client.post("/Patient/p1/$meta-add", json=sent, headers=key)
    await client.delete("/Patient/p1")
    again = await client.post("/Patient/p1/$meta-add", json=sent, headers=key)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert (await client.post("/Patient/p1/$meta-add", json=sent)).status_code == 410


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path,named",
    [
        ("/Patient/$banana", "Patient/$validate"),
        ("/Patient/p1/$export-everything", "Patient/[id]/$everything"),
        ("/Observation/$stats", "Observation/$lastn"),
        ("/Observation/o1/$everything", "Observation/[id]/$meta-add"),
        ("/$banana", None),
    ],
)
async def test_unknown_operation_names_those_that_there_are(
    client: httpx.AsyncClient, method: str, path: str, named: str | None
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == 404
    assert rules(answer) == {"unknown-operation"}
    (issue,) = issues(answer)
    assert issue["code"] == "not-supported"
    assert named is None or named in issue["diagnostics"]


async def test_operation_by_another_method_names_the_right_one(client: httpx.AsyncClient) -> None:
    answer = await client.get("/Patient/p1/$meta-add")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_capability_statement_lists_the_operations(client: httpx.AsyncClient) -> None:
    rest = (await client.get("/metadata")).json()["rest"][0]
    of = {one["type"]: {found["name"] for found in one["operation"]} for one in rest["resource"]}
    common = {"validate", "meta", "meta-add", "meta-delete"}
    assert of["Condition"] == common
    assert of["Patient"] == common | {"everything"}
    assert of["Observation"] == common | {"lastn"}
