"""Composite parameters: components of one element stay together, whatever else the resource holds."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import BadRequest
from service.fhir import json
from service.fhir.operations import Plan, Update
from service.store.database import Database
from tests.store.asking import ask, found

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
SYSTOLIC, DIASTOLIC, CRP = "8480-6", "8462-4", "1988-5"


def concept(code: str, system: str = LOINC) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def quantity(value: str, unit: str = "mm[Hg]") -> dict[str, Any]:
    return {"value": json.decode(value.encode()), "unit": unit, "system": UCUM, "code": unit}


def observation(id_: str, code: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": id_, "status": "final", "code": concept(code), **more}


def pressure(id_: str, systolic: str, diastolic: str) -> dict[str, Any]:
    parts = [
        {"code": concept(SYSTOLIC), "valueQuantity": quantity(systolic)},
        {"code": concept(DIASTOLIC), "valueQuantity": quantity(diastolic)},
    ]
    return observation(id_, "85354-9", component=parts)


RESOURCES = [
    pressure("high", "150", "90"),
    pressure("low", "100", "60"),
    observation("crp", CRP, valueQuantity=quantity("8.9", "mg/dL")),
    observation("sys", SYSTOLIC, valueQuantity=quantity("150")),
    observation("grade", "crs", valueCodeableConcept=concept("2", "urn:grades")),
    observation("when", "onset", valueDateTime="2021-03-04"),
    observation("word", "note", valueString="Yüksek ateş"),
    observation(
        "comp", "panel",
        component=[
            {"code": concept("a"), "valueCodeableConcept": concept("x", "urn:s")},
            {"code": concept("b"), "valueCodeableConcept": concept("y", "urn:s")},
        ],
    ),
    {
        "resourceType": "Group", "id": "g", "type": "person", "actual": True,
        "characteristic": [
            {"code": concept("sex", "urn:c"), "valueCodeableConcept": concept("f", "urn:v"), "exclude": False},
            {"code": concept("treated", "urn:c"), "valueBoolean": True, "exclude": False},
        ],
    },
    {"resourceType": "DocumentReference", "id": "d1", "status": "current", "content": [{"attachment": {}}]},
    {
        "resourceType": "DocumentReference", "id": "d2", "status": "current", "content": [{"attachment": {}}],
        "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/d1"}}],
    },
    {
        "resourceType": "MolecularSequence", "id": "m", "coordinateSystem": 0,
        "referenceSeq": {"chromosome": concept("19", "urn:chr"), "windowStart": 10, "windowEnd": 90},
        "variant": [{"start": 20, "end": 30}, {"start": 40, "end": 50}],
    },
    {
        "resourceType": "ValueSet", "id": "v", "status": "draft",
        "useContext": [
            {
                "code": {"system": "urn:u", "code": "age"},
                "valueRange": {"low": quantity("2", "a"), "high": quantity("25", "a")},
            },
            {"code": {"system": "urn:u", "code": "dose"}, "valueQuantity": quantity("5", "mg")},
            {"code": {"system": "urn:u", "code": "focus"}, "valueCodeableConcept": concept("ALL", "urn:f")},
        ],
    },
]  # fmt: skip


@pytest.fixture
async def filled(database: Database) -> Database:
    await database.write(Plan(tuple(Update(resource) for resource in RESOURCES)))
    return database


CASES = [
    ("Observation", f"component-code-value-quantity={SYSTOLIC}$gt140", "high"),
    ("Observation", f"component-code-value-quantity={DIASTOLIC}$gt140", ""),
    ("Observation", f"component-code-value-quantity={LOINC}|{SYSTOLIC}$gt140|{UCUM}|mm[Hg]", "high"),
    ("Observation", f"component-code-value-quantity={SYSTOLIC}$gt15|{UCUM}|kPa", "high"),
    ("Observation", f"component-code-value-quantity={SYSTOLIC}$lt101,{DIASTOLIC}$ge90", "high low"),
    ("Observation", f"component-code-value-quantity=urn:x|{SYSTOLIC}$gt1", ""),
    ("Observation", "component-code-value-quantity:missing=false", "high low"),
    ("Observation", f"code-value-quantity={SYSTOLIC}$gt140", "sys"),
    ("Observation", f"code-value-quantity={CRP}$gt50|{UCUM}|mg/L", "crp"),
    ("Observation", f"code-value-quantity={CRP}$gt90|{UCUM}|mg/L", ""),
    ("Observation", f"code-value-quantity={CRP}$8.9,{SYSTOLIC}$150", "crp sys"),
    ("Observation", f"code-value-quantity={SYSTOLIC}$8.9", ""),
    ("Observation", f"combo-code-value-quantity={SYSTOLIC}$gt140", "high sys"),
    ("Observation", f"combo-code-value-quantity={SYSTOLIC}$gt140&_sort=-_id", "sys high"),
    ("Observation", f"combo-code-value-quantity={SYSTOLIC}$gt140&code={SYSTOLIC}", "sys"),
    ("Observation", "combo-code-value-quantity:missing=true", "grade when word comp"),
    ("Observation", "code-value-quantity:missing=false", "crp sys"),
    ("Observation", "code-value-concept=crs$urn:grades|2", "grade"),
    ("Observation", "code-value-concept=crs$urn:grades|3", ""),
    ("Observation", "code-value-date=onset$ge2021-03", "when"),
    ("Observation", "code-value-string=note$yuksek", "word"),
    ("Observation", "component-code-value-concept=a$x", "comp"),
    ("Observation", "component-code-value-concept=a$y", ""),
    ("Observation", "combo-code-value-concept=b$urn:s|y,crs$2", "grade comp"),
    ("Observation", "component-value-concept=x&component-code=b", "comp"),  # two parameters say nothing of one element
    ("Group", "characteristic-value=sex$f", "g"),
    ("Group", "characteristic-value=treated$true", "g"),
    ("Group", "characteristic-value=sex$true", ""),
    ("DocumentReference", "relationship=replaces$DocumentReference/d1", "d2"),
    ("DocumentReference", "relationship=replaces$d1", "d2"),
    ("DocumentReference", "relationship=appends$d1", ""),
    ("MolecularSequence", "chromosome-variant-coordinate=19$ge20$le30", "m"),
    ("MolecularSequence", "chromosome-variant-coordinate=19$ge40$le30", ""),
    ("MolecularSequence", "chromosome-window-coordinate=urn:chr|19$lt20$gt80", "m"),
    ("ValueSet", f"context-type-quantity=age$gt20|{UCUM}|a", "v"),
    ("ValueSet", f"context-type-quantity=age$lt30|{UCUM}|mo", "v"),
    ("ValueSet", f"context-type-quantity=dose$gt20|{UCUM}|a", ""),
    ("ValueSet", "context-type-value=focus$urn:f|ALL", "v"),
    ("ValueSet", "context-type-value=age$ALL", ""),
]


@pytest.mark.parametrize(("type_", "text", "expected"), CASES, ids=[f"{t}?{q}" for t, q, _ in CASES])
async def test_search_by_composite_finds(filled: Database, type_: str, text: str, expected: str) -> None:
    assert await found(filled, type_, text) == expected


async def test_search_through_a_chain_to_a_composite(filled: Database) -> None:
    report = {"resourceType": "DiagnosticReport", "id": "r", "status": "final", "code": concept("x"),
              "result": [{"reference": "Observation/crp"}, {"reference": "Observation/high"}]}  # fmt: skip
    await filled.write(Plan((Update(report),)))
    assert await found(filled, "DiagnosticReport", f"result.code-value-quantity={CRP}$gt50|{UCUM}|mg/L") == "r"
    assert await found(filled, "Observation", f"_has:DiagnosticReport:result:_id=r&combo-code={SYSTOLIC}") == "high"


@pytest.mark.parametrize(
    "text", ["code-value-quantity=a", "code-value-quantity=a$b", "code-value-quantity=a$1$2", "code-value-quantity=$1",
             "component-code-value-concept=a$b$c", "code-value-date=a$x"],
)  # fmt: skip
async def test_composite_that_is_malformed_is_refused(database: Database, text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        ask(database, "Observation", text)
    assert refused.value.issues[0].rule == "invalid-parameter"


async def test_composite_rows_go_with_their_resource(filled: Database) -> None:
    await filled.write(Plan((Update(pressure("high", "120", "80")),)))
    assert await found(filled, "Observation", f"component-code-value-quantity={SYSTOLIC}$gt140") == ""
    assert await found(filled, "Observation", f"component-code-value-quantity={SYSTOLIC}$120") == "high"
