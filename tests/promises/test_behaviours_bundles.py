"""Transactions and batches: order, identity, links, conditional references, preferences, asked as a tester asks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import httpx
import pytest

from service.conformance.definitions import Definitions
from service.settings import Settings
from tests.api.conftest import issues, observation, patient, rules
from tests.api.test_bundles import bundle, get, post
from tests.api.test_limits import served

MRN = "https://hospital.example/mrn"
URN, OTHER = (f"urn:uuid:6f0f2c1e-6d0a-4f0e-9d68-0d6f5f6b1c0{number}" for number in (1, 2))
OID = "urn:oid:1.2.840.113556"


@pytest.fixture
async def client(settings: Settings, definitions: Definitions) -> AsyncIterator[httpx.AsyncClient]:
    async with served(settings, definitions) as opened:
        yield opened


def known(value: str, **changes: Any) -> dict[str, Any]:
    return patient(identifier=[{"system": MRN, "value": value}], **changes)


def put(url: str, resource: dict[str, Any], **request: Any) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": "PUT", "url": url, **request}}


def delete(url: str) -> dict[str, Any]:
    return {"request": {"method": "DELETE", "url": url}}


async def versions(client: httpx.AsyncClient) -> int:
    return (await client.get("/_history?_summary=count")).json()["total"]


async def stored(client: httpx.AsyncClient, answer: httpx.Response, index: int) -> dict[str, Any]:
    """The resource that an entry made."""
    assert answer.status_code == 200, answer.text
    return (await client.get(answer.json()["entry"][index]["response"]["location"])).json()


def place(resource: dict[str, Any]) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


async def test_order_of_entries_never_decides_the_outcome(client: httpx.AsyncClient) -> None:
    random, outcomes = Random(19), set()
    for number in range(8):
        was, kept, lab = f"was-{number}", f"kept-{number}", f"lab-{number}"
        await client.put(f"/Patient/{was}", json=known(was, id=was))
        await client.put(f"/Patient/{kept}", json=known(kept, id=kept))
        patch = {"name": "type", "valueCode": "add"}, {"name": "path", "valueString": "Patient"}
        patch += {"name": "name", "valueString": "gender"}, {"name": "value", "valueCode": "female"}
        change = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": list(patch)}]}
        entries = [
            delete(f"Patient/{was}"),
            post(known(was, active=True), URN, ifNoneExist=f"identifier={MRN}|{was}"),
            put(f"Observation/{lab}", observation(URN, id=lab)),
            post(observation(f"Patient?identifier={MRN}|{was}", code={"text": lab})),
            {"resource": change, "request": {"method": "PATCH", "url": f"Patient/{kept}"}},
            get(f"Patient?identifier={MRN}|{was}"),
            get(f"Patient/{kept}"),
        ]
        order = list(range(len(entries)))
        random.shuffle(order)
        answer = await client.post("", json=bundle("transaction", *(entries[index] for index in order)))
        assert answer.status_code == 200, (order, answer.text)
        by_entry = dict(zip(order, answer.json()["entry"], strict=True))
        made = by_entry[1]["response"]["location"].split("/fhir/")[1].split("/_history")[0]
        linked = (await client.get(f"/Observation?subject={made}&_summary=count")).json()["total"]
        found = [entry["resource"]["active"] for entry in by_entry[5]["resource"]["entry"]]
        statuses = tuple(by_entry[index]["response"]["status"] for index in range(len(entries)))
        outcomes.add((statuses, linked, *found, by_entry[6]["resource"]["gender"]))
    created, done = "201 Created", "200 OK"
    assert outcomes == {(("204 No Content", created, created, created, done, done, done), 2, True, "female")}


OVERLAPS = [
    [put(f"Patient?identifier={MRN}|n", known("n")), put(f"Patient?identifier={MRN}|n", known("n", gender="male"))],
    [post(known("n"), ifNoneExist=f"identifier={MRN}|n"), post(known("n"), ifNoneExist=f"identifier={MRN}|n")],
    [post(known("n")), post(known("n"), ifNoneExist=f"identifier={MRN}|n")],
    [put("Patient/a", known("1", id="a", gender="male")), put(f"Patient?identifier={MRN}|1", known("1"))],
    [put("Patient/a", known("1", id="a", gender="male")), delete("Patient/a")],
    [delete("Patient/a"), delete(f"Patient?identifier={MRN}|1")],
]


@pytest.mark.parametrize("entries", OVERLAPS)
async def test_two_entries_about_one_resource_are_refused_by_name(
    client: httpx.AsyncClient, entries: list[dict[str, Any]]
) -> None:
    await client.put("/Patient/a", json=known("1", id="a"))
    answer = await client.post("", json=bundle("transaction", *entries))
    (issue,) = issues(answer)
    assert (answer.status_code, issue["code"]) == (400, "duplicate")
    assert all(f"Bundle.entry[{number}]" in issue["diagnostics"] for number in (0, 1))
    assert await versions(client) == 1


async def test_links_are_rewritten_wherever_they_stand(client: httpx.AsyncClient) -> None:
    links = '<a href="{0}">p</a><img src=\'{0}\' alt="{0}"/>'
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{links.format(OID)}</div>'
    urls = {"valueUri": OID, "valueUrl": OID, "valueOid": OID, "valueUuid": URN, "valueCanonical": OID}
    held = {"resourceType": "Specimen", "id": "s", "subject": {"reference": OID}}
    first = observation(
        OID,
        contained=[held],
        specimen={"reference": "#s"},
        text={"status": "generated", "div": div},
        extension=[{"url": f"https://hospital.example/{name}", name: value} for name, value in urls.items()],
        hasMember=[{"reference": OTHER}],
        identifier=[{"system": "urn:ietf:rfc:3986", "value": OID}],
    )
    second = observation(OID, derivedFrom=[{"reference": URN}])
    answer = await client.post(
        "", json=bundle("transaction", post(first, URN), post(second, OTHER), post(known("1"), OID))
    )
    one, two, who = [await stored(client, answer, index) for index in range(3)]
    assert one["hasMember"][0]["reference"] == place(two)
    assert two["derivedFrom"][0]["reference"] == place(one)
    assert one["subject"] == one["contained"][0]["subject"] == {"reference": place(who)}
    assert one["specimen"] == {"reference": "#s"}
    assert one["text"]["div"] == div.replace(f'href="{OID}', f'href="{place(who)}').replace(
        f"src='{OID}", f"src='{place(who)}"
    )
    written = {name: value for extension in one["extension"] for name, value in extension.items() if name != "url"}
    assert written == dict.fromkeys(urls, place(who)) | {"valueUuid": place(one), "valueCanonical": OID}
    assert one["identifier"][0]["value"] == OID


@pytest.mark.parametrize("base", ["http://test/fhir", "https://elsewhere.example/fhir"])
async def test_addresses_of_the_sender_become_ours(client: httpx.AsyncClient, base: str) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{base}/Patient/7">p</a></div>'
    text = {"status": "generated", "div": div}
    entries = [
        post(observation(f"{base}/Patient/7"), URN),
        post(observation("Patient/7", text=text), f"{base}/Observation/8"),
        post(known("1"), f"{base}/Patient/7"),
        post(observation("https://third.example/fhir/Patient/7")),
    ]
    answer = await client.post("", json=bundle("transaction", *entries))
    full, relative, who, foreign = [await stored(client, answer, index) for index in range(4)]
    assert who["id"] != "7"
    assert full["subject"] == relative["subject"] == {"reference": place(who)}
    assert relative["text"]["div"] == div.replace(f"{base}/Patient/7", place(who))
    assert foreign["subject"] == {"reference": "https://third.example/fhir/Patient/7"}


async def test_reference_to_a_version_keeps_it(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/a", json=known("1", id="a"))
    for text in ("Patient/a/_history/1", "http://test/fhir/Patient/a/_history/1"):
        made = await client.post("/Observation", json=observation(text))
        assert made.json()["subject"] == {"reference": "Patient/a/_history/1"}
    assert (await client.delete("/Patient/a")).status_code == 409


@pytest.mark.parametrize("text", [URN, OID, "urn:other:thing", f"{OTHER}#part"])
async def test_urn_that_leads_nowhere_is_refused(client: httpx.AsyncClient, text: str) -> None:
    alone = await client.post("/Observation", json=observation(text))
    update = await client.put("/Observation/o", json=observation(text, id="o"))
    sent = await client.post("", json=bundle("transaction", post(known("1"), OTHER), post(observation(text))))
    for answer, under in ((alone, "Observation"), (update, "Observation"), (sent, "Bundle.entry[1].resource")):
        assert (answer.status_code, rules(answer)) == (400, {"unresolved-urn"})
        assert issues(answer)[0]["expression"] == [f"{under}.subject.reference"]
    assert await versions(client) == 0


CONDITIONAL = [
    ("Patient?identifier={0}|none", "not-found"),
    ("Patient?identifier={0}|1", "multiple-matches"),
    ("Patient?identifer={0}|1", "not-supported"),
    ("Patient?", "conflict"),
    ("Patient?_count=1", "conflict"),
    ("Patient?identifier={0}|gone", "not-found"),
]


@pytest.mark.parametrize(("condition", "code"), CONDITIONAL)
async def test_conditional_reference_that_chooses_no_one_fails(
    client: httpx.AsyncClient, condition: str, code: str
) -> None:
    await client.put("/Patient/gone", json=known("gone", id="gone"))
    entries = [delete("Patient/gone"), post(observation(condition.format(MRN)))]
    if code == "multiple-matches":
        entries += [post(known("1")), post(known("1"))]
    answer = await client.post("", json=bundle("transaction", *entries))
    (issue,) = issues(answer)
    assert (answer.status_code, issue["code"]) == (412, code)
    assert issue["expression"] == ["Bundle.entry[1].resource.subject.reference"]
    assert issue["diagnostics"].startswith("Conditional reference to Patient: ")
    assert await versions(client) == 1


async def test_conditional_reference_finds_an_entry_of_the_bundle(client: httpx.AsyncClient) -> None:
    by_condition = [f"Patient?identifier={MRN}|1", f"http://test/fhir/Patient?identifier={MRN}|1"]
    for made in (known("1"), known("1", gender="male")):
        entries = [*(post(observation(text)) for text in by_condition), put(f"Patient?identifier={MRN}|1", made)]
        answer = await client.post("", json=bundle("transaction", *entries))
        who = place(await stored(client, answer, 2))
        for index in (0, 1):
            assert (await stored(client, answer, index))["subject"]["reference"] == who
    assert (await client.get("/Patient?_summary=count")).json()["total"] == 1


async def test_batch_answers_each_entry_at_its_place(client: httpx.AsyncClient) -> None:
    for _ in range(2):
        await client.post("/Patient", json=known("1"))
    nothing = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="}
    several = f"Patient?identifier={MRN}|1"
    entries = [
        post(known("2"), URN),
        post(observation("Patient/none", focus=[{"reference": URN}])),
        delete(several),
        {"resource": nothing, "request": {"method": "PATCH", "url": several}},
        put(several, known("1")),
        delete("Patient"),
        put("Patient/new", known("3", id="new"), ifMatch='W/"0"'),
        get("Patient?gender:nto=male"),
        post(known("4"), ifNoneExist=f"identifier={MRN}|2"),
    ]
    answer = await client.post("", json=bundle("batch", *entries))
    assert answer.status_code == 200
    parts = answer.json()["entry"]
    statuses = [part["response"]["status"][:3] for part in parts]
    assert statuses[:-1] == ["201", "400", "412", "412", "412", "412", "412", "400"]
    for number, part in enumerate(parts[:-1]):
        for issue in part["response"].get("outcome", {}).get("issue", []):
            assert issue["expression"][0].startswith(f"Bundle.entry[{number}]")


async def test_preferences_hold_inside_bundles(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/a", json=known("1", id="a"))
    head = {"request": {"method": "HEAD", "url": "Patient/a"}}
    entries = [post(known("2")), put("Patient/a", known("1", id="a")), delete("Patient/none"), get("Patient/a"), head]
    shapes = {
        "minimal": [set(), set(), set(), {"resource"}, set()],
        "representation": [{"resource"}, {"resource"}, set(), {"resource"}, set()],
        "OperationOutcome": [{"outcome"}, {"outcome"}, {"outcome"}, {"resource"}, set()],
    }
    for wish, expected in shapes.items():
        answer = await client.post("", json=bundle("transaction", *entries), headers={"prefer": f"return={wish}"})
        parts = answer.json()["entry"]
        shown = [({"resource"} & set(part)) | ({"outcome"} & set(part["response"])) for part in parts]
        assert shown == expected, wish
        broken = await client.post(
            "", json=bundle("transaction", post(known("2", gender="x"))), headers={"prefer": f"return={wish}"}
        )
        assert issues(broken)[0]["expression"] == ["Bundle.entry[0].resource.gender"]
    unknown = get("Patient?gendr=male")
    lenient = (await client.post("", json=bundle("batch", unknown))).json()["entry"][0]
    assert "gendr" in json.dumps(lenient["resource"]["entry"][-1])
    strict = {"prefer": "handling=strict"}
    refused = (await client.post("", json=bundle("batch", unknown), headers=strict)).json()["entry"][0]
    assert refused["response"]["status"][:3] == "400"
    assert (await client.post("", json=bundle("transaction", unknown), headers=strict)).status_code == 400
