"""$populate over HTTP: a form filled from the store, valid and with its sources, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.submissions.schedule import obligation_id, plan
from service.submissions.storing import import_forms
from tests.api.conftest import patient, rules
from tests.submissions.records import FORM_URL, RESTRICTED, UNKNOWN, concept, crs, infusion, stored

ONGOING = concept("http://terminology.hl7.org/CodeSystem/adverse-event-outcome", "ongoing")
STORED = "/Questionnaire/cibmtr-4100-r4/$populate"
NAMED = f"/Questionnaire/$populate?canonical={FORM_URL}"
ITEM = "QuestionnaireResponse.item.where(linkId = 'toxicities').item.where(linkId = '77')"


@pytest.fixture
async def treated(application: FastAPI, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A store with the forms and a patient who had an infusion and CRS, whose onset is not recorded."""
    assert await import_forms(application.state.server.database) == 3
    assert await import_forms(application.state.server.database) == 0
    toxic = crs(day=None, meta=RESTRICTED, outcome=ONGOING, _date={"extension": [UNKNOWN]})
    for resource in stored(toxic):
        put = await client.put(f"/{resource['resourceType']}/{resource['id']}", json=resource)
        assert put.status_code == 201, put.text
    return client


def parts(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {part["name"]: part["resource"] for part in answer.json()["parameter"]}


def found(response: dict[str, Any]) -> dict[str, Any]:
    return {item["linkId"]: item for group in response["item"] for item in group["item"]}


async def test_populate_gives_response_and_issues(treated: httpx.AsyncClient, definitions: Definitions) -> None:
    given = parts(await treated.get(f"{STORED}?subject=Patient/p"))
    assert Validator(definitions).check(given["response"]) == []
    items = found(given["response"])
    (answer,) = items["76"]["answer"]
    assert answer["valueCoding"]["display"] == "Yes"
    assert answer["extension"][0]["valueReference"]["reference"] == "AdverseEvent/crs/_history/1"
    assert items["77"]["extension"][0]["valueCoding"]["code"] == "not-recorded"
    assert ITEM in [issue["expression"][0] for issue in given["issues"]["issue"]]


async def test_populate_takes_the_parameters_of_sdc(treated: httpx.AsyncClient) -> None:
    expected = parts(await treated.get(f"{NAMED}&subject=p&infusion=Procedure/infusion"))["response"]
    context = [
        {"name": "name", "valueCoding": {"code": "infusion"}},
        {"name": "content", "valueReference": {"reference": "Procedure/infusion"}},
    ]
    body = [
        {"name": "subject", "valueReference": {"reference": "Patient/p"}},
        {"name": "launchContext", "part": context},
        {"name": "local", "valueBoolean": True},
    ]
    for form in (
        {"name": "questionnaireRef", "valueReference": {"reference": "Questionnaire/cibmtr-4100-r4"}},
        {"name": "canonical", "valueUri": f"{FORM_URL}|0.1.0"},
        {"name": "questionnaire", "resource": (await treated.get("/Questionnaire/cibmtr-4100-r4")).json()},
    ):
        sent = {"resourceType": "Parameters", "parameter": [form, *body]}
        given = parts(await treated.post("/Questionnaire/$populate", json=sent))["response"]
        assert given | {"authored": ""} == expected | {"authored": ""}


async def test_populate_counts_only_the_period(treated: httpx.AsyncClient) -> None:
    given = parts(await treated.get(f"{STORED}?subject=Patient/p&start=2026-01-10&end=2026-05-20"))
    assert "answer" not in found(given["response"])["76"]
    assert given["response"]["extension"][0]["valuePeriod"] == {"start": "2026-01-10", "end": "2026-05-20"}


async def test_populate_does_not_choose_between_infusions(treated: httpx.AsyncClient) -> None:
    second = await treated.put("/Procedure/second", json=infusion("2026-04-02", id="second"))
    assert second.status_code == 201
    codes = [
        issue["details"]["coding"][0]["code"]
        for issue in parts(await treated.get(f"{STORED}?subject=Patient/p"))["issues"]["issue"]
    ]
    assert codes[0] == "infusion-ambiguous"
    items = found(parts(await treated.get(f"{STORED}?subject=Patient/p&infusion=infusion"))["response"])
    assert items["6"]["answer"][0]["valueDate"] == "2026-04-02"


@pytest.mark.parametrize(
    ("address", "status", "rule"),
    [
        (STORED, 400, "required-parameter"),
        (f"{STORED}?subject=Group/p", 400, "invalid-parameter"),
        (f"{STORED}?subject=Patient/p&subject=Patient/p", 400, "parameter-repeated"),
        (f"{STORED}?subject=Patient/nobody", 404, "unknown-resource"),
        (f"{STORED}?subject=Patient/p&infusion=Procedure/none", 404, "unknown-resource"),
        (f"{STORED}?subject=Patient/p&obligation=Task/none", 404, "unknown-resource"),
        (f"{STORED}?subject=Patient/p&start=2026", 400, "invalid-parameter"),
        (f"{STORED}?subject=Patient/p&date=2026-01-01", 400, "unknown-parameter"),
        (f"{STORED}?subject=Patient/p&canonical={FORM_URL}", 400, "required-parameter"),
        ("/Questionnaire/$populate?subject=Patient/p", 400, "required-parameter"),
        ("/Questionnaire/none/$populate?subject=Patient/p", 404, "unknown-resource"),
        (f"{NAMED}|9&subject=Patient/p", 422, "form-unknown"),
        ("/Questionnaire/$populate?canonical=urn:x&subject=Patient/p", 422, "form-unknown"),
    ],
)
async def test_populate_refuses(treated: httpx.AsyncClient, address: str, status: int, rule: str) -> None:
    answer = await treated.get(address)
    assert (answer.status_code, rules(answer)) == (status, {rule})


async def test_populate_runs_no_expression_of_others(treated: httpx.AsyncClient) -> None:
    edited = (await treated.get("/Questionnaire/cibmtr-4100-r4")).json()
    edited["item"][0]["item"][0]["text"] = "Another question"
    assert (await treated.put("/Questionnaire/cibmtr-4100-r4", json=edited)).status_code == 200
    answer = await treated.get(f"{STORED}?subject=Patient/p")
    assert (answer.status_code, rules(answer)) == (422, {"form-unknown"})


async def test_populate_tells_of_doubts_that_are_in_no_record(treated: httpx.AsyncClient) -> None:
    doubt = {
        "resourceType": "DetectedIssue",
        "meta": RESTRICTED,
        "status": "final",
        "severity": "moderate",
        "code": concept("https://cart-fhir.example/fhir/CodeSystem/quality-issue", "contradiction"),
        "implicated": [{"reference": "AdverseEvent/crs"}],
        "detail": "Two passages contradict each other",
    }
    assert (await treated.post("/DetectedIssue", json=doubt)).status_code == 201
    told = parts(await treated.get(f"{STORED}?subject=Patient/p"))["issues"]["issue"]
    codes = [(one["details"]["coding"][0]["code"], one["expression"][0][-6:]) for one in told if "expression" in one]
    assert ("source-in-doubt", " '76')") in codes


async def test_populate_takes_infusion_and_period_of_the_obligation(
    application: FastAPI, treated: httpx.AsyncClient
) -> None:
    database = application.state.server.database
    owed = await plan(database, datetime(2026, 5, 1, tzinfo=UTC))
    assert owed is not None
    await database.write(owed)
    id_ = obligation_id("Patient/p", "4100", "month-6")
    given = parts(await treated.get(f"{STORED}?subject=Patient/p&obligation=Task/{id_}"))
    assert given["response"]["extension"][0]["valuePeriod"] == {"start": "2026-04-20", "end": "2026-08-23"}
    finished = given["response"] | {"status": "completed"}
    contact = {"linkId": "2", "answer": [{"valueDate": "2026-05-02"}]}
    finished["item"] = [{"linkId": "survival", "item": [contact]}]
    assert (await treated.post("/QuestionnaireResponse", json=finished)).status_code == 201
    given = parts(await treated.get(f"{STORED}?subject=Patient/p&obligation=Task/{id_}"))
    assert given["response"]["extension"][0]["valuePeriod"] == {"start": "2026-05-02", "end": "2026-08-23"}
    other = await treated.put("/Patient/q", json=patient(id="q"))
    assert other.status_code == 201
    answer = await treated.get(f"{STORED}?subject=Patient/q&obligation=Task/{id_}")
    assert (answer.status_code, rules(answer)) == (400, {"invalid-parameter"})


async def test_populate_needs_no_form_in_the_store(client: httpx.AsyncClient) -> None:
    assert (await client.put("/Patient/p", json=patient(id="p"))).status_code == 201
    assert parts(await client.get(f"{STORED}?subject=Patient/p"))["response"]["status"] == "in-progress"
