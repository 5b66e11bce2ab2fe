"""`_summary`, `_elements` and `_pretty` on read, vread, search and history."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.api.conftest import issues, observation, patient, rules

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'


def full(**changes: Any) -> dict[str, Any]:
    """A patient with elements of every kind: summary, modifier, neither."""
    return patient(
        id="p1",
        meta={"tag": [{"system": "urn:x", "code": "kept"}]},
        text={"status": "generated", "div": DIV},
        active=True,
        name=[{"family": "x", "extension": [{"url": "urn:x", "valueString": "e"}]}],
        contact=[{"name": {"text": "y"}}],
        photo=[{"contentType": "image/png", "data": "AAAA"}],
        _birthDate={"extension": [{"url": "urn:absent", "valueCode": "unknown"}]},
        deceasedBoolean=False,
        **changes,
    )


async def read(client: httpx.AsyncClient, query: str, address: str = "/Patient/p1") -> dict[str, Any]:
    answer = await client.get(f"{address}?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def stored(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a store that has the patient."""
    assert (await client.put("/Patient/p1", json=full())).status_code == 201
    return client


async def test_summary_true_keeps_what_the_definitions_mark(stored: httpx.AsyncClient) -> None:
    found = await read(stored, "_summary=true")
    assert set(found) == {
        "resourceType", "id", "meta", "identifier", "active", "name", "_birthDate", "deceasedBoolean",
    }  # fmt: skip
    assert found["name"] == [{"family": "x"}]
    assert found["meta"]["tag"] == [{"system": "urn:x", "code": "kept"}, SUBSETTED]
    assert found["meta"]["versionId"] == "1"


async def test_summary_text_and_data_split_the_resource(stored: httpx.AsyncClient) -> None:
    text = await read(stored, "_summary=text")
    assert set(text) == {"resourceType", "id", "meta", "text", "active", "deceasedBoolean"}
    data = await read(stored, "_summary=data")
    assert set(data) == set(full()) - {"text"}
    assert SUBSETTED in data["meta"]["tag"]


async def test_summary_false_is_the_bytes_that_were_stored(stored: httpx.AsyncClient) -> None:
    whole = await stored.get("/Patient/p1")
    assert (await stored.get("/Patient/p1?_summary=false")).content == whole.content
    assert "SUBSETTED" not in whole.text


async def test_elements_keep_what_is_named_mandatory_or_a_modifier(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=full())
    await client.put("/Observation/o1", json=observation("Patient/p1", id="o1", valueQuantity={"value": 1}))
    named = await read(client, "_elements=name,Patient.photo,Observation.value")
    assert set(named) == {"resourceType", "id", "meta", "name", "photo", "active", "deceasedBoolean"}
    assert named["name"] == full()["name"]


async def test_elements_name_a_choice_without_its_type(client: httpx.AsyncClient) -> None:
    sent = (
        b'{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x"},'
        b'"valueQuantity":{"value":1.00},"note":[{"text":"n"}]}'
    )
    await client.put("/Observation/o1", content=sent)
    answer = await client.get("/Observation/o1?_elements=value")
    assert set(answer.json()) == {"resourceType", "id", "meta", "status", "code", "valueQuantity"}
    assert '"value":1.00' in answer.text
    assert set((await client.get("/Observation/o1?_elements=note")).json()) == {
        "resourceType", "id", "meta", "status", "code", "note",
    }  # fmt: skip


