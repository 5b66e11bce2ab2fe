"""Doubtful values and contradictions by rule: each rule finds its case, and leaves a clean record alone."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from service.settings import shipped
from service.trial import quality
from service.trial.mapping.identity import BASE
from service.trial.mapping.source import read_yaml

LOINC = "http://loinc.org"
CONCEPTS = f"{BASE}/CodeSystem/trial-concept"
NCIT = "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"
FOLDER = shipped("mappings", "isikok-19")


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def observation(id_: str = "o", **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "category": [coded("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory")],
        "code": coded(LOINC, "2532-0"),
        "subject": {"reference": "Patient/a"},
        "valueQuantity": {"value": 200, "unit": "U/L", "system": "http://unitsofmeasure.org", "code": "U/L"},
        **changes,
    }


def adverse_event(grade: str = "C41338") -> dict[str, Any]:
    return {
        "resourceType": "AdverseEvent",
        "id": "e",
        "actuality": "actual",
        "event": {"text": "CRS"},
        "subject": {"reference": "Patient/a"},
        "extension": [
            {"url": f"{BASE}/StructureDefinition/adverse-event-grade", "valueCodeableConcept": coded(NCIT, grade)}
        ],
    }


@pytest.fixture(scope="module")
def bounds() -> tuple[quality.Bound, ...]:
    return quality.plausibility(read_yaml(FOLDER / "quality.yaml", "quality.yaml").value)


def kinds(resources: list[dict[str, Any]], bounds: tuple[quality.Bound, ...] = ()) -> list[tuple[str, str]]:
    return [(one.kind, one.rule) for one in quality.findings(resources, bounds)]


@pytest.mark.parametrize(
    ("value", "doubted"), [(13, True), (86, True), (Decimal("99.9"), True), (100, False), (138, False), (20001, True)]
)
def test_plausibility_by_value(value: Any, doubted: bool, bounds: tuple[quality.Bound, ...]) -> None:
    quantity = {"value": value, "unit": "U/L", "system": "http://unitsofmeasure.org", "code": "U/L"}
    assert bool(kinds([observation(valueQuantity=quantity)], bounds)) is doubted


def test_plausibility_with_another_unit_says_nothing(bounds: tuple[quality.Bound, ...]) -> None:
    quantity = {"value": 3, "unit": "ukat/L", "system": "http://unitsofmeasure.org", "code": "ukat/L"}
    assert kinds([observation(valueQuantity=quantity)], bounds) == []


def test_plausibility_entered_in_error_says_nothing(bounds: tuple[quality.Bound, ...]) -> None:
    wrong = observation(status="entered-in-error", valueQuantity={"value": 13, "code": "U/L"})
    assert kinds([wrong], bounds) == []


def test_units_missing_are_one_finding_for_each_subject() -> None:
    first, second = observation("1", valueQuantity={"value": 1}), observation("2", valueQuantity={"value": 2})
    other = observation("3", valueQuantity={"value": 2}, subject={"reference": "Patient/b"})
    found = quality.findings([first, second, other, observation("4")], ())
    assert [one.implicated for one in found] == [("Observation/1", "Observation/2"), ("Observation/3",)]
    assert {one.kind for one in found} == {"unit-missing"}


def test_units_missing_outside_the_laboratory_says_nothing() -> None:
    assert kinds([observation(category=[], valueQuantity={"value": 1})]) == []


@pytest.mark.parametrize(("second", "found"), [("C4870", []), ("C35571", [("contradiction", "responses")])])
def test_responses_of_one_subject(second: str, found: list[tuple[str, str]]) -> None:
    response = {"code": coded(LOINC, "97509-4"), "valueQuantity": None, "category": []}
    pair = [
        observation("1", **response, valueCodeableConcept=coded(NCIT, "C4870")),
        observation("2", **response, valueCodeableConcept=coded(NCIT, second)),
    ]
    assert kinds([{key: value for key, value in one.items() if value is not None} for one in pair]) == found


def test_toxicity_absent_beside_an_event_is_a_contradiction() -> None:
    absent = observation(code=coded(CONCEPTS, "toxicity"), category=[])
    del absent["valueQuantity"]
    absent["valueCodeableConcept"] = coded("http://snomed.info/sct", "2667000")
    assert kinds([absent, adverse_event()]) == [("contradiction", "toxicity")]
    assert kinds([absent, {**adverse_event(), "subject": {"reference": "Patient/b"}}]) == []


@pytest.mark.parametrize(("observed", "found"), [("C41338", []), ("C41339", [("contradiction", "grade")])])
def test_grade_of_an_event_and_its_observation(observed: str, found: list[tuple[str, str]]) -> None:
    grade = observation(code=coded(CONCEPTS, "crs-grade"), category=[], focus=[{"reference": "AdverseEvent/e"}])
    del grade["valueQuantity"]
    grade["valueCodeableConcept"] = coded(NCIT, observed)
    assert kinds([grade, adverse_event()]) == found


def test_group_with_another_number_than_its_members() -> None:
    group = {"resourceType": "Group", "id": "g", "quantity": 2, "member": [{"entity": {"reference": "Patient/a"}}]}
    assert kinds([group]) == [("count-mismatch", "members")]
    assert kinds([{**group, "quantity": 1}]) == []
    assert kinds([{"resourceType": "Group", "id": "g", "quantity": 9}]) == []


@pytest.mark.parametrize(("printed", "found"), [("72%", [("rate-mismatch", "rate")]), ("71%", []), ("71.4%", [])])
def test_published_rate_against_the_computed_one(printed: str, found: list[tuple[str, str]]) -> None:
    published = {"url": f"{BASE}/StructureDefinition/published-value", "valueString": printed}
    group = {"extension": [published], "measureScore": {"value": Decimal("0.7143")}}
    assert kinds([{"resourceType": "MeasureReport", "id": "m", "group": [group]}]) == found


@pytest.mark.parametrize(
    ("score", "printed", "same"),
    [
        ("0.6667", "67", True),
        ("0.6667", "66", False),
        ("0.5714", "57", True),
        ("0.5714", "57.1", True),
        ("1", "100", True),
        ("0.665", "67", True),
        ("0.665", "66", False),
    ],
)
def test_rates_are_compared_at_the_printed_precision(score: str, printed: str, same: bool) -> None:
    assert quality.same_at_precision(Decimal(score), printed) is same


def test_examine_gives_the_same_issue_each_time() -> None:
    doubtful = [observation(valueQuantity={"value": 13})]
    first, second = quality.examine(doubtful, FOLDER), quality.examine(doubtful, FOLDER)
    assert first == second
    assert {one["code"]["coding"][0]["code"] for one in first} == {"implausible-value", "unit-missing"}
    assert all(one["patient"] == {"reference": "Patient/a"} for one in first)
    assert all("13" not in one["detail"] for one in first)


def test_examine_without_bounds_keeps_the_rules(tmp_path: Path) -> None:
    found = quality.examine([observation(valueQuantity={"value": 13})], tmp_path)
    assert [one["code"]["coding"][0]["code"] for one in found] == ["unit-missing"]
