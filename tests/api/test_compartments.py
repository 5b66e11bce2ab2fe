"""Searches of several types and inside compartments over HTTP, alone and in bundles."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import issues, observation, patient, rules

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def filled(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Two patients; one Condition and three Observations of the first, one Observation of the second."""
    for id_ in ("p1", "p2"):
        assert (await client.put(f"/Patient/{id_}", json=patient(id=id_))).status_code == 201
    for id_, subject in (("o1", "p1"), ("o2", "p1"), ("o3", "p1"), ("o4", "p2")):
        sent = observation(f"Patient/{subject}", id=id_)
        assert (await client.put(f"/Observation/{id_}", json=sent)).status_code == 201
    condition = {"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p1"}}
    assert (await client.put("/Condition/c1", json=condition)).status_code == 201
    return client


def ids(bundle: dict[str, Any]) -> str:
    return " ".join(entry["resource"]["id"] for entry in bundle.get("entry", ()))


def link(bundle: dict[str, Any], relation: str) -> str | None:
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), None)


async def walked(client: httpx.AsyncClient, url: str | None) -> tuple[str, set[Any]]:
    """The ids of all pages, and the totals that they named."""
    seen, totals = [], set()
    while url:
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        seen += ids(answer.json()).split()
        totals.add(answer.json().get("total"))
        url = link(answer.json(), "next")
    return " ".join(seen), totals


FINDS = [
    ("/Patient/p1/Observation", "o1 o2 o3"),
    ("/Patient/p1/Observation?_id=o2", "o2"),
    ("/Patient/p1/Observation?_sort=-_id", "o3 o2 o1"),
    ("/Patient/p1/*", "p1 o1 o2 o3 c1"),
    ("/Patient/p1/*?_type=Condition,Observation", "o1 o2 o3 c1"),
    ("/Patient/p2/*", "p2 o4"),
    ("/Patient/p1/Patient", "p1"),
    ("/Patient/nobody/Observation", ""),
    ("?_type=Patient,Condition", "p1 p2 c1"),
    ("?_id=p1,o4,c1", "p1 o4 c1"),
    ("", "p1 p2 o1 o2 o3 o4 c1"),
]


@pytest.mark.parametrize(("url", "expected"), FINDS)
async def test_search_finds_page_by_page(filled: httpx.AsyncClient, url: str, expected: str) -> None:
    whole = (await filled.get(url)).json()
    assert ids(whole) == expected
    assert link(whole, "self") == f"http://test/fhir{url}"
    paged = f"{url}{'&' if '?' in url else '?'}_count=2&_total=accurate"
    assert await walked(filled, paged) == (expected, {len(expected.split())})


@pytest.mark.parametrize(
    ("url", "form", "expected"),
    [
        ("/_search", "_type=Patient,Condition", "p1 p2 c1"),
        ("/Patient/p1/Observation/_search", "_id=o2", "o2"),
        ("/Patient/p1/_search", "_type=Condition", "c1"),
    ],
)
async def test_search_by_form_finds_the_same(filled: httpx.AsyncClient, url: str, form: str, expected: str) -> None:
    answer = await filled.post(url, content=form, headers=FORM)
    assert answer.status_code == 200
    assert ids(answer.json()) == expected
    assert (await filled.get("/_search")).status_code == 405


async def test_cursor_of_one_compartment_is_none_of_another(filled: httpx.AsyncClient) -> None:
    following = link((await filled.get("/Patient/p1/Observation?_count=1")).json(), "next") or ""
    assert (await filled.get(following)).status_code == 200
    for other in ("/Patient/p2/", "/"):
        moved = following.replace("/Patient/p1/", other)
        assert rules(await filled.get(moved)) == {"unknown-cursor"}


REFUSED = [
    ("/Patient/p1/Organization", 400, "unsupported-parameter"),
    ("/Patient/p1/*?_type=Library", 400, "unsupported-parameter"),
    ("/Organization/x/Observation", 404, "unknown-compartment"),
    ("/Patient/p1/Nothing", 404, "unknown-type"),
    ("/Nothing/p1/*", 404, "unknown-type"),
    ("?_type=Nothing", 400, "invalid-parameter"),
    ("?_id:banana=1", 400, "unsupported-modifier"),
]


@pytest.mark.parametrize(("url", "status", "rule"), REFUSED)
async def test_search_refuses(client: httpx.AsyncClient, url: str, status: int, rule: str) -> None:
    answer = await client.get(url)
    assert (answer.status_code, rules(answer)) == (status, {rule})