async def test_search_and_its_pages_are_subsetted_with_what_they_include(client: httpx.AsyncClient) -> None:
    await client.put("/Patient/p1", json=full())
    for name in ("o1", "o2"):
        await client.put(f"/Observation/{name}", json=observation("Patient/p1", id=name, note=[{"text": "n"}]))
    first = await read(client, "_summary=true&_include=Observation:subject&_count=1", "/Observation")
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    second = (await client.get(following)).json()
    for bundle in (first, second):
        modes = {entry["search"]["mode"]: entry["resource"] for entry in bundle["entry"]}
        assert "note" not in modes["match"]
        assert "contact" not in modes["include"]
        assert all(SUBSETTED in resource["meta"]["tag"] for resource in modes.values())
    assert {"relation": "self", "url": first["link"][0]["url"]} in first["link"]
    assert "_summary=true" in first["link"][0]["url"]
    strict = await client.get("/Observation?_elements=code", headers={"prefer": "handling=strict"})
    assert set(strict.json()["entry"][0]["resource"]) == {"resourceType", "id", "meta", "status", "code"}


async def test_history_and_vread_are_subsetted(stored: httpx.AsyncClient) -> None:
    await stored.put("/Patient/p1", json=full(gender="male"))
    await stored.delete("/Patient/p1")
    history = await read(stored, "_elements=gender", "/Patient/p1/_history")
    assert [set(entry.get("resource", {})) - set(full()) for entry in history["entry"]] == [
        set(),
        {"gender"},
        set(),
    ]
    assert "name" not in history["entry"][1]["resource"]
    counted = await read(stored, "_summary=count", "/_history")
    assert counted["total"] == 3
    assert "entry" not in counted
    version = await read(stored, "_summary=text", "/Patient/p1/_history/1")
    assert "name" not in version


async def test_batch_search_is_subsetted(stored: httpx.AsyncClient) -> None:
    request = {"request": {"method": "GET", "url": "Patient?_elements=name"}}
    answer = await stored.post("", json={"resourceType": "Bundle", "type": "batch", "entry": [request]})
    found = answer.json()["entry"][0]["resource"]["entry"][0]["resource"]
    assert "photo" not in found
    assert SUBSETTED in found["meta"]["tag"]


@pytest.mark.parametrize(
    "query",
    ["_summary=maybe", "_elements=a-b", "_elements=name.family", "_elements=%20%3B", "_summary=true&_summary=x"],
)
async def test_malformed_wish_is_refused(stored: httpx.AsyncClient, query: str) -> None:
    for address in ("/Patient/p1", "/Patient", "/Patient/p1/_history", "/_history"):
        answer = await stored.get(f"{address}?{query}")
        assert (answer.status_code, rules(answer)) == (400, {"invalid-parameter"}), address


async def test_count_of_one_resource_is_refused(stored: httpx.AsyncClient) -> None:
    answer = await stored.get("/Patient/p1?_summary=count")
    assert answer.status_code == 400
    assert "_summary=count" in issues(answer)[0]["diagnostics"]


async def test_what_was_read_in_part_cannot_be_written_back(stored: httpx.AsyncClient) -> None:
    part = await read(stored, "_elements=name")
    answer = await stored.put("/Patient/p1", json=part)
    assert (answer.status_code, rules(answer)) == (422, {"subsetted"})
    assert (await stored.get("/Patient/p1")).headers["etag"] == 'W/"1"'


async def test_pretty_says_the_same_on_more_lines(stored: httpx.AsyncClient) -> None:
    for address in ("/Patient/p1", "/Patient", "/_history", "/metadata", "/Patient/nobody"):
        plain, pretty = await stored.get(address), await stored.get(f"{address}?_pretty=true")
        assert pretty.status_code == plain.status_code
        assert pretty.text.count("\n") > plain.text.count("\n") == 0
        if address != "/Patient":  # its `self` tells of the question
            assert json.loads(pretty.text) == plain.json()
        assert pretty.headers["content-length"] == str(len(pretty.content))
    created = await stored.post("/Patient?_pretty=true", json=patient())
    assert created.text.count("\n") > 5


async def test_pretty_keeps_every_digit(client: httpx.AsyncClient) -> None:
    sent = (
        b'{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.00}}'
    )
    await client.put("/Observation/o", content=sent)
    assert '"value": 1.00' in (await client.get("/Observation/o?_pretty=true")).text
