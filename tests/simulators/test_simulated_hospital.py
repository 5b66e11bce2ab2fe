"""The invented patients: the same for the same seed, valid, linkable, with units that must be converted."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.simulators.ehr import hospital, poison
from service.simulators.ehr.hospital import LAB, LOINC, MRN, SUBJECT

STUDY = Path(__file__).parents[2] / "mappings" / "isikok-19"


def test_same_seed_same_hospital() -> None:
    assert hospital(3) == hospital(3)
    assert hospital(3) != hospital(4)
    ids = [(each["resourceType"], each["id"]) for each in hospital(3, draws=12)]
    assert len(set(ids)) == len(ids) > 400


def test_patients_are_those_of_the_trial_and_one_more() -> None:
    patients = [each for each in hospital() if each["resourceType"] == "Patient"]
    identifiers = [{each["system"]: each["value"] for each in patient["identifier"]} for patient in patients]
    with (STUDY / "data" / "patients.csv").open() as file:
        trial = {row["subject"]: {"M": "male", "F": "female"}[row["sex"]] for row in csv.DictReader(file)}
    known = zip(identifiers, patients, strict=True)
    assert {own[SUBJECT]: patient["gender"] for own, patient in known if SUBJECT in own} == trial
    assert sum(SUBJECT not in own for own in identifiers) == 1
    assert len({own[MRN] for own in identifiers}) == 8
    assert SUBJECT in (STUDY / "templates" / "patients.yaml").read_text()


def test_public_codes_are_those_of_the_mapping() -> None:
    codings = Counter(
        (coding["system"], coding["code"])
        for each in hospital()
        if each["resourceType"] == "Observation"
        for coding in each["code"]["coding"]
    )
    mapped = (STUDY / "concept-maps" / "laboratory.json").read_text()
    loinc = {code for system, code in codings if system == LOINC}
    assert loinc == {"2532-0", "2276-4", "1988-5"}
    assert all(code in mapped for code in loinc)
    assert {"SEDIM", "HEM-IDX", "FERR-M", "LDH-U"} <= {code for system, code in codings if system == LAB}


def test_each_patient_of_the_trial_has_one_dated_infusion() -> None:
    infusions = [each for each in hospital() if each["resourceType"] == "Procedure"]
    assert len({each["subject"]["reference"] for each in infusions}) == len(infusions) == 7
    first = min(each["effectiveDateTime"] for each in hospital() if each["resourceType"] == "Observation")
    assert all(each["performedDateTime"] < first for each in infusions)


def test_every_patient_has_results_with_local_units() -> None:
    results = [each for each in hospital(5) if each["resourceType"] == "Observation"]
    assert len(Counter(each["subject"]["reference"] for each in results)) == 8
    units = {each["valueQuantity"].get("code") for each in results}
    assert units == {"ukat/L", "U/L", "ug/L", "pmol/L", "mg/dL", None}


@pytest.mark.parametrize("seed", range(3))
def test_hospital_is_valid_and_the_poison_is_not(definitions: Definitions, seed: int) -> None:
    validator = Validator(definitions)
    resources = hospital(seed)
    wrong = [issue for each in resources for issue in validator.check(each, advice=False) if issue.severity == "error"]
    assert wrong == []
    for each in poison(resources[0]["id"]):
        assert any(issue.severity == "error" for issue in validator.check(each, advice=False))