async def test_parameter_that_not_all_types_have_is_a_warning_or_an_error(filled: httpx.AsyncClient) -> None:
    url = "?_type=Patient,Condition&gender=male"
    answer = (await filled.get(url)).json()
    assert answer["entry"][-1]["search"]["mode"] == "outcome"
    assert link(answer, "self") == "http://test/fhir?_type=Patient,Condition"
    strict = await filled.get(url, headers={"prefer": "handling=strict"})
    assert (strict.status_code, rules(strict)) == (400, {"unknown-parameter"})


def asking(kind: str, *urls: str, method: str = "GET") -> dict[str, Any]:
    entries = [{"request": {"method": method, "url": url}} for url in urls]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_bundle_asks_for_the_same_searches(filled: httpx.AsyncClient, kind: str) -> None:
    urls = ("Patient/p1/Observation?_id=o2", "Patient/p2/*", "?_type=Condition", "http://test/fhir?_id=p1")
    answer = (await filled.post("", json=asking(kind, *urls))).json()
    assert [ids(entry["resource"]) for entry in answer["entry"]] == ["o2", "p2 o4", "c1", "p1"]
    assert link(answer["entry"][0]["resource"], "self") == "http://test/fhir/Patient/p1/Observation?_id=o2"


async def test_batch_asks_for_what_has_an_address_of_its_own(filled: httpx.AsyncClient) -> None:
    urls = ("Patient/p1/_history", "Patient/p1/$everything", "metadata", "Patient/p1?_elements=id", "_history?_count=1")
    answer = (await filled.post("", json=asking("batch", *urls, "Patient/nobody/_history", "Patient/$nothing"))).json()
    history, everything, capability, part, feed, nobody, nothing = answer["entry"]
    assert history["resource"]["type"] == "history"
    assert {entry["resource"]["id"] for entry in everything["resource"]["entry"]} == {"p1", "o1", "o2", "o3", "c1"}
    assert capability["resource"]["resourceType"] == "CapabilityStatement"
    assert "identifier" not in part["resource"]
    assert part["response"] == {"status": "200 OK", "etag": 'W/"1"'}
    assert len(feed["resource"]["entry"]) == 1
    for missing in (nobody, nothing):
        assert missing["response"]["status"] == "404 Not Found"
        assert missing["response"]["outcome"]["resourceType"] == "OperationOutcome"


async def test_batch_carries_the_body_of_an_operation(filled: httpx.AsyncClient) -> None:
    tag = {"name": "meta", "valueMeta": {"tag": [{"system": "urn:example:t", "code": "x"}]}}
    broken = patient(gender="banana")
    sent = asking("batch", "Patient/p1/$meta-add", "Patient/$validate", method="POST")
    sent["entry"][0]["resource"] = {"resourceType": "Parameters", "parameter": [tag]}
    sent["entry"][1]["resource"] = broken
    added, checked = (await filled.post("", json=sent)).json()["entry"]
    assert added["response"]["status"] == "200 OK"
    assert (await filled.get("/Patient/p1")).json()["meta"]["tag"] == tag["valueMeta"]["tag"]
    assert checked["resource"]["resourceType"] == "OperationOutcome"


async def test_keyed_batch_carries_an_operation_once(filled: httpx.AsyncClient) -> None:
    tag = {"name": "meta", "valueMeta": {"tag": [{"system": "urn:example:t", "code": "y"}]}}
    sent = asking("batch", "Patient/p1/$meta-add", method="POST")
    sent["entry"][0]["resource"] = {"resourceType": "Parameters", "parameter": [tag]}
    first = await filled.post("", json=sent, headers={"idempotency-key": "one"})
    again = await filled.post("", json=sent, headers={"idempotency-key": "one"})
    assert first.json() == again.json()
    assert (await filled.get("/Patient/p1")).headers["etag"] == 'W/"2"'


async def test_transaction_does_not_ask_for_what_has_an_address_of_its_own(filled: httpx.AsyncClient) -> None:
    answer = await filled.post("", json=asking("transaction", "Patient/p1", "Patient/p1/_history", "Patient/p1/$meta"))
    assert answer.status_code == 400
    assert [issue["expression"] for issue in issues(answer)] == [
        ["Bundle.entry[1].request.url"],
        ["Bundle.entry[2].request.url"],
    ]
    assert rules(answer) == {"only-in-batch"}


async def test_bundle_refuses_addresses_that_write_to_a_compartment(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "", json=asking("batch", "Patient/p1/Observation", "?_type=Patient", "", method="DELETE")
    )
    for entry in answer.json()["entry"]:
        assert entry["response"]["status"] == "400 Bad Request"
        assert entry["response"]["outcome"]["issue"][0]["details"]["coding"][0]["code"] == "malformed-url"
