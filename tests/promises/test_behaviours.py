"""One resource at a time: conditions, versions, preferences and searches, asked the way a tester asks.

What the tests of the API show already is not shown again; docs/promises.md says where each promise is shown.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.conformance.definitions import Definitions
from service.settings import Settings
from tests.api.conftest import FHIR, issues, observation, patient, rules
from tests.api.test_limits import served
from tests.promises.live import serving

JSON_PATCH = {"content-type": "application/json-patch+json"}
MRN = "https://hospital.example/mrn"


@pytest.fixture
async def client(settings: Settings, definitions: Definitions) -> AsyncIterator[httpx.AsyncClient]:
    async with served(settings, definitions) as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where servers keep their compiled definitions, so that only the first of them compiles."""
    return tmp_path_factory.mktemp("served")


def known(value: str, **changes: Any) -> dict[str, Any]:
    return patient(identifier=[{"system": MRN, "value": value}], **changes)


async def total(client: httpx.AsyncClient, search: str) -> int:
    return (await client.get(f"{search}&_summary=count")).json()["total"]


def following(bundle: dict[str, Any]) -> str | None:
    return next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)


async def at_once(*requests: Awaitable[httpx.Response]) -> Counter[int]:
    answers = await asyncio.gather(*requests)
    for answer in answers:
        assert answer.status_code < 400 or issues(answer)
    assert len({answer.headers["etag"] for answer in answers}) == 1
    return Counter(answer.status_code for answer in answers)


async def test_races_over_sockets_have_one_winner(database_url: str, folder: Path) -> None:
    limits = httpx.Limits(max_connections=60)
    with serving(database_url, folder) as (port, _):
        base = f"http://127.0.0.1:{port}/fhir"
        async with httpx.AsyncClient(base_url=base, headers=FHIR, timeout=60, limits=limits) as client:
            unless = {"if-none-exist": f"identifier={MRN}|1"}
            posts = [client.post("/Patient", json=known("1"), headers=unless) for _ in range(100)]
            assert await at_once(*posts) == {201: 1, 200: 99}
            puts = [client.put(f"/Patient?identifier={MRN}|2", json=known("2")) for _ in range(50)]
            assert await at_once(*puts) == {201: 1, 200: 49}
            new = {"if-none-match": "*"}
            first = [
                client.put("/Patient/a", json=known("3", id="a", language=f"x-{n}"), headers=new) for n in range(50)
            ]
            assert await at_once(*first) == {201: 1, 412: 49}
            tag = {"if-match": 'W/"1"'}
            next_ = [
                client.put("/Patient/a", json=known("3", id="a", language=f"x-y{n}"), headers=tag) for n in range(50)
            ]
            assert await at_once(*next_) == {200: 1, 412: 49}
            assert await total(client, "/Patient?") == 3


async def test_search_finds_what_was_just_written_and_pages_without_gap(client: httpx.AsyncClient) -> None:
    tied = [f"t{number}" for number in range(12)]
    for name in tied:
        await client.put(f"/Patient/{name}", json=known(name, id=name, gender="male"))
    reading, written = True, []

    async def write(number: int) -> None:
        count = 0
        while reading:
            count += 1
            who = known(f"{number}-{count}", gender="male")
            assert (await client.post("/Patient", json=who)).status_code == 201
            written.append(await total(client, f"/Patient?identifier={MRN}|{number}-{count}"))

    writers = [asyncio.create_task(write(number)) for number in range(4)]
    page = (await client.get("/Patient?gender=male&_sort=gender&_count=3&_total=accurate")).json()
    first, seen, url = page["total"], [], ""
    while url is not None:
        assert page["total"] == first
        assert page["entry"]
        seen += [entry["resource"]["id"] for entry in page["entry"]]
        before, reading = len(written), len(seen) < len(tied)
        while reading and len(written) == before:
            await asyncio.sleep(0.005)
        url = following(page)
        page = (await client.get(url)).json() if url else page
    await asyncio.gather(*writers)
    assert set(written) == {1}
    assert len(seen) == len(set(seen))
    assert set(tied) <= set(seen)


async def test_key_in_flight_is_told_to_come_back(client: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "one"}
    answers = await asyncio.gather(*(client.post("/Patient", json=known("1"), headers=key) for _ in range(10)))
    early = [answer for answer in answers if answer.status_code == 409]
    assert early
    for answer in early:
        assert rules(answer) == {"idempotency-key-in-flight"}
        assert answer.headers["retry-after"]
    again = await client.post("/Patient", json=known("1"), headers=key)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert await total(client, "/Patient?") == 1


