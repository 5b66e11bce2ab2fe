"""The simulated hospital without quirks: FHIR R4 as it should be, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.simulators.conftest import LAB, Client, matches, numbered, observation

Hospital = Callable[..., Client]


def test_create_read_update_delete_and_versions(hospital_of: Hospital) -> None:
    client = hospital_of()
    made = client.post("/fhir/Observation", json=observation(value=1))
    assert made.status_code == 201
    assert made.headers["etag"] == 'W/"1"'
    id_ = made.json()["id"]
    assert client.get(f"/fhir/Observation/{id_}").json() == made.json()

    changed = client.put(f"/fhir/Observation/{id_}", json=observation(id_, 2), headers={"If-Match": 'W/"1"'})
    assert (changed.status_code, changed.json()["meta"]["versionId"]) == (200, "2")
    assert client.get(f"/fhir/Observation/{id_}/_history/1").json()["valueQuantity"]["value"] == 1

    assert client.delete(f"/fhir/Observation/{id_}").status_code == 204
    assert client.get(f"/fhir/Observation/{id_}").status_code == 410
    history = client.bundle(f"Observation/{id_}/_history")
    assert [entry["request"]["method"] for entry in history["entry"]] == ["DELETE", "PUT", "POST"]
    assert "resource" not in history["entry"][0]


def test_numbers_keep_their_digits(hospital_of: Hospital) -> None:
    client = hospital_of()
    body = '{"resourceType":"Observation","valueQuantity":{"value":1.00}}'
    made = client.post("/fhir/Observation", content=body)
    assert '"value":1.00}' in client.get(f"/fhir/Observation/{made.json()['id']}").text


def test_update_with_an_old_version_is_412_and_changes_nothing(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(1))
    client.ehr.put([observation("o000", 5)])
    refused = client.put("/fhir/Observation/o000", json=observation("o000", 9), headers={"If-Match": 'W/"1"'})
    assert refused.status_code == 412
    assert refused.json()["resourceType"] == "OperationOutcome"
    assert client.get("/fhir/Observation/o000").json()["valueQuantity"]["value"] == 5


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "Observation/none", None, 404),
        ("GET", "Observation/none/_history", None, 404),
        ("GET", "nothing", None, 404),
        ("POST", "Observation", "{", 400),
        ("POST", "Observation", '{"resourceType":"Patient"}', 400),
        ("PUT", "Observation/a", '{"resourceType":"Observation","id":"b"}', 400),
        ("PATCH", "Observation/a", "[]", 405),
        ("GET", "Observation?_lastUpdated=ge31.12.2021", None, 400),
        ("GET", "Observation?_page=p999", None, 410),
        ("POST", "", '{"resourceType":"Bundle","type":"collection"}', 400),
    ],
)
def test_refusals(hospital_of: Hospital, method: str, path: str, body: str | None, status: int) -> None:
    answer = hospital_of().request(method, f"/fhir/{path}", content=body)
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_conditional_creates_at_once_make_one_resource(hospital_of: Hospital) -> None:
    client = hospital_of()
    body = observation(identifier=[{"system": LAB, "value": "a1"}])
    headers = {"If-None-Exist": f"identifier={LAB}|a1"}
    with ThreadPoolExecutor(10) as pool:
        posts = [pool.submit(client.post, "/fhir/Observation", json=body, headers=headers) for _ in range(40)]
        answers = [post.result() for post in posts]
    assert sorted(answer.status_code for answer in answers) == [200] * 39 + [201]
    assert len(client.ehr.resources("Observation")) == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("code=LDH", "a"),
        (f"code={LAB}|CRP", "b"),
        ("code=LDH,CRP", "ab"),
        ("code=|LDH", ""),
        ("patient=Patient/p1", "a"),
        ("patient=p2&code=CRP", "b"),
        ("subject=Group/g1", "c"),
        ("patient=g1", ""),
        ("status=final", "ab"),
        ("category=laboratory", "a"),
        ("identifier=https://hospital.example/lab|7", "c"),
        ("_id=a,c", "ac"),
        ("date=2021-08", "ab"),
        ("date=2021-08-02", "a"),
        ("date=ge2021-08-03", "bc"),
        ("date=gt2021-08-02&date=lt2022", "b"),
        ("date=le2021-08-02T09:00:00Z", "a"),
        ("shoe-size=44", "abc"),
    ],
)
def test_search(hospital_of: Hospital, query: str, expected: str) -> None:
    crp = {"coding": [{"system": LAB, "code": "CRP"}]}
    laboratory = [{"coding": [{"code": "laboratory"}]}]
    client = hospital_of(
        [
            observation("a", category=laboratory, effectiveDateTime="2021-08-02T10:00:00+02:00"),
            observation("b", code=crp, subject={"reference": "Patient/p2"}, effectiveDateTime="2021-08-05"),
            observation(
                "c",
                code={"text": "none"},
                subject={"reference": "Group/g1"},
                status="preliminary",
                identifier=[{"system": LAB, "value": "7"}],
                effectivePeriod={"start": "2022-01-01"},
            ),
        ]
    )
    assert client.ids(f"Observation?{query}") == list(expected)


def test_search_by_last_updated_to_the_millisecond(hospital_of: Hospital) -> None:
    client = hospital_of()
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for number, resource in enumerate(numbered(3)):
        client.ehr.put([resource], start + timedelta(milliseconds=number))
    instants = [each["meta"]["lastUpdated"] for each in client.ehr.resources()]
    assert instants == ["2026-01-01T12:00:00.000Z", "2026-01-01T12:00:00.001Z", "2026-01-01T12:00:00.002Z"]
    counts = {
        prefix: len(client.ids(f"Observation?_lastUpdated={prefix}2026-01-01T12:00:00.001Z"))
        for prefix in ("", "eq", "ge", "gt", "le", "lt")
    }
    assert counts == {"": 1, "eq": 1, "ge": 2, "gt": 1, "le": 2, "lt": 1}
    assert len(client.ids("Observation?_lastUpdated=2026-01-01T12:00:00Z")) == 3
    assert client.ids("Observation?_sort=-_lastUpdated") == ["o002", "o001", "o000"]


def test_pages_are_those_of_the_first_request(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(45))
    first = client.bundle("Observation?_count=20")
    assert (first["total"], len(matches(first))) == (45, 20)
    client.ehr.put([observation("late")])
    pages = client.pages(first["link"][1]["url"])
    assert [len(matches(page)) for page in pages] == [20, 5]
    assert "late" not in [each["id"] for page in pages for each in matches(page)]


def test_search_by_post(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(3))
    answer = client.post("/fhir/Observation/_search?_count=5", data={"_id": "o001"})
    assert [each["id"] for each in matches(answer.json())] == ["o001"]


def test_transaction_links_and_is_whole(hospital_of: Hospital) -> None:
    client = hospital_of()
    entries = [
        {
            "fullUrl": "urn:uuid:1",
            "resource": observation(subject={"reference": "urn:uuid:2"}),
            "request": {"method": "POST", "url": "Observation"},
        },
        {
            "fullUrl": "urn:uuid:2",
            "resource": {"resourceType": "Patient"},
            "request": {"method": "POST", "url": "Patient"},
        },
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    done = client.post("/fhir", json=bundle).json()
    assert [entry["response"]["status"] for entry in done["entry"]] == ["201", "201"]
    (patient,), (result,) = client.ehr.resources("Patient"), client.ehr.resources("Observation")
    assert result["subject"]["reference"] == f"Patient/{patient['id']}"

    bad = {"resource": observation("x"), "request": {"method": "PUT", "url": "Observation/y"}}
    refused = client.post("/fhir", json=bundle | {"entry": [*entries, bad]})
    assert refused.status_code == 400
    assert len(client.ehr.resources()) == 2
    batch = client.post("/fhir", json=bundle | {"type": "batch", "entry": [*entries, bad]}).json()
    assert [entry["response"]["status"] for entry in batch["entry"]] == ["201", "201", "400"]


def test_transaction_creates_on_condition(hospital_of: Hospital) -> None:
    client = hospital_of([{"resourceType": "Patient", "id": "p9", "identifier": [{"value": "x"}]}])
    entries = [
        {
            "fullUrl": "urn:uuid:2",
            "resource": {"resourceType": "Patient"},
            "request": {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=x"},
        },
        {
            "resource": observation(subject={"reference": "urn:uuid:2"}),
            "request": {"method": "POST", "url": "Observation"},
        },
    ]
    client.post("/fhir/", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert client.ehr.resources("Observation")[0]["subject"]["reference"] == "Patient/p9"


def test_history_since(hospital_of: Hospital) -> None:
    client = hospital_of()
    client.ehr.put(numbered(2), datetime(2026, 1, 1, tzinfo=UTC))
    client.ehr.delete("Observation/o001")
    entries = client.bundle("Observation/_history?_since=2026-01-02T00:00:00Z")["entry"]
    assert [entry["request"] for entry in entries] == [{"method": "DELETE", "url": "Observation/o001"}]
    assert client.bundle("_history")["total"] == 3


def test_conditional_update(hospital_of: Hospital) -> None:
    client = hospital_of([observation("a", identifier=[{"value": "k"}])])
    done = client.put("/fhir/Observation?identifier=k", json=observation(value=7))
    assert (done.status_code, done.json()["id"], done.json()["valueQuantity"]["value"]) == (200, "a", 7)
    assert client.put("/fhir/Observation?identifier=new", json=observation()).status_code == 201


def test_capability_statement(hospital_of: Hospital) -> None:
    statement = hospital_of().get("/fhir/metadata").json()
    assert statement["fhirVersion"] == "4.0.1"
    assert {"code": "transaction"} in statement["rest"][0]["interaction"]
