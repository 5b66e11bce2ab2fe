"""The control interface of the simulated hospital: outages on order, the log, what its staff files."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.simulators.conftest import Client, matches, numbered, observation

Hospital = Callable[..., Client]


def test_outages_on_order(hospital_of: Hospital) -> None:
    client = hospital_of()

    def order(**what: Any) -> None:
        assert client.post("/control/down", json=what).status_code == 200

    order(mode="drop", match="POST")
    assert client.get("/fhir/metadata").status_code == 200
    with pytest.raises(httpx.TransportError):
        client.post("/fhir/Observation", json=observation())
    assert client.ehr.resources() == []
    order(mode="lose", match="POST")
    with pytest.raises(httpx.TransportError):
        client.post("/fhir/Observation", json=observation())
    assert len(client.ehr.resources()) == 1
    order(mode="cut", match="GET")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        client.get("/fhir/metadata")
    order(status=429, retryAfter="Mon, 01 Jan 2035 00:00:00 GMT")
    refused = client.get("/fhir/metadata")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "Mon, 01 Jan 2035 00:00:00 GMT")
    order(mode="stall", seconds=0.3)
    start = time.monotonic()
    assert client.get("/fhir/metadata").status_code == 200
    assert time.monotonic() - start > 0.3
    order(requests=5)
    assert len(client.get("/control/down").json()) == 1
    client.delete("/control/down")
    assert client.get("/fhir/metadata").status_code == 200


def test_log_counts_and_hides_tokens(hospital_of: Hospital) -> None:
    client = hospital_of()
    client.get("/fhir/Patient?_count=1", headers={"Authorization": "Bearer secret-1", "X-Request-Id": "r1"})
    (line,) = client.get("/control/log").json()
    assert (line["number"], line["method"], line["path"], line["status"]) == (1, "GET", "/fhir/Patient?_count=1", 200)
    assert line["headers"]["x-request-id"] == "r1"
    assert "secret-1" not in line["headers"]["authorization"]
    assert client.ehr.count("GET /fhir/Patient") == 1
    client.delete("/control/log")
    assert client.ehr.log == []


def test_staff_can_file_with_one_instant(hospital_of: Hospital) -> None:
    client = hospital_of()
    order = {"resources": numbered(250), "lastUpdated": "2026-03-01T10:00:00.000Z"}
    assert len(client.post("/control/put", json=order).json()) == 250
    assert {each["meta"]["lastUpdated"] for each in client.ehr.resources("Observation")} == {"2026-03-01T10:00:00.000Z"}
    pages = client.pages("Observation?_count=20")
    assert len({each["id"] for page in pages for each in matches(page)}) == 250
    client.post("/control/put", json={"resourceType": "Patient"})
    assert len(client.ehr.resources("Patient")) == 1


@pytest.mark.parametrize(
    ("control", "body"),
    [
        ("quirks", {"moods": 1}),
        ("quirks", {"profile": "kind"}),
        ("quirks", {"transactions": "maybe"}),
        ("put", {"id": "x"}),
        ("put", {"resources": [1]}),
        ("down", {"mode": "sulk"}),
        ("key", {"client_id": "a"}),
        ("key", {"client_id": "a", "jwks": {"keys": [{"kty": "RSA", "d": "1"}]}}),
    ],
)
def test_control_refuses_what_it_does_not_know(hospital_of: Hospital, control: str, body: dict[str, Any]) -> None:
    answer = hospital_of().post(f"/control/{control}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
