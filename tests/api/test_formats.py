"""FHIR XML in and out on every route, errors and bundles included; HEAD of every GET."""

from __future__ import annotations

from xml.etree import ElementTree

import httpx
import pytest

from service.conformance.definitions import Definitions
from service.conformance.xml import from_xml, to_xml
from tests.api.conftest import observation, patient, rules

XML = {"content-type": "application/fhir+xml", "accept": "application/fhir+xml"}
MEDIA = "application/fhir+xml; charset=utf-8"
OBSERVATION = (
    '<Observation xmlns="http://hl7.org/fhir"><id value="o1"/><status value="final"/>'
    '<code><text value="ferritin ığş"/></code><valueQuantity><value value="1.00"/></valueQuantity></Observation>'
)


@pytest.fixture
async def xml(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """The client, speaking XML."""
    client.headers.update(XML)
    return client


def said(answer: httpx.Response) -> ElementTree.Element:
    """The document, which must be one of FHIR."""
    assert answer.headers["content-type"] == MEDIA, answer.text
    assert answer.headers["content-length"] == str(len(answer.content))
    root = ElementTree.fromstring(answer.content)
    assert root.tag.startswith("{http://hl7.org/fhir}")
    return root


async def test_xml_goes_in_and_comes_out_as_xml_and_as_json(xml: httpx.AsyncClient) -> None:
    put = await xml.put("/Observation/o1", content=OBSERVATION.encode())
    assert put.status_code == 201
    assert '<value value="1.00"/>' in put.text
    read = await xml.get("/Observation/o1")
    assert said(read).tag.endswith("Observation")
    assert read.headers["etag"] == 'W/"1"'
    as_json = await xml.get("/Observation/o1?_format=json")
    assert '"valueQuantity":{"value":1.00}' in as_json.text
    assert '"text":"ferritin ığş"' in as_json.text
    again = await xml.put("/Observation/o1", content=OBSERVATION.encode())
    assert again.headers["etag"] == 'W/"1"'


async def test_json_goes_in_and_comes_out_as_xml(client: httpx.AsyncClient, definitions: Definitions) -> None:
    await client.put("/Patient/p1", json=patient(id="p1", gender="male"))
    for query in ("_format=xml", "_format=application/fhir%2Bxml", "_format=text/xml", "_format=application/xml"):
        answer = await client.get(f"/Patient/p1?{query}")
        said(answer)
        stored = (await client.get("/Patient/p1")).json()
        assert from_xml(answer.content, definitions, 64) == stored


async def test_every_get_speaks_xml_and_has_a_head(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    await client.put("/Observation/o1", json=observation("Patient/p1", id="o1"))
    for address in (
        "/Patient/p1",
        "/Patient/p1/_history",
        "/Patient/p1/_history/1",
        "/Patient",
        "/Observation?_include=Observation:subject&_summary=true",
        "/Patient/_history",
        "/_history",
        "/metadata",
        "/Patient/p1/$everything",
        "/Patient/nobody",
    ):
        for headers in ({"accept": "application/fhir+json"}, {"accept": "application/fhir+xml"}):
            get, head = await client.get(address, headers=headers), await client.head(address, headers=headers)
            assert head.status_code == get.status_code, address
            assert head.content == b""
            for name in ("content-type", "content-length", "etag", "vary"):
                assert head.headers.get(name) == get.headers.get(name), (address, name)
        said(get)


async def test_transaction_in_xml_is_answered_in_xml(xml: httpx.AsyncClient, definitions: Definitions) -> None:
    first = {"resource": patient(), "fullUrl": "urn:uuid:1", "request": {"method": "POST", "url": "Patient"}}
    second = {"resource": observation("urn:uuid:1"), "request": {"method": "POST", "url": "Observation"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [first, second]}
    answer = await xml.post("", content=to_xml(bundle, definitions), headers={"prefer": "return=representation"})
    assert answer.status_code == 200, answer.text
    said(answer)
    entries = from_xml(answer.content, definitions, 64)["entry"]
    assert [entry["response"]["status"] for entry in entries] == ["201 Created"] * 2
    reference = entries[1]["resource"]["subject"]["reference"]
    assert (await xml.get(f"/{reference}")).status_code == 200


async def test_search_by_form_takes_its_format(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = await client.post("/Patient/_search", content=b"_format=xml&_id=p1", headers=form)
    assert said(answer).tag.endswith("Bundle")
    assert (await client.post("/Patient/_search", content=b"_format=ttl", headers=form)).status_code == 406


async def test_patch_by_parameters_in_xml(xml: httpx.AsyncClient, definitions: Definitions) -> None:
    await xml.put("/Observation/o1", content=OBSERVATION.encode())
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Observation.status"},
        {"name": "value", "valueCode": "amended"},
    ]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    answer = await xml.patch("/Observation/o1", content=to_xml(parameters, definitions))
    assert answer.status_code == 200, answer.text
    assert '<status value="amended"/>' in answer.text
    assert '<value value="1.00"/>' in answer.text


@pytest.mark.parametrize(
    ("method", "address", "content", "status", "rule"),
    [
        ("GET", "/Patient/nobody", b"", 404, "unknown-resource"),
        ("GET", "/Patient/not_an_id", b"", 404, "unknown-address"),
        ("DELETE", "/metadata", b"", 405, "method-not-allowed"),
        ("POST", "/Patient", b"<Patient", 400, None),
        ("POST", "/Patient", b"", 400, "body-empty"),
        ("POST", "/Patient", b'<Patient xmlns="http://hl7.org/fhir"><banana value="x"/></Patient>', 400, None),
        ("POST", "/Patient", b'<Observation xmlns="http://hl7.org/fhir"/>', 400, "resource-type-mismatch"),
        ("POST", "/Patient", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', 400, None),
        ("POST", "", b'<Patient xmlns="http://hl7.org/fhir"/>', 400, "bundle-type"),
    ],
)
async def test_errors_speak_xml_too(
    xml: httpx.AsyncClient, definitions: Definitions, method: str, address: str, content: bytes, status: int, rule: str
) -> None:
    answer = await xml.request(method, address, content=content)
    assert answer.status_code == status, answer.text
    said(answer)
    outcome = from_xml(answer.content, definitions, 64)
    assert outcome["resourceType"] == "OperationOutcome"
    found = {coding["code"] for issue in outcome["issue"] for coding in issue["details"]["coding"]}
    assert rule is None or found == {rule}


async def test_unknown_format_is_refused_in_json(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.get("/Patient?_format=ttl"),
        await client.get("/Patient", headers={"accept": "text/turtle"}),
        await client.get("/Patient", headers={"accept": "application/fhir+json; fhirVersion=5.0"}),
    ):
        assert (answer.status_code, rules(answer)) == (406, {"not-acceptable"})
    for version in ("4.0", '"4.0"', "4.0.1"):
        accept = {"accept": f"application/fhir+json; fhirVersion={version}"}
        assert (await client.get("/Patient", headers=accept)).status_code == 200


async def test_what_xml_cannot_say_is_written_and_answered_in_json(client: httpx.AsyncClient) -> None:
    put = await client.put("/Patient/p1?_format=xml", json=patient(id="p1", name=[{"family": "x\ufffe"}]))
    assert put.status_code == 201
    assert put.headers["content-type"].startswith("application/fhir+json")
    read = await client.get("/Patient/p1?_format=xml")
    assert read.status_code == 406
    assert "Patient.name[0].family" in read.text
    assert (await client.get("/Patient/p1")).json()["name"] == [{"family": "x\ufffe"}]


async def test_capability_statement_lists_both_formats(client: httpx.AsyncClient) -> None:
    statement = (await client.get("/metadata")).json()
    assert statement["format"] == ["application/fhir+json", "application/fhir+xml", "json", "xml"]
