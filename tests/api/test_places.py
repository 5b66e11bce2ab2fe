"""Errors over HTTP name line and column of the body that was sent."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.api.conftest import issues, observation, patient

XML = {"content-type": "application/fhir+xml"}


def located(answer: httpx.Response) -> dict[str, str]:
    """Expression → location of each issue."""
    return {issue["expression"][0]: issue["location"][0] for issue in issues(answer)}


def text(resource: dict[str, Any]) -> str:
    return json.dumps(resource, indent=1)


def line_of(body: str, part: str) -> str:
    before = body[: body.index(part)]
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


async def test_create_names_the_place_of_every_finding(client: httpx.AsyncClient) -> None:
    body = text(observation("Patient/1", status="banana", valueQuantity={"value": "12"}))
    found = located(await client.post("/Observation", content=body))
    assert found == {
        "Observation.status": line_of(body, '"status"'),
        "Observation.valueQuantity.value": line_of(body, '"value"'),
    }


async def test_create_names_the_place_of_what_the_store_refuses(client: httpx.AsyncClient) -> None:
    body = text(observation("Patient/nobody"))
    answer = await client.post("/Observation", content=body)
    assert answer.status_code == 409
    assert located(answer) == {"Observation.subject.reference": line_of(body, '"reference"')}


async def test_finding_names_the_definition_that_is_violated(client: httpx.AsyncClient) -> None:
    (issue,) = issues(await client.post("/Patient", json=patient(gender="banana")))
    assert issue["extension"] == [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-source",
            "valueString": "http://hl7.org/fhir/StructureDefinition/Patient|4.0.1",
        }
    ]


async def test_transaction_names_the_place_in_the_bundle(client: httpx.AsyncClient) -> None:
    entries = [
        {"resource": patient(), "request": {"method": "POST", "url": "Patient"}},
        {"resource": patient(gender="banana"), "request": {"method": "POST", "url": "Patient"}},
    ]
    for kind in ("transaction", "batch"):
        body = text({"resourceType": "Bundle", "type": kind, "entry": entries})
        answer = await client.post("", content=body)
        outcome = answer.json() if kind == "transaction" else answer.json()["entry"][1]["response"]["outcome"]
        (issue,) = outcome["issue"]
        assert issue["expression"] == ["Bundle.entry[1].resource.gender"]
        assert issue["location"] == [line_of(body, '"gender"')]


async def test_xml_names_the_place_in_the_document(client: httpx.AsyncClient) -> None:
    name = '<name><family value="A"/></name>'
    body = f'<Patient xmlns="http://hl7.org/fhir">\n  {name}\n  <gender value="banana"/></Patient>'
    answer = await client.post("/Patient", content=body, headers=XML)
    assert located(answer) == {"Patient.gender": "line 3, column 3"}


async def test_validate_names_the_place_in_resource_and_in_parameters(client: httpx.AsyncClient) -> None:
    broken = patient(gender="banana")
    wrapped = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": broken}]}
    for sent in (broken, wrapped):
        body = text(sent)
        answer = await client.post("/Patient/$validate", content=body)
        assert located(answer) == {"Patient.gender": line_of(body, '"gender"')}


async def test_patch_names_no_place_of_the_stored_resource(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p", json=patient(id="p"))
    patch = [{"op": "add", "path": "/gender", "value": "banana"}]
    values = {"type": "add", "path": "Patient", "name": "gender"}
    parts = [{"name": name, "valueString": value} for name, value in values.items()]
    operation = {"name": "operation", "part": [*parts, {"name": "value", "valueCode": "banana"}]}
    for media, sent in (
        ("application/json-patch+json", patch),
        ("application/fhir+json", {"resourceType": "Parameters", "parameter": [operation]}),
    ):
        answer = await client.patch("/Patient/p", json=sent, headers={"content-type": media})
        assert [(issue["expression"], issue.get("location")) for issue in issues(answer)] == [
            (["Patient.gender"], None)
        ]