async def test_update_that_must_create_never_overwrites(client: httpx.AsyncClient) -> None:
    new = {"if-none-match": "*"}
    assert (await client.put("/Patient/a", json=known("1", id="a"), headers=new)).status_code == 201
    again = await client.put("/Patient/a", json=known("1", id="a", gender="male"), headers=new)
    assert (again.status_code, again.headers["etag"], rules(again)) == (412, 'W/"1"', {"version-mismatch"})
    found = await client.put(f"/Patient?identifier={MRN}|1", json=known("1", gender="male"), headers=new)
    assert found.status_code == 412
    entry = {"resource": known("1", id="a", gender="male"), "request": {"method": "PUT", "url": "Patient/a"}}
    entry["request"]["ifNoneMatch"] = "*"
    sent = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert (sent.status_code, sent.headers["etag"]) == (412, 'W/"1"')
    assert "gender" not in (await client.get("/Patient/a")).json()
    await client.delete("/Patient/a")
    assert (await client.put("/Patient/a", json=known("1", id="a"), headers=new)).status_code == 201


@pytest.mark.parametrize("tag", ['W/"0"', "*", 'W/"1", W/"2"', 'W/"x"', "1"])
async def test_if_match_that_names_no_version_changes_nothing(client: httpx.AsyncClient, tag: str) -> None:
    await client.put("/Patient/a", json=known("1", id="a"))
    for id_ in ("a", "new"):
        headers = {"if-match": tag}
        patch = [{"op": "add", "path": "/active", "value": True}]
        answers = [
            await client.put(f"/Patient/{id_}", json=known("1", id=id_, active=True), headers=headers),
            await client.patch(f"/Patient/{id_}", content=json.dumps(patch), headers=headers | JSON_PATCH),
            await client.delete(f"/Patient/{id_}", headers=headers),
        ]
        assert {answer.status_code for answer in answers} <= {400, 412}
    assert (await client.get("/_history?_summary=count")).json()["total"] == 1


async def test_condition_that_stands_twice_is_not_half_read(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/a", json=known("1", id="a"))
    twice = [*FHIR.items(), ("if-match", 'W/"1"'), ("if-match", 'W/"9"')]
    assert (await client.put("/Patient/a", json=known("2", id="a"), headers=twice)).status_code == 400
    twice = [*FHIR.items(), ("if-none-exist", "identifier=x"), ("if-none-exist", f"identifier={MRN}|1")]
    assert (await client.post("/Patient", json=known("1"), headers=twice)).status_code == 400
    headers = [*FHIR.items(), ("prefer", "return=minimal"), ("prefer", "handling=strict")]
    assert (await client.get("/Patient?gendr=male", headers=headers)).status_code == 400
    assert await total(client, "/Patient?") == 1


async def test_if_none_exist_as_an_address_is_of_the_same_type(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/a", json=known("1", id="a"))
    for condition, status in ((f"Patient?identifier={MRN}|1", 200), (f"Observation?identifier={MRN}|1", 400)):
        answer = await client.post("/Patient", json=known("1"), headers={"if-none-exist": condition})
        assert answer.status_code == status
        request = {"method": "POST", "url": "Patient", "ifNoneExist": condition}
        bundle = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"resource": known("1"), "request": request}],
        }
        assert (await client.post("", json=bundle)).status_code == status
    asked = {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier={MRN}|x?_id=a"}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": known("x"), "request": asked}]}
    assert (await client.post("", json=bundle)).json()["entry"][0]["response"]["status"] == "201 Created"


@pytest.mark.parametrize("criteria", ["identifer=1", "identifier:like=1", "birthdate=soon", "_count=1", "identifier="])
async def test_criteria_that_do_not_choose_write_nothing(client: httpx.AsyncClient, criteria: str) -> None:
    await client.put("/Patient/a", json=known("1", id="a"))
    answers = [
        await client.post("/Patient", json=known("1"), headers={"if-none-exist": criteria}),
        await client.put(f"/Patient?{criteria}", json=known("1", gender="male")),
        await client.patch(f"/Patient?{criteria}", content=b"[]", headers=JSON_PATCH),
        await client.delete(f"/Patient?{criteria}"),
    ]
    assert {answer.status_code for answer in answers} <= {400, 412}
    assert (await client.get("/_history?_summary=count")).json()["total"] == 1


async def test_conditional_update_in_each_of_its_cases(client: httpx.AsyncClient) -> None:
    address = f"/Patient?identifier={MRN}|1"
    created = await client.put(address, json=known("1", id="mine"))
    assert (created.status_code, created.json()["id"]) == (201, "mine")
    same = await client.put(address, json=known("1", id="mine", gender="male"))
    assert (same.status_code, same.headers["etag"]) == (200, 'W/"2"')
    other = await client.put(address, json=known("1", id="other"))
    assert (other.status_code, rules(other)) == (400, {"id-mismatch"})
    await client.post("/Patient", json=known("1"))
    several = await client.put(address, json=known("1"))
    assert (several.status_code, issues(several)[0]["code"]) == (412, "multiple-matches")


