"""Every modifier, on SQLite, PostgreSQL and in memory; what is not supported is refused with what there is."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import BadRequest
from service.fhir.operations import Plan, Update
from service.store.database import Database
from tests.store.asking import ask, found

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
MARITAL = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"


def coded(*codings: tuple[str, str, str | None], text: str | None = None) -> dict[str, Any]:
    listed = [{"system": s, "code": c} | ({"display": d} if d else {}) for s, c, d in codings]
    return ({"coding": listed} if listed else {}) | ({"text": text} if text else {})


def patient(id_: str, **changes: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, **changes}


RESOURCES = [
    patient(
        "a",
        name=[{"family": "Işık", "given": ["Ayşe"]}],
        maritalStatus=coded((MARITAL, "M", None)),
        identifier=[
            {
                "type": coded(("http://terminology.hl7.org/CodeSystem/v2-0203", "MR", None), text="Dosya No"),
                "system": "urn:mrn",
                "value": "7",
            }
        ],
        link=[{"other": {"reference": "Patient/b"}, "type": "seealso"}],
    ),
    patient("b", name=[{"family": "ISIKLI"}], identifier=[{"system": "urn:mrn", "value": "7"}]),
    patient("c", maritalStatus=coded((MARITAL, "S", None))),
    {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "category": [coded((CATEGORY, "laboratory", "Laboratory"))],
        "code": coded(("http://loinc.org", "2276-4", "Ferritin [Mass/volume] in Serum"), text="Ferritin, serum"),
        "subject": {"reference": "Patient/a"},
    },
    {
        "resourceType": "Observation",
        "id": "o2",
        "status": "final",
        "category": [coded((CATEGORY, "vital-signs", None))],
        "code": coded(text="Vücut sıcaklığı"),
        "subject": {"reference": "Patient/b"},
    },
    {
        "resourceType": "RelatedPerson",
        "id": "r1",
        "patient": {"reference": "Patient/a"},
        "relationship": [coded((ROLE, "NMTH", None))],
    },
    {
        "resourceType": "RelatedPerson",
        "id": "r2",
        "patient": {"reference": "Patient/a"},
        "relationship": [coded((ROLE, "FRND", None))],
    },
    {"resourceType": "Library", "id": "l1", "url": "http://a.example/fhir/Library/x", "status": "draft"},
    {"resourceType": "Library", "id": "l2", "url": "http://a.example/fhir/Library/x/y", "status": "draft"},
    {"resourceType": "Library", "id": "l3", "url": "http://b.example/fhir/Library/x", "status": "draft"},
    {"resourceType": "List", "id": "li", "status": "current", "mode": "working",
     "entry": [{"item": {"reference": "Patient/a"}}, {"item": {"reference": "Patient/c"}}]},
]  # fmt: skip
for one in RESOURCES:
    one.setdefault("type", {"text": "logic"}) if one["resourceType"] == "Library" else None


@pytest.fixture
async def filled(database: Database) -> Database:
    await database.write(Plan(tuple(Update(resource) for resource in RESOURCES)))
    return database


CASES = [
    ("Observation", "code:text=ferritin", "o1"),
    ("Observation", "code:text=FERRITIN, SER".replace(",", "\\,"), "o1"),
    ("Observation", "code:text=vucut", "o2"),
    ("Observation", "code:text=vucut,ferritin", "o1 o2"),
    ("Observation", "code:text=serum", ""),
    ("Observation", "combo-code:text=ferritin", "o1"),
    ("Observation", "category:text=lab", "o1"),
    ("Observation", "code:missing=false", "o1"),  # a text alone is no code
    ("Observation", "combo-code:missing=true", "o2"),
    ("Observation", "combo-code:not=2276-4", "o2"),
    ("Patient", "identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|7", "a"),
    ("Patient", "identifier:of-type=|MR|7", "a"),
    ("Patient", "identifier:of-type=urn:other|MR|7", ""),
    ("Patient", "identifier:of-type=|MR|8", ""),
    ("Patient", "identifier:text=dosya", "a"),
    ("Patient", "identifier=urn:mrn|7", "a b"),
    ("Patient", "phonetic=isik", "a b"),
    ("Patient", "identifier=urn:mrn|7,urn:x|1,7,urn:y|", "a b"),
    ("Observation", "category:in=http://hl7.org/fhir/ValueSet/observation-category", "o1 o2"),
    ("Observation", "category:not-in=http://hl7.org/fhir/ValueSet/observation-category", ""),
    ("Patient", "gender:in=http://hl7.org/fhir/ValueSet/observation-category", ""),
    ("Patient", "gender:not-in=http://hl7.org/fhir/ValueSet/observation-category", "a b c"),
    ("RelatedPerson", f"relationship:below={ROLE}|PRN", "r1"),
    ("RelatedPerson", f"relationship:below={ROLE}|NMTH", "r1"),
    ("RelatedPerson", f"relationship:above={ROLE}|NMTH", "r1"),
    ("RelatedPerson", f"relationship:below={ROLE}|PRN,{ROLE}|FRND", "r1 r2"),
    ("Library", "url:below=http://a.example/fhir/", "l1 l2"),
    ("Library", "url:above=http://a.example/fhir/Library/x/y/z", "l1 l2"),
    ("Library", "url:above=http://a.example/fhir/Library/x", "l1"),
    ("Library", "url:above=urn:x", ""),
    ("Patient", "link:Patient=b", "a"),
    ("Patient", "link:missing=true", "b c"),
    ("Patient", "_list=li", "a c"),
    ("Patient", "_list=List/li", "a c"),
    ("Patient", "_list=nothing", ""),
    ("Patient", "_has:Observation:subject:code:text=ferritin", "a"),
    ("Patient", "_has:Observation:subject:_has:Provenance:target:_id=x", ""),
    ("Patient", "_has:Patient:link:_has:Observation:subject:code=2276-4", "b"),
    ("Observation", "subject:Patient.link:Patient.name=isikli", "o1"),
    ("Observation", "subject:Patient._has:RelatedPerson:patient:relationship=FRND", "o1"),
    ("Patient", "_sort=link", "a b c"),
    ("Patient", "_sort=-name,_id", "b a c"),
    ("Observation", "_sort=-subject", "o2 o1"),
    ("Observation", "_sort=combo-code", "o1 o2"),
    ("Library", "_sort=-url", "l3 l2 l1"),
    ("Patient", "_type=Patient&_id=a", "a"),
    ("Patient", "_id=" + ",".join(["a", *(f"x{n}" for n in range(900))]), "a"),
    ("Patient", "identifier=" + ",".join(["urn:mrn|7", *(f"urn:{n}|{n}" for n in range(900))]), "a b"),
    ("Observation", "subject=" + ",".join(["a", *(f"x{n}" for n in range(900))]), "o1"),
    ("Patient", "name=" + ",".join(["isikli", *(f"x{n}" for n in range(50))]), "b"),
]


@pytest.mark.parametrize(("type_", "text", "expected"), CASES, ids=[f"{t}?{q}"[:90] for t, q, _ in CASES])
async def test_search_with_modifier_finds(filled: Database, type_: str, text: str, expected: str) -> None:
    assert await found(filled, type_, text) == expected


REFUSED = [
    ("Observation", "code:exact=x", "unsupported-modifier", ""),
    ("Patient", "name:exat=x", "unsupported-modifier", "exact"),
    ("Observation", "date:not=2021", "unsupported-modifier", ""),
    ("Observation", "_id:not=x", "unsupported-modifier", "missing"),
    ("Observation", "code-value-quantity:not=a$1", "unsupported-modifier", ""),
    ("Observation", "code:in=http://unknown.example/ValueSet", "unknown-terminology", ""),
    ("Observation", "code:below=http://snomed.info/sct|1", "unknown-terminology", ""),
    ("Observation", "category:below=laboratory", "invalid-parameter", "[system]|[code]"),
    ("Patient", "identifier:of-type=MR|7", "invalid-parameter", ""),
    ("Patient", "_list=$current-problems", "unsupported-parameter", ""),
    ("Patient", "_contained=true", "unsupported-parameter", ""),
    ("Patient", "_query=x", "unsupported-parameter", ""),
    ("Patient", "_type=Observation", "invalid-parameter", ""),
    ("Patient", "name=\0", "invalid-parameter", ""),
    ("Patient", "_text=x", "unsupported-parameter", ""),
    ("Patient", "_content=x", "unsupported-parameter", ""),
    ("Location", "near=1|2|3|km", "unsupported-parameter", ""),
    ("Bundle", "composition=x", "unsupported-parameter", ""),
    ("Patient", "_sort=phonetik", "invalid-parameter", ""),
    ("Observation", "_sort=code-value-quantity", "invalid-parameter", ""),
    ("Patient", ".".join(["link:Patient"] * 20) + "._id=x", "invalid-parameter", "8 links"),
    ("Patient", "_has:Patient:link:" * 20 + "_id=x", "invalid-parameter", "8 links"),
    ("Patient", "name=" + ",".join("abc" * 40), "too-many-values", ""),
    ("Patient", "_id=" + ",".join(["a"] * 1001), "too-many-values", ""),
    ("Patient", "&".join(["name=x"] * 101), "too-many-values", ""),
    ("Patient", "_count=99999999999999999999", "invalid-parameter", ""),
    ("Patient", "_include:foo=Patient:link", "unsupported-modifier", "iterate"),
]


@pytest.mark.parametrize(("type_", "text", "rule", "hint"), REFUSED, ids=[f"{t}?{q}"[:60] for t, q, _, _ in REFUSED])
async def test_search_that_is_not_supported_is_refused(
    database: Database, type_: str, text: str, rule: str, hint: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        ask(database, type_, text)
    assert refused.value.issues[0].rule == rule
    assert hint in refused.value.issues[0].text


async def test_many_criteria_make_one_statement(filled: Database) -> None:
    text = "&".join(f"name=x{n}" for n in range(99)) + "&_sort=name"
    assert await found(filled, "Patient", text) == ""
