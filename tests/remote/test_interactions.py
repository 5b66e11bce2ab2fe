"""Reads and writes: what is sent, and what is handed back."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal

import pytest
from starlette.requests import Request
from starlette.responses import Response

from service.errors import BadRequest, UpstreamConflict, UpstreamGone, UpstreamRefused
from service.remote import Remote
from tests.remote.serving import fhir, outcome, patient, serve


async def test_read_keeps_the_digits_and_names_the_version() -> None:
    body = b'{"resourceType":"Observation","id":"o","valueQuantity":{"value":1.10}}'

    async def answer(request: Request) -> Response:
        return Response(body, 200, {"ETag": 'W/"7"'}, "application/fhir+json")

    with serve(answer) as server:
        async with Remote(server.base + "/", headers={"X-Tenant": "north"}) as remote:
            got = await remote.read("Observation", "o")
    assert got.resource is not None
    value = got.resource["valueQuantity"]["value"]
    assert (value, str(value)) == (Decimal("1.10"), "1.10")
    assert (got.raw, got.etag, got.version, got.id, got.status) == (body, 'W/"7"', "7", "o", 200)
    sent = server.seen[0]
    assert sent.url.path == "/fhir/Observation/o"
    assert sent.headers["accept"].startswith("application/fhir+json")
    assert sent.headers["x-tenant"] == "north"
    assert str(uuid.UUID(sent.headers["x-request-id"])) == got.request_id


async def test_create_names_the_id_of_the_location_where_the_body_is_empty() -> None:
    async def answer(request: Request) -> Response:
        assert json.loads(await request.body()) == patient()
        return Response(status_code=201, headers={"Location": f"{request.url}/e7/_history/3"})

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            got = await remote.create(patient(), if_none_exist="identifier=a|1")
    assert (got.resource, got.id, got.version, got.status) == (None, "e7", "3", 201)
    assert server.seen[0].method == "POST"
    assert server.seen[0].headers["if-none-exist"] == "identifier=a|1"
    assert server.seen[0].headers["content-type"] == "application/fhir+json"


async def test_create_hands_out_the_outcome_apart() -> None:
    told = outcome("informational", "information")

    async def answer(request: Request) -> Response:
        return fhir(told, 201, Location="Patient/9/_history/1")

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            got = await remote.create(patient())
    assert (got.resource, got.outcome, got.id) == (None, told, "9")
    assert "if-none-exist" not in server.seen[0].headers


async def test_update_sends_its_condition() -> None:
    async def answer(request: Request) -> Response:
        return fhir(patient(), ETag='W/"2"')

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            one = await remote.update(patient(), if_match='W/"1"')
            await remote.update(patient(), where="identifier=a%7C1")
    by_id, by_query = server.seen
    assert (by_id.method, by_id.url.path, by_id.headers["if-match"]) == ("PUT", "/fhir/Patient/1", 'W/"1"')
    assert (by_query.url.path, by_query.url.query) == ("/fhir/Patient", "identifier=a%7C1")
    assert "if-match" not in by_query.headers
    assert by_query.headers["prefer"] == "return=representation"
    assert one.version == "2"


@pytest.mark.parametrize("id", ["", ".", ".."])
async def test_delete_of_an_id_that_would_be_another_address_is_not_sent(id: str) -> None:
    async with Remote("http://127.0.0.1:1/fhir") as remote:
        with pytest.raises(BadRequest):
            await remote.delete("Patient", id)


async def test_delete_and_post_and_get_take_empty_answers() -> None:
    async def answer(request: Request) -> Response:
        if request.method == "DELETE":
            return Response(status_code=204)
        return Response(status_code=202, headers={"Content-Location": "/poll/1", "Retry-After": "120"})

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            assert (await remote.delete("Patient", "a/b")).status == 204
            posted = await remote.post("", {"resourceType": "Bundle"}, prefer="respond-async")
            polled = await remote.get(f"{server.root}/poll/1")
            await remote.get(posted.location or "")
            await remote.post("$process-message", {"resourceType": "Bundle"})
    assert server.seen[0].scope["raw_path"] == b"/fhir/Patient/a%2Fb"
    assert (server.paths[1], server.seen[1].headers["prefer"]) == ("/fhir", "respond-async")
    assert (posted.status, posted.location, posted.resource) == (202, "/poll/1", None)
    assert server.paths[2:] == ["/poll/1", "/poll/1", "/fhir/$process-message"]
    assert "prefer" not in server.seen[4].headers
    assert polled.retry_at is not None


@pytest.mark.parametrize(
    "status, error",
    [
        (404, UpstreamGone),
        (410, UpstreamGone),
        (409, UpstreamConflict),
        (412, UpstreamConflict),
        (422, UpstreamRefused),
    ],
)
async def test_refusal_carries_the_outcome_and_quotes_none_of_its_words(status: int, error: type) -> None:
    told = outcome("required", diagnostics="Jane Roe 12345", expression=["Patient.name[0].family"])

    async def answer(request: Request) -> Response:
        return fhir(told, status)

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            with pytest.raises(error) as raised:
                await remote.update(patient(), where="identifier=secret")
    assert raised.value.answer == told
    assert raised.value.status_code == status
    assert raised.value.transient is False
    text = str(raised.value)
    assert text == f"PUT {server.base}/Patient: {status}; the server says: required at Patient.name[0].family"


async def test_expression_that_is_none_is_not_quoted() -> None:
    async def answer(request: Request) -> Response:
        return fhir(outcome("value", expression=["Jane Roe"]), 400)

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            with pytest.raises(UpstreamRefused) as raised:
                await remote.create(patient())
    assert "Jane" not in str(raised.value)


async def test_error_seen_from_a_bundle_keeps_what_it_carries() -> None:
    error = UpstreamConflict("words", status_code=412, answer=outcome(), ambiguous=True)
    within = error.under("Bundle.entry[3].resource")
    assert isinstance(within, UpstreamConflict)
    assert (within.status_code, within.answer, within.ambiguous) == (412, outcome(), True)
    assert within.outcome()["issue"][0]["expression"] == ["Bundle.entry[3].resource"]


async def test_strange_meta_of_a_server_names_no_version() -> None:
    async def answer(request: Request) -> Response:
        return fhir({"resourceType": "Patient", "id": 7, "meta": ["x"]}, ETag="3")

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            got = await remote.read("Patient", "7")
    assert (got.id, got.version, got.etag) == (None, None, "3")


async def test_capabilities_are_asked_for_at_metadata() -> None:
    async def answer(request: Request) -> Response:
        return fhir({"resourceType": "CapabilityStatement", "status": "active"})

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            assert (await remote.capabilities())["status"] == "active"
    assert server.paths == ["/fhir/metadata"]
