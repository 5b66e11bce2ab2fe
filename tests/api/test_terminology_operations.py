"""The terminology service over HTTP: full answers, and a reason by name wherever there is none."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from terminology_client import Service, checked, codes, issues

HL7 = "http://hl7.org/fhir/ValueSet"
OWN = "https://cart-fhir.example/fhir"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
UCUM = "http://unitsofmeasure.org"
TERMS = "https://hospital.example/terms"

# Nothing here touches the store, so one kind of it is enough; stored resources are in test_terminology_stored.py.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def service(client: httpx.AsyncClient, application: FastAPI) -> Service:
    return Service(client, application.state.server.validator)


async def test_expand_tells_everything_that_shaped_it(client: httpx.AsyncClient, service: Service) -> None:
    query = f"url={HL7}/observation-status|4.0.1&count=2&offset=1&displayLanguage=tr&activeOnly=true"
    resource = checked(service.validator, await client.get(f"/ValueSet/$expand?{query}"))
    assert (resource["url"], resource["version"], resource["status"]) == (
        f"{HL7}/observation-status",
        "4.0.1",
        "active",
    )
    assert "compose" not in resource
    expansion = resource["expansion"]
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", expansion["identifier"])
    assert expansion["timestamp"].endswith("+00:00")
    assert (expansion["total"], expansion["offset"], len(expansion["contains"])) == (8, 1, 2)
    told = {one["name"]: value for one in expansion["parameter"] for key, value in one.items() if key != "name"}
    assert told == {
        "offset": 1,
        "count": 2,
        "activeOnly": True,
        "displayLanguage": "tr",
        "version": "http://hl7.org/fhir/observation-status|4.0.1",
    }
    assert expansion["contains"][0] == {
        "system": "http://hl7.org/fhir/observation-status",
        "version": "4.0.1",
        "code": "preliminary",
        "display": "Preliminary",
    }


async def test_expand_pages_put_together_equal_the_whole(service: Service) -> None:
    url = "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode"
    whole = await service.expand(url=url)
    paged: list[dict[str, Any]] = []
    while True:
        page = await service.expand(url=url, offset=str(len(paged)), count="4")
        assert page["total"] == whole["total"]
        if not page.get("contains"):
            break
        paged += page["contains"]
    assert paged == whole["contains"]
    assert whole["total"] == len(whole["contains"])
    size = await service.expand(url=url, count="0")
    assert (size["total"], "contains" in size) == (whole["total"], False)


async def test_expand_nested_has_the_hierarchy(service: Service) -> None:
    url = f"{HL7}/condition-clinical"
    flat = await service.expand(url=url)
    nested = await service.expand(url=url, excludeNested="false", count="1")
    assert sorted(codes(nested)) == sorted(codes(flat))
    tops = {one["code"]: codes(one) for one in nested["contains"]}
    assert tops == {"active": ["recurrence", "relapse"], "inactive": ["remission", "resolved"]}
    assert all("contains" not in one for one in flat["contains"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("rel", ["relapse"]),
        ("RELAPSE", ["relapse"]),
        ("lapse", []),
        ("re", ["recurrence", "relapse", "remission", "resolved"]),
    ],
)
async def test_expand_filter_is_by_the_beginnings_of_words(service: Service, text: str, found: list[str]) -> None:
    assert codes(await service.expand(url=f"{HL7}/condition-clinical", filter=text)) == found


async def test_expand_designations_and_languages(service: Service) -> None:
    url = "http://terminology.hl7.org/ValueSet/v2-0001"
    plain = await service.expand(url=url)
    assert all("designation" not in one for one in plain["contains"])
    named = await service.expand(url=url, includeDesignations="true")
    female = next(one for one in named["contains"] if one["code"] == "F")
    languages = {one["language"] for one in female["designation"]}
    assert {"de", "nl"} <= languages
    german = await service.expand(url=url, designation="de")
    chosen = next(one for one in german["contains"] if one["code"] == "F")["designation"]
    assert {one["language"] for one in chosen} == {"de"}
    shown = await service.expand(url=url, displayLanguage="de")
    assert next(one for one in shown["contains"] if one["code"] == "F")["display"] == chosen[0]["value"]


async def test_expand_leaves_out_what_is_not_wanted(service: Service) -> None:
    table = "http://terminology.hl7.org/ValueSet/v3-ActCode"
    everything = await service.expand(url=table)
    shown = {one["code"]: one for one in everything["contains"]}
    inactive = {code for code, one in shown.items() if one.get("inactive")}
    abstract = {code for code, one in shown.items() if one.get("abstract")}
    assert inactive
    assert abstract
    active = await service.expand(url=table, activeOnly="true", excludeNotForUI="true")
    assert set(codes(active)) == shown.keys() - inactive - abstract
    assert codes(await service.expand(url=table, exclude_system=ACT)) == []


async def test_expand_a_value_set_that_was_sent(client: httpx.AsyncClient, service: Service) -> None:
    compose = {"include": [{"system": CLINICAL, "filter": [{"property": "concept", "op": "is-a", "value": "active"}]}]}
    sent = {"resourceType": "ValueSet", "status": "draft", "compose": compose}
    part = {"name": "valueSet", "resource": sent}
    body = {"resourceType": "Parameters", "parameter": [part, {"name": "includeDefinition", "valueBoolean": True}]}
    resource = checked(service.validator, await client.post("/ValueSet/$expand", json=body))
    assert resource["compose"] == compose
    assert codes(resource["expansion"]) == ["active", "recurrence", "relapse"]
    bare = checked(service.validator, await client.post("/ValueSet/$expand?count=1", json=sent))
    assert codes(bare["expansion"]) == ["active"]
    assert (await service.refused("/ValueSet/$expand", part, {"name": "url", "valueUri": HL7}))[0] == 400


async def test_expand_definition_of_a_shipped_value_set(client: httpx.AsyncClient, service: Service) -> None:
    query = f"url={OWN}/ValueSet/administered&includeDefinition=true"
    compose = checked(service.validator, await client.get(f"/ValueSet/$expand?{query}"))["compose"]
    first, second = compose["include"]
    assert first == {"valueSet": [f"{OWN}/ValueSet/drug"]}
    assert second["concept"] == [{"code": "car-t-product", "display": "CAR-T product"}]


async def test_expand_in_xml_and_in_a_batch(client: httpx.AsyncClient) -> None:
    url = f"ValueSet/$expand?url={HL7}/condition-clinical"
    answer = await client.get(f"/{url}", headers={"accept": "application/fhir+xml"})
    assert answer.status_code == 200
    assert b'<code value="relapse"/>' in answer.content
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": url}}]}
    (entry,) = (await client.post("/", json=batch)).json()["entry"]
    assert entry["resource"]["expansion"]["total"] == 6


@pytest.mark.parametrize(
    ("query", "status", "code", "named"),
    [
        ({"url": f"{HL7}/nothing"}, 404, "not-supported", f"{HL7}/nothing"),
        ({"url": f"{HL7}/observation-status|3.0.1"}, 404, "not-supported", "4.0.1, not 3.0.1"),
        ({"url": f"{HL7}/observation-status", "valueSetVersion": "3.0.1"}, 404, "not-supported", "not 3.0.1"),
        ({"url": f"{HL7}/doc-typecodes"}, 422, "not-supported", "http://loinc.org"),
        ({"url": f"{HL7}/service-type"}, 422, "not-supported", "content: example"),
        ({"url": f"{HL7}/task-code"}, 422, "not-supported", "not 3.6.0"),
        ({"url": f"{HL7}/message-events"}, 422, "not-supported", "message-events"),
        ({"url": f"{HL7}/ucum-units"}, 422, "too-costly", "unitsofmeasure.org"),
        ({"url": f"{HL7}/all-languages"}, 422, "too-costly", "urn:ietf:bcp:47"),
        ({"url": f"{HL7}/mimetypes"}, 422, "too-costly", "urn:ietf:bcp:13"),
        ({"url": f"{HL7}/condition-clinical", "system-version": f"{CLINICAL}|9"}, 422, "not-supported", "not 9"),
        ({"url": f"{HL7}/condition-clinical", "date": "2010"}, 400, "not-supported", "date"),
        ({"url": f"{HL7}/condition-clinical", "sort": "code"}, 400, "not-supported", "'sort'"),
        ({"url": f"{HL7}/condition-clinical", "count": "many"}, 400, "invalid", "count"),
        ({}, 400, "required", "url"),
    ],
)
async def test_expand_refuses_by_name(
    service: Service, query: dict[str, str], status: int, code: str, named: str
) -> None:
    found = await service.refused("/ValueSet/$expand", **query)
    assert found[:2] == (status, code)
    assert named in found[2]


async def test_expand_too_large_is_told_with_what_to_do(service: Service) -> None:
    include = [
        {"system": system} for system in (ACT, "http://dicom.nema.org/resources/ontology/DCM", f"{ACT[:-7]}Race")
    ]
    sent = {"resourceType": "ValueSet", "status": "draft", "compose": {"include": include}}
    status, code, text = await service.refused("/ValueSet/$expand", {"name": "valueSet", "resource": sent})
    assert (status, code) == (422, "too-costly")
    assert "offset and count" in text


async def test_expand_as_of_a_day_is_only_for_listed_codes(service: Service) -> None:
    for part, status in (({"system": CLINICAL}, 422), ({"system": CLINICAL, "concept": [{"code": "active"}]}, 200)):
        sent = {"resourceType": "ValueSet", "status": "draft"}
        sent["compose"] = {"lockedDate": "2012-06-13", "include": [part]}
        answer = await service.client.post("/ValueSet/$expand", json=sent)
        assert answer.status_code == status
    assert (await service.refused("/ValueSet/$expand", url=f"{HL7}/condition-clinical", date="2012"))[
        1
    ] == "not-supported"


async def test_a_regex_of_a_client_is_not_run(service: Service) -> None:
    part = {"system": CLINICAL, "filter": [{"property": "code", "op": "regex", "value": "(a+)+$"}]}
    sent = {"resourceType": "ValueSet", "status": "draft", "compose": {"include": [part]}}
    status, code, text = await service.refused("/ValueSet/$expand", {"name": "valueSet", "resource": sent})
    assert (status, code) == (422, "not-supported")
    assert "regex" in text


@pytest.mark.parametrize(
    ("query", "expected", "message"),
    [
        ({"code": "relapse"}, True, None),
        ({"code": "relapse", "display": "  RELAPSE "}, True, None),
        ({"code": "relapse", "display": "Active"}, False, "it is Relapse"),
        ({"code": "banana"}, False, "not defined by that system"),
        ({"code": "relapse", "system": UCUM}, False, "not a code of UCUM"),
        ({"code": "final", "system": "http://hl7.org/fhir/observation-status"}, False, "not in the value set"),
    ],
)
async def test_validate_code_in_a_value_set(
    service: Service, query: dict[str, str], expected: bool, message: str | None
) -> None:
    found = await service.get(
        "/ValueSet/$validate-code", url=f"{HL7}/condition-clinical", **{"system": CLINICAL} | query
    )
    assert found["result"] == [expected]
    assert (message in found["message"][0]) if message else "message" not in found
    assert found["code"] == [query["code"]]
    if expected:
        assert found["display"] == ["Relapse"]


async def test_validate_code_by_coding_and_concept(service: Service) -> None:
    url = {"name": "url", "valueUri": f"{HL7}/condition-clinical"}
    good, bad = {"system": CLINICAL, "code": "relapse"}, {"system": "http://snomed.info/sct", "code": "1"}
    address = "/ValueSet/$validate-code"
    assert (await service.post(address, url, {"name": "coding", "valueCoding": good}))["result"] == [True]
    for codings, result in (([bad, good], True), ([bad], False)):
        concept = {"name": "codeableConcept", "valueCodeableConcept": {"coding": codings}}
        assert (await service.post(address, url, concept))["result"] == [result]
    both = [{"name": "coding", "valueCoding": good}, {"name": "code", "valueCode": "relapse"}]
    assert (await service.refused(address, url, *both))[:2] == (400, "invalid")
    assert (await service.refused(address, url))[:2] == (400, "required")
    empty = {"name": "codeableConcept", "valueCodeableConcept": {"text": "a relapse"}}
    assert (await service.refused(address, url, empty))[:2] == (400, "required")


async def test_validate_code_never_says_a_false_no(service: Service) -> None:
    """What hangs on a system that is not at hand is a gap that names it; what does not is answered."""
    include = [{"system": CLINICAL}, {"system": "http://snomed.info/sct"}, {"valueSet": [f"{HL7}/nowhere"]}]
    sent = {"resourceType": "ValueSet", "status": "draft", "compose": {"include": include}}
    part = {"name": "valueSet", "resource": sent}
    address = "/ValueSet/$validate-code"
    known = {"name": "coding", "valueCoding": {"system": CLINICAL, "code": "relapse"}}
    assert (await service.post(address, part, known))["result"] == [True]
    coding = {"name": "coding", "valueCoding": {"system": "http://snomed.info/sct", "code": "52101004"}}
    body = {"resourceType": "Parameters", "parameter": [part, coding]}
    answer = await service.client.post(address, json=body)
    assert answer.status_code == 422
    texts = " ".join(issue["diagnostics"] for issue in issues(answer))
    assert "http://snomed.info/sct" in texts
    assert f"{HL7}/nowhere" in texts
    assert {issue["code"] for issue in issues(answer)} == {"not-supported"}


async def test_validate_code_without_displays_at_hand_warns(service: Service) -> None:
    query = {"system": "http://loinc.org", "code": "2276-4", "display": "Ferritin"}
    found = await service.get("/ValueSet/$validate-code", url=f"{OWN}/ValueSet/laboratory-test", **query)
    assert found["result"] == [True]
    assert "not checked" in found["message"][0]
    assert found["display"] == ["Ferritin [Mass/volume] in Serum or Plasma"]


async def test_validate_code_abstract(service: Service) -> None:
    query = {"url": "http://terminology.hl7.org/ValueSet/v3-ActCode", "system": ACT, "code": "_ActEncounterCode"}
    plain = await service.get("/ValueSet/$validate-code", **query)
    assert plain["result"] == [False]
    assert "abstract" in plain["message"][0]
    assert (await service.get("/ValueSet/$validate-code", **query, abstract="true"))["result"] == [True]
