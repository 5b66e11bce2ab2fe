"""Every profile has examples that keep it, and every one of its rules refuses a resource that breaks it."""

from __future__ import annotations

import copy
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.errors import Unprocessable
from service.fhir.json import decode
from tests.contract.profile_mutations import ACCEPTED, REFUSED

Resource = dict[str, Any]
COMPILED = Path(__file__).resolve().parents[2] / "fhir_profiles" / "fsh-generated" / "resources"
BASE = "https://cart-fhir.example/fhir/StructureDefinition/"
EXAMPLES: dict[str, Resource] = {
    resource["id"]: resource
    for resource in (decode(path.read_bytes(), max_depth=200) for path in sorted(COMPILED.glob("*.json")))
    if resource["id"].startswith("example-")
}
PROFILES = {
    "car-t-infusion": "Procedure",
    "car-t-product": "BiologicallyDerivedProduct",
    "donor-chimerism": "Observation",
    "ice-score": "Observation",
    "laboratory-result": "Observation",
    "leukapheresis": "Procedure",
    "prior-hsct": "Procedure",
    "prior-radiotherapy": "Procedure",
    "prior-therapy": "MedicationStatement",
    "toxicity-grade": "Observation",
    "treatment-response": "Observation",
    "trial-adverse-event": "AdverseEvent",
    "trial-condition": "Condition",
    "trial-consent": "Consent",
    "trial-detected-issue": "DetectedIssue",
    "trial-group": "Group",
    "trial-measure-report": "MeasureReport",
    "trial-medication-administration": "MedicationAdministration",
    "trial-observation": "Observation",
    "trial-patient": "Patient",
    "trial-provenance": "Provenance",
    "trial-research-subject": "ResearchSubject",
    "trial-specimen": "Specimen",
    "trial-study": "ResearchStudy",
}
# The resources that are not about a subject carry no label; a Provenance and a report may.
UNLABELLED = {"trial-study", "trial-provenance", "trial-measure-report"}


@pytest.fixture(scope="module")
def validator(definitions: Definitions) -> Validator:
    """The validator of the service, over the committed profiles."""
    return Validator(definitions)


def profile_of(resource: Resource) -> str:
    """The id of the profile that an example claims."""
    claimed: str = resource["meta"]["profile"][0]
    return claimed.removeprefix(BASE)


def changed(resource: Resource, changes: dict[str, Any]) -> Resource:
    """A copy with the value at each path replaced (`code.coding[0].code`); None removes what stands there."""
    result = copy.deepcopy(resource)
    for path, value in changes.items():
        steps: list[Any] = [int(index) if index else name for name, index in re.findall(r"([\w]+)|\[(\d+)\]", path)]
        holder: Any = result
        for step, following in pairwise(steps):
            if isinstance(holder, dict) and step not in holder:
                holder[step] = [] if isinstance(following, int) else {}
            holder = holder[step]
        if value is None:
            del holder[steps[-1]]
        elif isinstance(holder, list) and steps[-1] == len(holder):
            holder.append(value)
        else:
            holder[steps[-1]] = value
    return result


def errors(validator: Validator, resource: Resource) -> list[tuple[str, str]]:
    """(expression, rule) of each error."""
    return [(issue.expression, issue.rule) for issue in validator.check(resource) if issue.severity == "error"]


def own_profiles(definitions: Definitions) -> list[Resource]:
    """Our profiles of resources."""
    return [
        resource
        for resource in definitions.own_resources()
        if resource["resourceType"] == "StructureDefinition" and resource["kind"] == "resource"
    ]


def rules_of(profile: Resource) -> set[str]:
    """The keys of the invariants that a profile adds."""
    elements = profile["differential"]["element"]
    return {constraint["key"] for element in elements for constraint in element.get("constraint", [])}


def test_profiles_are_those_of_the_table(definitions: Definitions) -> None:
    assert {profile["id"]: profile["type"] for profile in own_profiles(definitions)} == PROFILES


def test_every_profile_has_an_example() -> None:
    assert {profile_of(example) for example in EXAMPLES.values()} == PROFILES.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_conforms(validator: Validator, name: str) -> None:
    validator.require(EXAMPLES[name])
    assert validator.check(EXAMPLES[name]) == []


def test_references_among_examples_resolve() -> None:
    known = {f"{example['resourceType']}/{name}" for name, example in EXAMPLES.items()}
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.extend(target for key, target in value.items() if key == "reference")
            for part in value.values():
                walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)

    walk(list(EXAMPLES.values()))
    assert len(found) > 30
    assert set(found) <= known


@pytest.mark.parametrize(("name", "changes"), ACCEPTED)
def test_variation_is_accepted(validator: Validator, name: str, changes: dict[str, Any]) -> None:
    assert errors(validator, changed(EXAMPLES[name], changes)) == []


@pytest.mark.parametrize(("name", "changes", "expression", "rule"), REFUSED)
def test_mutation_is_refused(
    validator: Validator, name: str, changes: dict[str, Any], expression: str, rule: str
) -> None:
    broken = changed(EXAMPLES[name], changes)
    assert (expression, rule) in errors(validator, broken)
    with pytest.raises(Unprocessable):
        validator.require(broken)


def test_every_profile_is_broken_by_a_mutation() -> None:
    assert {profile_of(EXAMPLES[name]) for name, *_ in REFUSED} == PROFILES.keys()


def test_every_rule_of_a_profile_is_broken_by_a_mutation(definitions: Definitions) -> None:
    broken = {(profile_of(EXAMPLES[name]), rule) for name, _, _, rule in REFUSED}
    rules = {(profile["id"], rule) for profile in own_profiles(definitions) for rule in rules_of(profile)}
    shared = {(profile, rule) for profile, rule in rules if rule == "cf-restricted"}
    assert rules - shared <= broken
    assert {profile for profile, _ in shared} == PROFILES.keys() - UNLABELLED


@pytest.mark.parametrize("name", sorted(name for name, one in EXAMPLES.items() if profile_of(one) not in UNLABELLED))
def test_label_missing_is_refused(validator: Validator, name: str) -> None:
    resource = changed(EXAMPLES[name], {"meta.security": None})
    assert errors(validator, resource) == [(resource["resourceType"], "cf-restricted")]


@pytest.mark.parametrize("code", ["identifier", "status", "source"])
def test_search_parameter_of_the_product_is_known(definitions: Definitions, code: str) -> None:
    found = definitions.search_parameters.get("BiologicallyDerivedProduct", code)
    assert found is not None
    assert found.expression.startswith("BiologicallyDerivedProduct.")


@pytest.mark.parametrize("id_", ["response-rate", "toxicity-rate"])
def test_measure_is_valid_and_has_three_populations(definitions: Definitions, validator: Validator, id_: str) -> None:
    measure = definitions.resource(f"https://cart-fhir.example/fhir/Measure/{id_}")
    assert measure is not None
    assert validator.check(measure) == []
    codes = [population["code"]["coding"][0]["code"] for population in measure["group"][0]["population"]]
    assert codes == ["initial-population", "denominator", "numerator"]
