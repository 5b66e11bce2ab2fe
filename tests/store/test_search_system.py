"""Searches of several types, of compartments, and what they include."""

from __future__ import annotations

from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.errors import BadRequest, Conflict
from service.fhir import search
from service.fhir.operations import Plan, Update
from service.store import including
from service.store.database import Database
from tests.store.asking import ask

TAG = {"tag": [{"system": "urn:t", "code": "x"}]}


def made(type_: str, id_: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": type_, "id": id_, **more}


def lab(id_: str, who: str, **more: Any) -> dict[str, Any]:
    subject = {"reference": f"Patient/{who}"}
    return made("Observation", id_, status="final", code={"text": "x"}, subject=subject, **more)


RESOURCES = [
    made("Organization", "org1", name="Top"),
    made("Organization", "org2", name="Part", partOf={"reference": "Organization/org1"}),
    made("Patient", "p1", managingOrganization={"reference": "Organization/org2"}, meta=TAG),
    made("Patient", "p2"),
    lab("o1", "p1", meta=TAG),
    lab("o2", "p1", hasMember=[{"reference": "Observation/o1"}], meta=TAG),
    lab("o3", "p2", hasMember=[{"reference": "Observation/o2"}]),
    made("Condition", "c1", subject={"reference": "Patient/p1"}, recordedDate="2021"),
]


@pytest.fixture
async def filled(database: Database) -> Database:
    for resource in RESOURCES:
        await database.write(Plan((Update(resource),)))
    return database


async def walked(database: Database, text: str, count: int = 2) -> str:
    query = ask(database, None, f"{text}&_count={count}&_total=accurate")
    names, cursor = [], None
    while True:
        page = await database.search(query, cursor)
        names += [f"{match.type}/{match.id}" for match in page.matches]
        cursor = page.next
        if cursor is None:
            assert page.total == len(names)
            return " ".join(names)


CASES = [
    ("_type=Patient,Observation", "Patient/p1 Patient/p2 Observation/o1 Observation/o2 Observation/o3"),
    ("_type=Patient,Observation&_tag=urn:t|x", "Patient/p1 Observation/o1 Observation/o2"),
    ("_type=Patient,Observation&_tag=x&_sort=-_id", "Patient/p1 Observation/o2 Observation/o1"),
    ("_type=Patient,Condition&_sort=-_lastUpdated", "Condition/c1 Patient/p2 Patient/p1"),
    ("_type=Observation,Condition&subject=p1", "Observation/o1 Observation/o2 Condition/c1"),
    ("_type=Patient", "Patient/p1 Patient/p2"),
    ("_tag=x", "Patient/p1 Observation/o1 Observation/o2"),
    ("_id=p1,o1,c1,none", "Patient/p1 Observation/o1 Condition/c1"),
    ("_lastUpdated=lt2000", ""),
    ("_type=Patient,Observation&_lastUpdated=gt2000&_filter=_id eq p1 or _id eq o2", "Patient/p1 Observation/o2"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
async def test_search_of_several_types_finds(filled: Database, text: str, expected: str) -> None:
    assert await walked(filled, text) == expected


async def test_search_of_several_types_takes_what_all_of_them_have(database: Database) -> None:
    with pytest.raises(BadRequest) as refused:
        ask(database, None, "_type=Patient,Observation&code=x")
    assert refused.value.issues[0].rule == "unknown-parameter"
    query = ask(database, None, "_type=Patient,Observation&code=x&_id=1", handling="lenient")
    assert query.ignored == ("code",)
    assert query.link == (("_type", "Patient,Observation"), ("_id", "1"))
    for text in ("_type=Nobody", "_type=", "_type=Patient,Nobody", "_type=Patient,Observation&_sort=code"):
        with pytest.raises(BadRequest):
            ask(database, None, text)


WITHIN = [
    ("p1", "Observation", "", "o1 o2"),
    ("p1", "Observation", "_id=o2", "o2"),
    ("p2", "Observation", "_sort=-_id", "o3"),
    ("p1", "Condition", "", "c1"),
    ("p1", "Patient", "", "p1"),
    ("p3", "Observation", "", ""),
]


@pytest.mark.parametrize(("who", "type_", "text", "expected"), WITHIN)
async def test_search_in_a_compartment_finds(
    filled: Database, definitions: Definitions, who: str, type_: str, text: str, expected: str
) -> None:
    members = definitions.compartments["Patient"]
    query = search.within(ask(filled, type_, text), "Patient", who, members, filled.parameters)
    assert " ".join(match.id for match in (await filled.search(query)).matches) == expected


async def test_search_of_all_types_in_a_compartment(filled: Database, definitions: Definitions) -> None:
    members = definitions.compartments["Patient"]
    query = search.within(ask(filled, None, "_total=accurate"), "Patient", "p1", members, filled.parameters)
    page = await filled.search(query)
    assert [match.id for match in page.matches] == ["p1", "o1", "o2", "c1"]
    assert page.total == 4
    with pytest.raises(BadRequest):
        search.within(ask(filled, "Organization", ""), "Patient", "p1", members, filled.parameters)
    with pytest.raises(BadRequest):
        search.within(ask(filled, None, "_type=Library"), "Patient", "p1", members, filled.parameters)


INCLUDES = [
    ("Observation", "_id=o1&_include=Observation:subject", "p1"),
    ("Observation", "_id=o2&_include=Observation:*", "p1 o1"),
    ("Observation", "_id=o2&_include=*", "p1 o1"),
    ("Observation", "_id=o2&_include=Observation:*:Patient", "p1"),
    ("Observation", "_id=o1&_include=Observation:subject&_include=Patient:organization", None),
    ("Observation", "_id=o1&_include=Observation:subject&_include:iterate=Patient:organization", "org2 p1"),
    (
        "Observation",
        "_id=o1&_include=Observation:subject&_include:iterate=Patient:organization"
        "&_include:iterate=Organization:partof",
        "org1 org2 p1",
    ),
    ("Observation", "_id=o3&_include=Observation:has-member", "o2"),
    ("Observation", "_id=o3&_include:iterate=Observation:has-member", "o1 o2"),
    ("Observation", "_id=o3&_include:iterate=*", "org1 org2 p1 p2 o1 o2"),
    ("Patient", "_id=p1&_revinclude=Observation:subject", "o1 o2"),
    ("Patient", "_id=p1&_revinclude=*", "o1 o2 c1"),
    ("Patient", "_id=p1&_revinclude=Observation:*", "o1 o2"),
    ("Observation", "_id=o1&_revinclude:iterate=Observation:has-member", "o2 o3"),
    ("Organization", "_id=org1&_revinclude:iterate=Organization:partof&_revinclude:iterate=Patient:organization",
     "org2 p1"),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "text", "expected"), INCLUDES, ids=[text for _, text, _ in INCLUDES])
async def test_include_follows_references(filled: Database, type_: str, text: str, expected: str | None) -> None:
    if expected is None:  # of another type than the matches it needs `:iterate`
        with pytest.raises(BadRequest) as refused:
            ask(filled, type_, text)
        assert "iterate" in refused.value.issues[0].text
        return
    page = await filled.search(ask(filled, type_, text))
    assert " ".join(one.id for one in page.included) == expected


async def test_include_of_too_many_is_refused(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(including, "MOST_INCLUDED", 1)
    with pytest.raises(Conflict) as refused:
        await filled.search(ask(filled, "Patient", "_id=p1&_revinclude=*"))
    assert refused.value.issues[0].rule == "too-many-included"
