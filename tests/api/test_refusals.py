"""What must be refused, how, and that a refusal writes nothing and tells no value of a patient."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from service.errors import ISSUE_TYPES
from service.store.database import Database
from tests.api.conftest import FHIR, issues, patient

XML = {"content-type": "application/fhir+xml"}
TURTLE = {"content-type": "text/turtle"}
PATIENT = json.dumps(patient()).encode()
DEEP = b'{"resourceType":"Patient","x":' + b"[" * 5000 + b"]" * 5000 + b"}"

REFUSED = [
    ("POST", "/Patient", b"{\n  no", FHIR, 400, "not-json"),
    ("POST", "/Patient", b"", FHIR, 400, "body-empty"),
    ("POST", "/Patient", b"[]", FHIR, 400, "not-an-object"),
    ("POST", "/Patient", b"\xff\xfe", FHIR, 400, "not-json"),
    ("POST", "/Patient", b'{"resourceType":"Patient","x":1e9999999999999999999}', FHIR, 400, "not-json"),
    ("POST", "/Patient", DEEP, FHIR, 400, None),
    (
        "POST",
        "/Patient",
        b'{"resourceType":"Patient","gender":"male","gender":"male"}',
        FHIR,
        400,
        "json-duplicate-key",
    ),
    ("POST", "/Patient", b'{"gender":"male"}', FHIR, 400, "resource-type-missing"),
    ("POST", "/Patient", b'{"resourceType":"Observation"}', FHIR, 400, "resource-type-mismatch"),
    ("POST", "/Patient", b'{"resourceType":"Patient","gender":"banana"}', FHIR, 400, None),
    ("POST", "/Patient", b'{"resourceType":"Patient","medicationCodeableConcept":{}}', FHIR, 400, None),
    ("POST", "/Patient", PATIENT, TURTLE, 415, "unsupported-media-type"),
    ("POST", "/Patient", PATIENT, XML, 400, "not-xml"),
    ("POST", "/Patient", PATIENT, {}, 415, "unsupported-media-type"),
    ("POST", "/Patient", PATIENT, {"content-type": "application/fhir+json; fhirVersion=5.0"}, 415, None),
    ("POST", "/Patient", PATIENT, FHIR | {"accept": "text/turtle"}, 406, "not-acceptable"),
    ("GET", "/Patient?_format=ttl", b"", {}, 406, "not-acceptable"),
    ("POST", "/Patients", PATIENT, FHIR, 404, "unknown-type"),
    ("GET", "/DomainResource/1", b"", {}, 404, "unknown-type"),
    ("GET", "/Patient/nobody", b"", {}, 404, "unknown-resource"),
    ("GET", "/Patient/not_an_id", b"", {}, 404, "unknown-address"),
    ("PATCH", "/Patient/1", b"{}", FHIR, 400, "resource-type-missing"),
    ("PATCH", "/metadata", b"{}", FHIR, 405, "method-not-allowed"),
    ("POST", "/Patient/1", PATIENT, FHIR, 405, "method-not-allowed"),
    ("DELETE", "", b"", {}, 405, "method-not-allowed"),
    ("PUT", "/metadata", b"{}", FHIR, 405, "method-not-allowed"),
    ("POST", "", b'{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{}}]}', FHIR, 400, None),
]


@pytest.fixture
async def bare(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends no header of its own."""
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/fhir") as opened:
        yield opened


@pytest.mark.parametrize(("method", "url", "body", "headers", "status", "rule"), REFUSED)
async def test_request_that_is_refused(
    bare: httpx.AsyncClient, method: str, url: str, body: bytes, headers: dict, status: int, rule: str | None
) -> None:
    answer = await bare.request(method, url, content=body, headers=headers)
    found = issues(answer)
    assert answer.status_code == status, answer.text
    assert {issue["code"] for issue in found} <= ISSUE_TYPES
    assert all(issue["diagnostics"] for issue in found)
    assert rule is None or found[0]["details"]["coding"][0]["code"] == rule
    assert answer.headers["x-request-id"]
    assert "banana" not in answer.text, "the value stands in the answer"
    assert (status == 405) == ("allow" in answer.headers)
    assert (await bare.get("/_history")).json()["total"] == 0


async def test_json_error_names_line_and_column(bare: httpx.AsyncClient) -> None:
    answer = await bare.post("/Patient", content=b'{\n  "resourceType": Patient}', headers=FHIR)
    assert issues(answer)[0]["location"] == ["line 2, column 19"]


async def test_wrong_method_names_all_right_ones(bare: httpx.AsyncClient) -> None:
    assert (await bare.post("/Patient/1")).headers["allow"] == "DELETE, GET, HEAD, PATCH, PUT"
    assert (await bare.put("/metadata")).headers["allow"] == "GET, HEAD"


async def test_body_too_large_is_refused_before_it_is_read(bare: httpx.AsyncClient, application: FastAPI) -> None:
    limit = application.state.server.settings.max_body_bytes
    answer = await bare.post("/Patient", headers=FHIR | {"content-length": str(limit + 1)}, content=b"{}")
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * (1024 * 1024)

    answer = await bare.post("/Patient", headers=FHIR, content=endless())
    assert answer.status_code == 413
    assert issues(answer)[0]["code"] == "too-long"
    assert read <= 2 * limit // (1024 * 1024) + 2


async def test_defect_answers_500_without_its_text(
    bare: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def defect(self: Database, *place: str) -> None:
        raise RuntimeError("Ayşe Yılmaz, ferritin 1250")

    monkeypatch.setattr(Database, "read", defect)
    answer = await bare.get("/Patient/1", headers={"x-request-id": "abc-1"})
    assert answer.status_code == 500
    assert issues(answer)[0]["code"] == "exception"
    assert "abc-1" in answer.text
    assert answer.headers["x-request-id"] == "abc-1"
    logged = capsys.readouterr()
    assert "RuntimeError" in logged.err + logged.out
    assert "Ay" not in answer.text
    assert "1250" not in answer.text + logged.err + logged.out


async def test_address_outside_fhir_is_an_outcome_too(bare: httpx.AsyncClient) -> None:
    answer = await bare.get("http://test/nothing/here")
    assert answer.status_code == 404
    assert issues(answer)[0]["code"] == "not-found"


async def test_request_id_that_is_malformed_is_replaced(bare: httpx.AsyncClient) -> None:
    answer = await bare.get("/metadata", headers={"x-request-id": "a b\tc"})
    assert answer.headers["x-request-id"] != "a b\tc"


async def test_host_that_is_malformed_is_refused(bare: httpx.AsyncClient) -> None:
    assert (await bare.get("/metadata", headers={"host": 'x"/><script>'})).status_code == 400


async def test_profile_violation_is_unprocessable(bare: httpx.AsyncClient) -> None:
    claims = {"profile": ["https://cart-fhir.example/fhir/StructureDefinition/trial-patient"]}
    answer = await bare.post("/Patient", json={"resourceType": "Patient", "meta": claims}, headers=FHIR)
    assert answer.status_code == 422
    assert issues(answer)
    assert (await bare.get("/_history")).json()["total"] == 0


async def test_query_of_raw_bytes_is_refused(application: FastAPI) -> None:
    answered: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict) -> None:
        answered.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/fhir/Patient",
        "raw_path": b"/fhir/Patient",
        "root_path": "",
        "query_string": b"name=\xff\xfe",
        "headers": [(b"host", b"test")],
    }
    await application(scope, receive, send)
    assert answered[0]["status"] == 400
