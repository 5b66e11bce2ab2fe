"""Searches and histories over HTTP: Bundles, links, cursors."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.api.conftest import FHIR, issues, observation, patient, rules


async def filled(client: httpx.AsyncClient, number: int) -> None:
    entries = [
        {"resource": patient(identifier=[{"value": f"secret-{n}"}]), "request": {"method": "POST", "url": "Patient"}}
        for n in range(number)
    ]
    answer = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text


def link(bundle: dict, relation: str) -> str | None:
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), None)


async def test_search_pages_give_each_match_once(client: httpx.AsyncClient) -> None:
    await filled(client, 7)
    seen, totals = [], []
    url: str | None = "/Patient?_count=3&_sort=-_lastUpdated&_total=accurate"
    while url:
        bundle = (await client.get(url)).json()
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        totals.append(bundle["total"])
        url = link(bundle, "next")
    assert len(seen) == len(set(seen)) == 7
    assert totals == [7, 7, 7]


async def test_search_without_more_has_no_next(client: httpx.AsyncClient) -> None:
    await filled(client, 4)
    bundle = (await client.get("/Patient?_count=2")).json()
    second = (await client.get(link(bundle, "next") or "")).json()
    assert len(second["entry"]) == 2
    assert link(second, "next") is None


async def test_next_link_tells_nothing_of_the_query(client: httpx.AsyncClient) -> None:
    await filled(client, 3)
    form = {"identifier": "secret-0,secret-1,secret-2", "_count": "1"}
    answer = await client.post(
        "/Patient/_search", data=form, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    following = link(answer.json(), "next")
    assert following is not None
    assert "secret" not in following
    assert "identifier" not in following
    assert len((await client.get(following)).json()["entry"]) == 1


async def test_cursor_that_was_changed_is_refused(client: httpx.AsyncClient) -> None:
    await filled(client, 2)
    following = link((await client.get("/Patient?_count=1")).json(), "next") or ""
    cursor = parse_qs(urlsplit(following).query)["_cursor"][0]
    other = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]
    for address in (f"/Patient?_cursor={other}", "/Patient?_cursor=%C3%A9", f"/Observation?_cursor={cursor}"):
        answer = await client.get(address)
        assert answer.status_code == 400, address
        assert rules(answer) == {"unknown-cursor"}


async def test_search_names_what_it_ignored(client: httpx.AsyncClient) -> None:
    bundle = (await client.get("/Patient?gendr=male")).json()
    outcome = bundle["entry"][0]
    assert outcome["search"]["mode"] == "outcome"
    assert outcome["resource"]["issue"][0]["severity"] == "warning"
    assert link(bundle, "self") == "http://test/fhir/Patient"
    strict = await client.get("/Patient?gendr=male", headers={"prefer": "handling=strict"})
    assert strict.status_code == 400
    assert "gender" in issues(strict)[0]["diagnostics"]


async def test_search_includes_the_patient(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    await client.post("/Observation", json=observation("Patient/p1"))
    bundle = (await client.get("/Observation?_include=Observation:subject&subject:Patient.identifier=a")).json()
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["match", "include"]
    assert bundle["entry"][1]["fullUrl"] == "http://test/fhir/Patient/p1"


async def test_search_with_nothing_found_has_no_entry(client: httpx.AsyncClient) -> None:
    assert "entry" not in (await client.get("/Patient")).json()


@pytest.mark.parametrize("query", ["birthdate=yesterday", "gender:foo=male", "_count=many", "_sort=photo", "name=%FF"])
async def test_search_that_is_malformed_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/Patient?{query}")
    assert answer.status_code == 400
    assert issues(answer)


async def test_search_by_post_takes_a_form_only(client: httpx.AsyncClient) -> None:
    assert (await client.post("/Patient/_search", content=b"{}", headers=FHIR)).status_code == 415


async def test_history_pages_cover_every_version_once(client: httpx.AsyncClient) -> None:
    for language in ("a", "b", "c", "d", "e"):
        await client.put("/Patient/p1", json=patient(id="p1", language=f"x-{language}"))
    url: str | None = "/_history?_count=2"
    seen = []
    while url:
        bundle = (await client.get(url)).json()
        seen += [entry["response"]["etag"] for entry in bundle["entry"]]
        url = link(bundle, "next")
    assert seen == [f'W/"{n}"' for n in (5, 4, 3, 2, 1)]


async def test_history_since_a_moment_leaves_out_what_was_before(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=patient(id="p1"))
    assert "entry" not in (await client.get("/Patient/_history?_since=2999-01-01T00:00:00Z")).json()
    assert len((await client.get("/Patient/_history?_since=2020-01-01")).json()["entry"]) == 1
    assert (await client.get("/Patient/_history?_since=soon")).status_code == 400


async def test_history_of_an_unknown_instance_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("/Patient/nobody/_history")).status_code == 404


async def test_search_asks_the_terminology(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/terms", json={"resourceType": "Patient", "id": "terms", "gender": "female"})
    lab = {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
                ]
            }
        ],
        "code": {"text": "x"},
        "subject": {"reference": "Patient/terms"},
    }
    assert (await client.post("/Observation", json=lab)).status_code == 201
    for modifier, total in (("in", 1), ("not-in", 0)):
        asked = {f"category:{modifier}": "http://hl7.org/fhir/ValueSet/observation-category", "patient": "terms"}
        answer = await client.get("/Observation", params=asked | {"_total": "accurate"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["total"] == total
    unknown = await client.get("/Observation", params={"category:in": "https://nowhere.example/ValueSet/x"})
    assert unknown.status_code == 400
