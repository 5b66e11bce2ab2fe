"""Codes by ConceptMaps and units of the trial, the originals beside them, and nothing guessed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from service.fhir.operations import Plan, Update
from service.store.database import Database
from service.sync.harmonise import Harmoniser, load_harmoniser, table_of
from service.sync.units import ORIGINAL

LAB, LOINC, UCUM = "https://hospital.example/lab", "http://loinc.org", "http://unitsofmeasure.org"


def map_(*targets: dict[str, str], code: str = "LDH-X", **changes: Any) -> dict[str, Any]:
    group = {"source": LAB, "target": LOINC, "element": [{"code": code, "target": list(targets)}]}
    return {"resourceType": "ConceptMap", "id": "m", "status": "active", "group": [group], **changes}


def result(value: str, unit: dict[str, str], *codings: dict[str, str], **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": list(codings) or [{"system": LAB, "code": "LDH-X"}]},
        "valueQuantity": {"value": Decimal(value), **unit},
        **changes,
    }


def loinc(code: str) -> dict[str, str]:
    return {"system": LOINC, "code": code}


def ucum(code: str) -> dict[str, str]:
    return {"unit": code, "system": UCUM, "code": code}


def test_local_code_is_joined_by_the_standard_one_and_its_unit_converted() -> None:
    made = Harmoniser(table_of([map_({"code": "2532-0", "equivalence": "equivalent"})]))
    resource = result("4.25", ucum("ukat/L"))
    told = made.apply(resource)
    assert resource["code"]["coding"] == [{"system": LAB, "code": "LDH-X"}, loinc("2532-0")]
    quantity = resource["valueQuantity"]
    assert (str(quantity["value"]), quantity["code"], quantity["system"]) == ("255", "U/L", UCUM)
    original = quantity["extension"][0]
    assert original == {"url": ORIGINAL, "valueQuantity": {"value": Decimal("4.25"), **ucum("ukat/L")}}
    assert (told.codes, told.units) == (set(), set())
    before = str(resource)
    made.apply(resource)
    assert str(resource) == before


@pytest.mark.parametrize(
    ("code", "value", "unit", "expected"),
    [
        ("1988-5", "12.50", "mg/dL", "125.0 mg/L"),
        ("1988-5", "0.10", "mg/dL", "1.0 mg/L"),
        ("2276-4", "830", "ug/L", "830 ng/mL"),
        ("2532-0", "177", "U/L", "177 U/L"),
    ],
)
def test_units_of_the_trial_are_exact(code: str, value: str, unit: str, expected: str) -> None:
    resource = result(value, ucum(unit), loinc(code))
    assert not Harmoniser({}).apply(resource).units
    assert f"{resource['valueQuantity']['value']} {resource['valueQuantity']['code']}" == expected


def test_comparator_and_reference_range_go_with_the_value() -> None:
    ranges = [{"low": {"value": Decimal("0.1")}, "high": {"value": Decimal("0.5"), **ucum("mg/dL")}}]
    resource = result("0.5", {**ucum("mg/dL"), "comparator": "<"}, loinc("1988-5"), referenceRange=ranges)
    Harmoniser({}).apply(resource)
    assert resource["valueQuantity"]["comparator"] == "<"
    bounds = resource["referenceRange"][0]
    assert [str(bounds[end]["value"]) for end in ("low", "high")] == ["1", "5"]
    assert {bounds[end]["code"] for end in ("low", "high")} == {"mg/L"}


@pytest.mark.parametrize("unit", [{"unit": "mg/L"}, {}, ucum("nmol/L"), ucum("mg"), {"unit": "x", "code": "mg/dL"}])
def test_unit_that_is_no_code_or_of_another_kind_is_left_and_told(unit: dict[str, str]) -> None:
    resource = result("5", unit, loinc("1988-5"))
    before = dict(resource["valueQuantity"])
    told = Harmoniser({}).apply(resource)
    assert resource["valueQuantity"] == before
    assert told.units == {("1988-5", unit.get("unit", ""))} or told.units == {("1988-5", unit.get("code", ""))}


@pytest.mark.parametrize(
    "targets",
    [
        [{"code": "2532-0", "equivalence": "wider"}],
        [{"code": "2532-0", "equivalence": "relatedto"}],
        [{"code": "2532-0", "equivalence": "equal"}, {"code": "1988-5", "equivalence": "equal"}],
        [],
    ],
)
def test_code_without_one_equivalent_is_left_and_told(targets: list[dict[str, str]]) -> None:
    resource = result("5", ucum("U/L"))
    told = Harmoniser(table_of([map_(*targets)])).apply(resource)
    assert resource["code"]["coding"] == [{"system": LAB, "code": "LDH-X"}]
    assert told.codes == {(LAB, "LDH-X")}


def test_code_that_a_map_says_has_none_is_left_and_not_told() -> None:
    resource = result("5", ucum("U/L"))
    assert Harmoniser(table_of([map_({"equivalence": "unmatched"})])).apply(resource).codes == set()
    assert resource["code"]["coding"] == [{"system": LAB, "code": "LDH-X"}]


def test_two_local_codes_with_two_meanings_are_not_mapped() -> None:
    maps = [
        map_({"code": "2532-0", "equivalence": "equal"}),
        map_({"code": "1988-5", "equivalence": "equal"}, code="C"),
    ]
    resource = result("5", ucum("U/L"), {"system": LAB, "code": "LDH-X"}, {"system": LAB, "code": "C"})
    told = Harmoniser(table_of(maps)).apply(resource)
    assert len(resource["code"]["coding"]) == 2
    assert len(told.codes) == 2


async def test_stored_map_goes_before_the_shipped_one(database: Database) -> None:
    assert (await load_harmoniser(database)).table[LAB, "LDH-U"] == (
        {"system": LOINC, "code": "2532-0", "display": "Lactate dehydrogenase"},
    )
    stored = map_({"code": "2276-4", "equivalence": "equivalent"}, code="CRP-L")
    retired = map_({"code": "x", "equivalence": "equal"}, code="LDH-U", id="n", status="retired")
    await database.write(Plan((Update(stored), Update(retired))))
    table = (await load_harmoniser(database)).table
    assert table[LAB, "CRP-L"] == (loinc("2276-4"),)
    assert table[LAB, "LDH-U"][0]["code"] == "2532-0"
