"""The CapabilityStatement is true: its operations, compartments, formats and interactions of the system."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from service import __version__
from service.conformance.definitions import Definitions
from service.fhir.json import encode
from service.submissions.forms import known
from tests.api.conftest import issues, patient, rules
from tests.contract.advertised import FORM, STRICT, ask, each, rest, statement
from tests.contract.minimal import Minimal
from tests.contract.test_capability import sample

FHIR = "http://hl7.org/fhir"
DEFINED = (f"{FHIR}/OperationDefinition/", f"{FHIR}/uv/sdc/OperationDefinition/")
GENDER = f"{FHIR}/administrative-gender"
MAP = "https://cart-fhir.example/fhir/ConceptMap/sex"
CODED = f"system={GENDER}&code=male"
LISTED = {"system": GENDER, "concept": [{"code": "male"}, {"code": "female"}]}
MAPPED = {
    "source": GENDER,
    "target": "urn:x",
    "element": [{"code": "male", "target": [{"code": "x", "equivalence": "equal"}]}],
}
# What the terminology's operations are asked: of what is shipped at the type, of what is stored at the instance.
(FORM_URL, SHIPPED), *_ = known().items()
KEPT: dict[str, dict[str, Any]] = {
    "Questionnaire": {name: value for name, value in SHIPPED.questionnaire.items() if name != "id"},
    "ValueSet": {"compose": {"include": [LISTED]}},
    "CodeSystem": {"url": "urn:x", "content": "complete", "concept": [{"code": "male"}, {"code": "female"}]},
    "ConceptMap": {"group": [MAPPED]},
}
OF_TYPE = {
    "expand": f"url={FHIR}/ValueSet/administrative-gender",
    "lookup": CODED,
    "populate": f"subject=Patient/treated&canonical={FORM_URL}",
    "subsumes": f"system={GENDER}&codeA=male&codeB=female",
    "translate": f"{CODED}&url={MAP}",
}
OF_ONE = {"populate": "subject=Patient/treated", "subsumes": "codeA=male&codeB=female", "translate": CODED}


def question(type_: str, operation: str, stored: bool) -> str:
    """The query string that the operation needs."""
    if operation == "lastn":
        return "?patient=a"
    if operation == "validate-code":
        coded = CODED if type_ == "ValueSet" else "code=male"
        shipped = f"{FHIR}/ValueSet/administrative-gender" if type_ == "ValueSet" else GENDER
        return f"?{coded}" if stored else f"?{coded}&url={shipped}"
    asked = (OF_ONE if stored else OF_TYPE).get(operation)
    return f"?{asked}" if asked else ""


async def test_system_searches_by_every_parameter_of_the_system(
    client: httpx.AsyncClient, definitions: Definitions
) -> None:
    names = [one["name"] for one in (await rest(client))["searchParam"]]
    special = {"_filter": "_id eq x", "_has": "x", "_list": "x", "_type": "Patient,Observation"}
    for name in names:
        value = special.get(name) or sample(definitions, "Patient", name)
        key = "_has:Provenance:target:_id" if name == "_has" else name
        for answer in (
            await ask(client, "GET ", 200, params={key: value}, headers=STRICT),
            await ask(client, "POST /_search", 200, data={key: value}, headers=STRICT | FORM),
        ):
            assert key in httpx.URL(answer.json()["link"][0]["url"]).params


async def test_every_operation_answers_at_every_address_that_it_names(
    client: httpx.AsyncClient, minimal: Minimal
) -> None:
    found = await rest(client)
    await ask(client, "PUT /Patient/treated", 201, json=patient(id="treated"))
    tag = {"name": "meta", "valueMeta": {"tag": [{"system": "urn:x", "code": "x"}]}}
    labelled = {"resourceType": "Parameters", "parameter": [tag]}

    async def operate(entry: dict[str, Any]) -> None:
        type_ = entry["type"]
        resource = minimal.resource(type_) | {"id": "a"} | KEPT.get(type_, {})
        await ask(client, f"PUT /{type_}/a", 201, json=resource)
        # of Parameters itself what is to be validated stands in a parameter
        bodies = {"validate": resource, "meta-add": labelled, "meta-delete": labelled, "everything": None}
        for operation in entry["operation"]:
            assert operation["definition"].startswith(DEFINED)
            for address in operation["documentation"].split("; "):
                methods, _, path = address.rpartition(" ")
                path = path.replace("[type]", type_).replace("[id]", "a")
                for method in methods.split(", "):
                    sent = bodies.get(operation["name"]) if method == "POST" else None
                    options = {"json": sent} if sent is not None else {}
                    query = question(type_, operation["name"], "/a/" in path)
                    answer = await ask(client, f"{method} /{path}{query}", 200, **options)
                    assert answer.json()["resourceType"] in ("Bundle", "OperationOutcome", "Parameters", "ValueSet")

    assert [one["name"] for one in found["operation"]] == ["process-message"]
    assert issues(await ask(client, "POST /$process-message", 400))[0]["code"] == "required"
    await each(found["resource"], operate)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_compartment_holds_the_types_of_its_definition(
    client: httpx.AsyncClient, definitions: Definitions
) -> None:
    found = (await rest(client))["compartment"]
    names = {url.rpartition("/")[2][0].upper() + url.rpartition("/")[2][1:] for url in found}
    assert names == set(definitions.compartments)
    assert all(url.startswith("http://hl7.org/fhir/CompartmentDefinition/") for url in found)

    async def search(name: str) -> None:
        for type_ in sorted(definitions.resource_types):
            inside = type_ == name or any(code != "{def}" for code in definitions.compartments[name].get(type_, ()))
            answer = await client.get(f"/{name}/x/{type_}", headers=STRICT)
            assert answer.status_code == (200 if inside else 400), (name, type_, answer.text)
        await ask(client, f"GET /{name}/x/*", 200, headers=STRICT)
        await ask(client, f"POST /{name}/x/_search", 200, data={"_count": "1"}, headers=STRICT | FORM)

    await each(sorted(names), search)


async def test_every_format_is_spoken_and_taken(client: httpx.AsyncClient) -> None:
    for media in (await statement(client))["format"]:
        short = "/" not in media
        kind = "xml" if "xml" in media else "json"
        read = {"params": {"_format": media}} if short else {"headers": {"accept": media}}
        answer = await ask(client, "GET /Patient", 200, **read)
        assert answer.headers["content-type"].startswith(f"application/fhir+{kind};")
        if not short:
            sent = {"json": b'{"resourceType":"Patient"}', "xml": b'<Patient xmlns="http://hl7.org/fhir"/>'}[kind]
            await ask(client, "POST /Patient", 201, content=sent, headers={"content-type": media})
    await ask(client, "GET /Patient", 406, headers={"accept": "text/turtle"})
    await ask(client, "GET /Patient?_format=ttl", 406)


async def test_every_patch_format_is_applied_and_no_other(client: httpx.AsyncClient) -> None:
    parts = [
        ("type", "valueCode", "replace"),
        ("path", "valueString", "Patient.active"),
        ("value", "valueBoolean", True),
    ]
    operation = {"name": "operation", "part": [{"name": name, key: value} for name, key, value in parts]}
    parameters = {"resourceType": "Parameters", "parameter": [operation]}
    inner = "".join(f'<part><name value="{name}"/><{key} value="{text}"/></part>' for name, key, text in parts)
    xml = f'<Parameters xmlns="{FHIR}"><parameter><name value="operation"/>{inner}</parameter></Parameters>'
    bodies = {
        "application/json-patch+json": encode([{"op": "replace", "path": "/active", "value": True}]),
        "application/fhir+json": encode(parameters),
        "application/fhir+xml": xml.replace("True", "true").encode(),
    }
    assert set((await statement(client))["patchFormat"]) == set(bodies)
    for media, body in bodies.items():
        await client.put("/Patient/a", json=patient(id="a", active=False))
        answer = await ask(client, "PATCH /Patient/a", 200, content=body, headers={"content-type": media})
        assert answer.json()["active"] is True
    for media in ("application/xml-patch+xml", "application/merge-patch+json"):
        await ask(client, "PATCH /Patient/a", 415, content=b"{}", headers={"content-type": media})


async def test_every_interaction_of_the_system_is_done(client: httpx.AsyncClient) -> None:
    codes = {one["code"] for one in (await rest(client))["interaction"]}
    for kind in ("transaction", "batch"):
        sent = {"resourceType": "Bundle", "type": kind, "entry": [{"request": {"method": "GET", "url": "Patient"}}]}
        assert (await ask(client, "POST ", 200, json=sent)).json()["type"] == f"{kind}-response"
    assert (await ask(client, "GET /_history", 200)).json()["type"] == "history"
    assert (await ask(client, "GET ?_type=Patient", 200)).json()["type"] == "searchset"
    assert codes == {"transaction", "batch", "history-system", "search-system"}


async def test_every_supported_profile_is_checked(client: httpx.AsyncClient, minimal: Minimal) -> None:
    for entry in (await rest(client))["resource"]:
        for url in (*entry.get("supportedProfile", ()), "urn:x:unknown"):
            options = {"params": {"profile": url}, "json": minimal.resource(entry["type"])}
            answer = await ask(client, f"POST /{entry['type']}/$validate", 200, **options)
            assert ("profile-unknown" in rules(answer)) == (url == "urn:x:unknown")


async def test_statement_names_this_service_and_where_it_is(client: httpx.AsyncClient) -> None:
    found = await statement(client)
    assert found["implementation"]["url"] == "http://test/fhir"
    assert found["software"]["version"] == found["version"] == __version__
    assert re.fullmatch(r"4\.0\.\d", found["fhirVersion"])
    assert len(encode(found)) < 600 * 1024
    answer = await client.get("/metadata", headers={"origin": "http://elsewhere.example"})
    assert found["rest"][0]["security"]["cors"] is False
    assert "access-control-allow-origin" not in answer.headers


NOT_DONE = [
    ("/Patient?_text=x", "/Observation?code:text=x"),
    ("/Patient?_content=x", "/Patient?name:contains=x"),
    ("?_content=x", "/Patient?address:contains=x"),
    ("/Observation?subject:Patient._text=x", "/Observation?subject:Patient.name:contains=x"),
    ("/Patient?_has:Observation:subject:_content=x", "/Patient?_has:Observation:subject:code:text=x"),
    ("/Patient?_query=current", "/Patient?_filter=active eq true"),
    ("/Patient?_contained=true", "/Patient?_contained=false"),
    ("/Patient?_contained=both", "/Patient?_contained=false"),
    ("/Patient?_containedType=contained", "/Patient?_contained=false"),
    ("/Location?near=39.9|32.8|10|km", "/Location?address-city=Ankara"),
    ("/Bundle?composition=Composition/1", "/Bundle?identifier=x&timestamp=2020&type=document"),
    ("/Bundle?message.event=x", "/Bundle?identifier=x"),
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_not_done_is_refused_with_what_works_instead(client: httpx.AsyncClient) -> None:
    for refused, instead in NOT_DONE:
        for headers in ({}, STRICT):
            answer = await ask(client, f"GET {refused}", 400, headers=headers)
            (issue,) = issues(answer)
            assert (issue["code"], rules(answer)) == ("not-supported", {"unsupported-parameter"})
            assert "; what works is " in issue["diagnostics"]
        await ask(client, f"GET {instead}", 200, headers=STRICT)
    await ask(client, "PUT /Patient?_content=x", 400, json=patient())


REFUSED = [
    ("/Patient?_type=Observation", "invalid-parameter"),
    ("/Patient?_sort=_score", "invalid-parameter"),
    ("/Patient?_total=some", "invalid-parameter"),
    ("/Patient?_summary=all", "invalid-parameter"),
    ("/Patient?_count:exact=1", "unsupported-modifier"),
    ("/Patient?_sort:desc=_id", "unsupported-modifier"),
    ("/Patient?_elements:not=name", "unsupported-modifier"),
    ("/Bundle?_sort=composition", "invalid-parameter"),
    ("/Bundle?_include=Bundle:composition", "invalid-parameter"),
    ("/Composition?_has:Bundle:composition:type=document", "invalid-parameter"),
    ("/Observation?_include=Observation:subject:Nothing", "invalid-parameter"),
    ("/Patient?_revinclude=Nothing:*", "invalid-parameter"),
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_result_parameters_work_or_are_refused_or_named(client: httpx.AsyncClient) -> None:
    for url, rule in REFUSED:
        assert rules(await ask(client, f"GET {url}", 400)) == {rule}
    for name in ("_score", "_graph", "_maxresults", "_type:missing"):
        lenient = (await ask(client, "GET /Patient", 200, params={name: "x"})).json()
        (outcome,) = lenient["entry"]
        assert outcome["search"]["mode"] == "outcome"
        assert name.partition(":")[0] in outcome["resource"]["issue"][0]["diagnostics"]
        strict = await ask(client, "GET /Patient", 400, params={name: "x"}, headers=STRICT)
        assert rules(strict) == {"unknown-parameter"}
    await client.put("/Patient/a", json=patient(id="a"))
    for value in ("Patient", "Observation,Patient"):
        found = await ask(client, f"GET /Patient?_type={value}", 200, headers=STRICT)
        assert [entry["resource"]["id"] for entry in found.json()["entry"]] == ["a"]
