"""The expressions of the Measures, run over each subject's record, give the counts of the paper."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fhirpathpy import compile as compile_path
from fhirpathpy.models import models

from service.conformance.definitions import Definitions
from service.settings import shipped
from service.trial.importer import read_study

Resource = dict[str, Any]
# measure → (initial population, denominator, numerator): five of seven responded, four of seven had a toxicity.
COUNTS = {"response-rate": (7, 7, 5), "toxicity-rate": (7, 7, 4)}
NCIT = "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"
LOINC = "http://loinc.org"


@cache
def study_folder() -> Path:
    return shipped("mappings", "isikok-19")


def records(definitions: Definitions) -> dict[str, list[Resource]]:
    """The mapped resources of each subject."""
    _, mapped, _ = read_study(definitions, study_folder())
    found: dict[str, list[Resource]] = {}
    for one in mapped:
        subject = one.resource.get("subject", {}).get("reference", "")
        if subject.startswith("Patient/"):
            found.setdefault(subject, []).append(one.resource)
    return found


def populations(definitions: Definitions, measure: str, record: list[Resource]) -> list[bool]:
    """Whether the record is in each population of the Measure: a later one counts within those before it."""
    resource = definitions.resource(f"https://cart-fhir.example/fhir/Measure/{measure}")
    assert resource is not None
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in record]}
    within = True
    answers = []
    for population in resource["group"][0]["population"]:
        within = within and compile_path(population["criteria"]["expression"], models["r4"])(bundle) == [True]
        answers.append(within)
    return answers


def observation(code: str, value: str, system: str = LOINC, value_system: str = NCIT) -> Resource:
    """An Observation with a coded value."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": system, "code": code}]},
        "valueCodeableConcept": {"coding": [{"system": value_system, "code": value}]},
    }


INFUSION = {
    "resourceType": "Procedure",
    "status": "completed",
    "code": {
        "coding": [{"system": "https://cart-fhir.example/fhir/CodeSystem/trial-concept", "code": "car-t-infusion"}]
    },
}


@pytest.mark.parametrize(("measure", "expected"), COUNTS.items())
def test_measure_counts_the_study_as_the_paper_does(
    definitions: Definitions, measure: str, expected: tuple[int, int, int]
) -> None:
    counts: Counter[int] = Counter()
    for record in records(definitions).values():
        counts.update(index for index, answer in enumerate(populations(definitions, measure, record)) if answer)
    assert (counts[0], counts[1], counts[2]) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ([], [False, False, False]),
        ([INFUSION], [True, False, False]),
        ([{**INFUSION, "status": "not-done"}, observation("97509-4", "C4870")], [False, False, False]),
        ([INFUSION, observation("97509-4", "C4870")], [True, True, True]),
        ([INFUSION, observation("97509-4", "C35571")], [True, True, False]),
        ([INFUSION, observation("97509-4", "C62222")], [True, False, False]),
        ([INFUSION, observation("97509-4", "C4870"), observation("97509-4", "C35571")], [True, False, False]),
    ],
    ids=["nothing", "no-response", "not-infused", "complete", "progressive", "not-evaluable", "contradiction"],
)
def test_response_rate_counts_known_responses_only(
    definitions: Definitions, record: list[Resource], expected: list[bool]
) -> None:
    assert populations(definitions, "response-rate", record) == expected