async def test_deleted_resource_answers_its_etag_and_comes_back_by_put(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/a", json=known("1", id="a"))
    assert (await client.delete("/Patient/a")).headers["etag"] == 'W/"2"'
    for method in ("GET", "HEAD", "PATCH"):
        answer = await client.request(method, "/Patient/a", content=b"[]", headers=JSON_PATCH)
        assert (answer.status_code, answer.headers["etag"]) == (410, 'W/"2"')
    assert await total(client, f"/Patient?identifier={MRN}|1") == 0
    back = await client.put("/Patient/a", json=known("1", id="a"))
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')
    statuses = [(await client.get(f"/Patient/a/_history/{number}")).status_code for number in (1, 2, 3, 4)]
    assert statuses == [200, 410, 200, 404]
    assert await total(client, f"/Patient?identifier={MRN}|1") == 1


LOSSLESS = """{"resourceType":"Observation","id":"o","status":"final","_status":{"id":"s"},
"extension":[{"url":"https://hospital.example/note","valueString":"İIıi ŞşĞğ Çç Öö Üü"}],
"code":{"text":"FERRİTİN","_text":{"extension":[{"url":"https://hospital.example/as","valueDecimal":1.10}]}},
"_effectiveDateTime":{"extension":[
{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]},
"valueQuantity":{"value":1.00},"component":[{"code":{"text":"a"},"valueQuantity":{"value":-0.0}},
{"code":{"text":"b"},"valueQuantity":{"value":1.50E+3}},
{"code":{"text":"c"},"valueQuantity":{"value":12345678901234567890.1234567890}}]}""".replace("\n", "")


async def test_nothing_of_what_was_sent_is_lost(client: httpx.AsyncClient) -> None:
    assert (await client.put("/Observation/o", content=LOSSLESS.encode())).status_code == 201
    read = await client.get("/Observation/o")
    assert read.text.partition('"status"')[2] == LOSSLESS.partition('"status"')[2]
    found = (await client.get("/Observation?_id=o")).text
    assert LOSSLESS.partition('"status"')[2][:-1] in found
    for body in (LOSSLESS.encode(), read.content):
        answer = await client.put("/Observation/o", content=body)
        assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"1"')
    shorter = await client.put("/Observation/o", content=LOSSLESS.replace("1.00}", "1.0}").encode())
    assert shorter.headers["etag"] == 'W/"2"'


async def test_elements_of_r4_stay_and_those_of_other_releases_are_refused(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/a", json=known("1", id="a"))
    order = {"resourceType": "MedicationRequest", "status": "active", "intent": "order"}
    order |= {"subject": {"reference": "Patient/a"}}
    drug = {"text": "tocilizumab"}
    stored = await client.post("/MedicationRequest", json=order | {"medicationCodeableConcept": drug})
    assert stored.json()["medicationCodeableConcept"] == drug
    newer = await client.post("/MedicationRequest", json=order | {"medication": {"concept": drug}})
    assert (newer.status_code, "MedicationRequest.medication") == (400, issues(newer)[0]["expression"][0])
    later = await client.post("/Ingredient", json={"resourceType": "Ingredient", "status": "active"})
    assert later.status_code == 404


@pytest.mark.parametrize(("zone", "found"), [("Europe/Istanbul", "abd"), ("UTC", "bcd")])
async def test_day_is_that_of_the_site(settings: Settings, definitions: Definitions, zone: str, found: str) -> None:
    times = ("2021-03-03T21:30:00Z", "2021-03-04T20:59:59Z", "2021-03-04T21:00:00Z", "2021-03-04")
    async with served(settings, definitions, time_zone=zone) as client:
        await client.put("/Patient/p", json=known("1", id="p"))
        for id_, time in zip("abcd", times, strict=True):
            lab = observation("Patient/p", id=id_, effectiveDateTime=time)
            assert (await client.put(f"/Observation/{id_}", json=lab)).status_code == 201
        entries = (await client.get("/Observation?date=2021-03-04&_sort=_id")).json()["entry"]
        assert "".join(sorted(entry["resource"]["id"] for entry in entries)) == found


@pytest.mark.parametrize(
    ("query", "hint"),
    [("gender:nto=male", "not"), ("family:exat=a", "exact"), ("gendr=male", "gender"), ("brithdate=2000", "birthdate")],
)
async def test_refused_search_says_what_was_meant(client: httpx.AsyncClient, query: str, hint: str) -> None:
    answer = await client.get(f"/Patient?{query}", headers={"prefer": "handling=strict"})
    assert answer.status_code == 400
    assert hint in issues(answer)[0]["diagnostics"].partition("did you mean")[2]
