"""Search over stored resources: every parameter type, sorting, paging, chains, includes."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import BadRequest
from service.fhir import json, references, search
from service.fhir.conditions import chained
from service.fhir.dates import micros
from service.fhir.operations import Create, Plan, Update, plan_of
from service.fhir.search import Query
from service.store.database import Database
from service.store.match import matches

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"

PATIENTS = [
    {"id": "p1", "gender": "female", "birthDate": "1999", "name": [{"family": "Işık", "given": ["Ayşe", "Nur"]}]},
    {"id": "p2", "gender": "male", "birthDate": "1999-05-05", "name": [{"family": "IŞIKÇI"}]},
    {"id": "p3", "birthDate": "2001-01-01", "name": [{"family": "O'Hara, jr."}], "active": True},
]
LABS = [  # id, patient, code, value, unit, effective, status
    ("o1", "p1", "2276-4", "1541", "ng/mL", "2021-03-04", "final"),
    ("o2", "p1", "1988-5", "0.19", "mg/dL", "2021-03-05T23:30:00Z", "final"),
    ("o3", "p2", "2276-4", "600", "ng/mL", "2021-03", "preliminary"),
    ("o4", "p2", "2532-0", "596", None, None, "final"),
    ("o5", "p2", "2276-4", "2453", "ug/L", "2020", "amended"),
]


def lab(id_: str, who: str, code: str, value: str, unit: str | None, when: str | None, status: str) -> dict[str, Any]:
    quantity = {"value": json.decode(value.encode())}
    if unit:
        quantity |= {"unit": unit, "system": UCUM, "code": unit}
    resource = {
        "resourceType": "Observation",
        "id": id_,
        "status": status,
        "code": {"coding": [{"system": LOINC, "code": code}, {"system": "urn:local", "code": code}]},
        "subject": {"reference": f"Patient/{who}"},
        "valueQuantity": quantity,
    }
    return resource | ({"effectiveDateTime": when} if when else {})


@pytest.fixture
async def filled(database: Database) -> Database:
    people = [
        {"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": p["id"]}], **p} for p in PATIENTS
    ]
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "code": {"text": "Treated"}}
    group["member"] = [{"entity": {"reference": "Patient/p1"}}, {"entity": {"reference": "Patient/p3"}}]
    resources = [*people, group, *(lab(*row) for row in LABS)]
    await database.write(Plan(tuple(Update(resource) for resource in resources)))
    return database


def ask(database: Database, type_: str, text: str) -> Query:
    pairs = [tuple(part.split("=", 1)) for part in text.split("&") if part]
    return search.parse(type_, pairs, database.parameters, zone=database.zone, handling="strict")  # type: ignore[arg-type]


CASES = [
    ("Patient", "", "p1 p2 p3"),
    ("Patient", "_id=p2,p3", "p2 p3"),
    ("Patient", "identifier=urn:mrn|p1", "p1"),
    ("Patient", "identifier=p1", "p1"),
    ("Patient", "identifier=urn:other|p1", ""),
    ("Patient", "identifier=urn:mrn|", "p1 p2 p3"),
    ("Patient", "gender=male,female", "p1 p2"),
    ("Patient", "gender:not=male", "p1 p3"),
    ("Patient", "gender:missing=true", "p3"),
    ("Patient", "gender:missing=false", "p1 p2"),
    ("Patient", "active=true", "p3"),
    ("Patient", "family=isik", "p1 p2"),
    ("Patient", "family=ISIKCI", "p2"),
    ("Patient", "family:exact=Işık", "p1"),
    ("Patient", "family:exact=IŞIK", ""),
    ("Patient", "family:contains=hara", "p3"),
    ("Patient", "family=O'Hara\\, jr.", "p3"),
    ("Patient", "given=ayse", "p1"),
    ("Patient", "name=nur", "p1"),
    ("Patient", "birthdate=1999", "p1 p2"),
    ("Patient", "birthdate=1999-05-05", "p2"),
    ("Patient", "birthdate=ge1999-05", "p1 p2 p3"),
    ("Patient", "birthdate=lt1999-05-05", "p1"),
    ("Patient", "birthdate=sa1999", "p3"),
    ("Patient", "birthdate=eb2000", "p1 p2"),
    ("Patient", "gender=female&birthdate=1999", "p1"),
    ("Observation", "code=2276-4", "o1 o3 o5"),
    ("Observation", f"code={LOINC}|2276-4", "o1 o3 o5"),
    ("Observation", "code=urn:other|2276-4", ""),
    ("Observation", "patient=p2", "o3 o4 o5"),
    ("Observation", "patient=Patient/p2&code=2276-4", "o3 o5"),
    ("Observation", "subject=p2", "o3 o4 o5"),
    ("Observation", "subject:Patient=p2", "o3 o4 o5"),
    ("Observation", "subject=Group/p2", ""),
    ("Observation", "patient=nobody", ""),
    ("Observation", "date=2021-03-04", "o1"),
    ("Observation", "date=2021-03-06", "o2"),  # 23:30 UTC on the 5th is the 6th in Istanbul
    ("Observation", "date=2021-03", "o1 o2 o3"),
    ("Observation", "date=ge2021", "o1 o2 o3"),
    ("Observation", "date=ne2021-03", "o5"),
    ("Observation", "date:missing=true", "o4"),
    ("Observation", "value-quantity=gt600", "o1 o5"),
    ("Observation", "value-quantity=ge600", "o1 o3 o5"),
    ("Observation", f"value-quantity=gt600|{UCUM}|ng/mL", "o1 o2 o5"),  # 0.19 mg/dL are 1,900 ng/mL
    ("Observation", "value-quantity=0.19", "o2"),
    ("Observation", "value-quantity=0.2", "o2"),  # by its digits 0.15 to 0.25
    ("Observation", "value-quantity=596||ng/mL", ""),
    ("Observation", "value-quantity=lt1", "o2"),
    ("Observation", "value-quantity=ap1500", "o1"),
    ("Observation", "subject:Patient.family=isikci", "o3 o4 o5"),
    ("Observation", "patient.gender=female", "o1 o2"),
    ("Observation", "code=2276-4&patient.identifier=urn:mrn|p1", "o1"),
    ("Observation", "patient.gender:not=male&code=2276-4", "o1"),
    ("Patient", "_has:Observation:patient:code=1988-5", "p1"),
    ("Patient", "_has:Group:member:code=x", ""),
    ("Group", "member=Patient/p3", "g"),
    ("Observation", "status=final&value-quantity=gt1", "o1 o4"),
    ("Observation", "_lastUpdated=gt2020-01-01&code=1988-5", "o2"),
    ("Observation", "_lastUpdated=lt2020-01-01", ""),
]


@pytest.mark.parametrize(("type_", "text", "expected"), CASES, ids=[f"{t}?{q}" for t, q, _ in CASES])
async def test_search_finds(filled: Database, type_: str, text: str, expected: str) -> None:
    query = ask(filled, type_, f"{text}&_total=accurate")
    page = await filled.search(query)
    assert " ".join(match.id for match in page.matches) == expected
    assert page.total == len(expected.split())


async def test_search_in_memory_agrees_with_sql(filled: Database) -> None:
    checked = 0
    for type_, text, _ in CASES:
        query = ask(filled, type_, text)
        if any(chained(condition) for condition in query.conditions):
            continue
        found = {match.id for match in (await filled.search(query)).matches}
        for match in (await filled.search(ask(filled, type_, ""))).matches:
            resource = json.decode(match.content or b"")
            values = filled.indexer.values(resource, references.find(resource).local)
            here = all(matches(c, type_, match.id, micros(match.updated), values) for c in query.conditions)
            assert here == (match.id in found), (text, match.id)
            checked += 1
    assert checked > 150


async def test_sort_puts_missing_last_and_pages_in_order(filled: Database) -> None:
    for text, expected in (
        ("_sort=date", "o5 o3 o1 o2 o4"),
        ("_sort=-date", "o2 o1 o3 o5 o4"),
        ("_sort=code,-value-quantity", "o2 o5 o1 o3 o4"),
        ("_sort=-_id", "o5 o4 o3 o2 o1"),
    ):
        seen, cursor = [], None
        while True:
            page = await filled.search(ask(filled, "Observation", f"{text}&_count=2"), cursor)
            seen += [match.id for match in page.matches]
            cursor = page.next
            if cursor is None:
                break
            assert len(page.matches) == 2
        assert " ".join(seen) == expected


async def test_paging_has_no_gap_while_others_write(filled: Database) -> None:
    seen, cursor = [], None
    while True:
        page = await filled.search(ask(filled, "Observation", "_count=2"), cursor)
        seen += [match.id for match in page.matches]
        changed = lab("o1", "p1", "2276-4", str(len(seen)), "ng/mL", "2021", "amended")
        await filled.write(plan_of(Update(changed)))
        cursor = page.next
        if cursor is None:
            break
    assert seen == ["o1", "o2", "o3", "o4", "o5"]


async def test_next_is_never_a_link_to_nothing(filled: Database) -> None:
    page = await filled.search(ask(filled, "Patient", "_count=3"))
    assert (len(page.matches), page.next) == (3, None)


async def test_include_and_revinclude(filled: Database) -> None:
    page = await filled.search(ask(filled, "Observation", "code=2276-4&_include=Observation:subject"))
    assert [found.id for found in page.included] == ["p1", "p2"]
    page = await filled.search(
        ask(filled, "Patient", "_id=p1&_revinclude=Observation:patient&_revinclude=Group:member")
    )
    assert sorted(found.id for found in page.included) == ["g", "o1", "o2"]
    page = await filled.search(ask(filled, "Observation", "code=2276-4&_include=Observation:subject:Group"))
    assert page.included == ()


async def test_summary_count_has_no_matches(filled: Database) -> None:
    page = await filled.search(ask(filled, "Observation", "code=2276-4&_summary=count"))
    assert (page.matches, page.total) == ((), 3)


@pytest.mark.parametrize(
    "text",
    ["cod=1", "date=yesterday", "date=2021-13", "code:foo=1", "value-quantity=abc", "value-quantity=1|2", "_sort=nope",
     "_count=x", "_count=-1", "subject=a b c", "_include=Observation", "_total=perhaps", "date:missing=maybe",
     "_has:Observation=1", "subject.nope=1", "value-quantity=NaN", "value-quantity=1e999999999", "date=zz2021"],
)  # fmt: skip
async def test_malformed_search_is_refused(database: Database, text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        ask(database, "Observation", text)
    assert refused.value.issues[0].rule in {"invalid-parameter", "unknown-parameter", "unsupported-modifier"}


async def test_unknown_parameter_is_ignored_and_named_when_lenient(database: Database) -> None:
    query = search.parse("Observation", [("cod", "1"), ("code", "x")], database.parameters, zone=database.zone)
    assert query.ignored == ("cod",)
    assert query.link == (("code", "x"),)


async def test_logical_and_absolute_references_are_found(database: Database) -> None:
    absolute = lab("a", "x", "1", "1", None, None, "final") | {
        "subject": {"reference": "https://other.example/Patient/9"}
    }
    logical = lab("l", "x", "1", "1", None, None, "final") | {
        "subject": {"identifier": {"system": "urn:s", "value": "7"}}
    }
    await database.write(plan_of(Create(absolute), Update(logical)))
    page = await database.search(ask(database, "Observation", "subject=https://other.example/Patient/9"))
    assert len(page.matches) == 1
    page = await database.search(ask(database, "Observation", "subject:identifier=urn:s|7"))
    assert [match.id for match in page.matches] == ["l"]
