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
SOURCES = Path(__file__).resolve().parents[2] / "fhir_profiles"
COMPILED = SOURCES / "fsh-generated" / "resources"
BASE = "https://cart-fhir.example/fhir/StructureDefinition/"
EXAMPLES: dict[str, Resource] = {
    resource["id"]: resource
    for resource in (decode(path.read_bytes(), max_depth=200) for path in sorted(COMPILED.glob("*.json")))
    if resource["id"].startswith("example-")
}
BAD: dict[str, Resource] = {
    path.stem: decode(path.read_bytes(), max_depth=200) for path in sorted((SOURCES / "bad").glob("*.json"))
}
PROFILES = {
    "car-t-infusion": "Procedure",
    "car-t-measurement": "Observation",
    "car-t-product": "BiologicallyDerivedProduct",
    "cd19-cells": "Observation",
    "donor-chimerism": "Observation",
    "ice-score": "Observation",
    "laboratory-result": "Observation",
    "leukapheresis": "Procedure",
    "prior-hsct": "Procedure",
    "prior-radiotherapy": "Procedure",
    "prior-therapy": "MedicationStatement",
    "registry-report": "Task",
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
# The report prints no release results: a warning, not an error.
WARNED = {"example-product-2": [("BiologicallyDerivedProduct", "cf-product-results")]}


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
    """The keys of the invariants of ours that a profile has, those of the profile it is derived from too."""
    rules = [rule for element in profile["snapshot"]["element"] for rule in element.get("constraint", [])]
    return {rule["key"] for rule in rules if rule.get("source", "").startswith(BASE)}


def test_profiles_are_those_of_the_table(definitions: Definitions) -> None:
    assert {profile["id"]: profile["type"] for profile in own_profiles(definitions)} == PROFILES


def test_every_profile_has_an_example() -> None:
    assert {profile_of(example) for example in EXAMPLES.values()} == PROFILES.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_conforms(validator: Validator, name: str) -> None:
    validator.require(EXAMPLES[name])
    found = [(issue.expression, issue.rule) for issue in validator.check(EXAMPLES[name])]
    assert found == WARNED.get(name, [])


def test_references_among_examples_resolve() -> None:
    known = {f"{example['resourceType']}/{name}" for name, example in EXAMPLES.items()}
    known |= {f"#{part['id']}" for example in EXAMPLES.values() for part in example.get("contained", ())}
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


@pytest.mark.parametrize("name", BAD)
def test_bad_example_breaks_its_rule_alone(validator: Validator, name: str) -> None:
    bad = BAD[name]
    severity = bad.get("severity", "error")
    found = [(one.expression, one.rule, one.severity) for one in validator.check(bad["resource"])]
    assert name == f"{bad['profile']}-{bad['rule']}"
    assert profile_of(bad["resource"]) == bad["profile"]
    assert found == [(bad["expression"], bad["rule"], severity)]
    if severity == "error":
        with pytest.raises(Unprocessable):
            validator.require(bad["resource"])


def test_bad_examples_are_no_examples() -> None:
    assert not {bad["resource"]["id"] for bad in BAD.values()} & EXAMPLES.keys()


def test_every_profile_and_every_rule_has_a_bad_example(definitions: Definitions) -> None:
    rules = {rule for profile in own_profiles(definitions) for rule in rules_of(profile)}
    assert {bad["profile"] for bad in BAD.values()} == PROFILES.keys()
    assert rules - {bad["rule"] for bad in BAD.values()} == set()


def test_every_rule_of_a_profile_is_broken(definitions: Definitions) -> None:
    broken = {(profile_of(EXAMPLES[name]), rule) for name, _, _, rule in REFUSED}
    broken |= {(bad["profile"], bad["rule"]) for bad in BAD.values()}
    rules = {(profile["id"], rule) for profile in own_profiles(definitions) for rule in rules_of(profile)}
    shared = {(profile, rule) for profile, rule in rules if rule == "cf-restricted"}
    inherited = {("cd19-cells", rule) for profile, rule in rules if profile == "laboratory-result"}
    assert rules - shared - inherited <= broken
    assert {profile for profile, _ in shared} == PROFILES.keys() - UNLABELLED


@pytest.mark.parametrize("name", sorted(name for name, one in EXAMPLES.items() if profile_of(one) not in UNLABELLED))
def test_label_missing_is_refused(validator: Validator, name: str) -> None:
    resource = changed(EXAMPLES[name], {"meta.security": None})
    assert errors(validator, resource) == [(resource["resourceType"], "cf-restricted")]


@pytest.mark.parametrize(
    ("type_", "code"),
    [
        ("BiologicallyDerivedProduct", "identifier"),
        ("BiologicallyDerivedProduct", "status"),
        ("BiologicallyDerivedProduct", "source"),
        ("BiologicallyDerivedProduct", "release-status"),
        ("Procedure", "infused-product"),
        ("AdverseEvent", "suspect-product"),
        ("AdverseEvent", "grade"),
        ("Condition", "disease-status"),
    ],
)
def test_search_parameter_of_ours_is_known(definitions: Definitions, type_: str, code: str) -> None:
    found = definitions.search_parameters.get(type_, code)
    assert found is not None
    assert found.expression.startswith(f"{type_}.")


def test_every_definition_is_valid(definitions: Definitions, validator: Validator) -> None:
    found = {one["url"]: errors(validator, one) for one in definitions.own_resources()}
    assert len(found) > 90
    assert {url: broken for url, broken in found.items() if broken} == {}


@pytest.mark.parametrize("id_", ["response-rate", "toxicity-rate"])
def test_measure_is_valid_and_has_three_populations(definitions: Definitions, validator: Validator, id_: str) -> None:
    measure = definitions.resource(f"https://cart-fhir.example/fhir/Measure/{id_}")
    assert measure is not None
    assert validator.check(measure) == []
    codes = [population["code"]["coding"][0]["code"] for population in measure["group"][0]["population"]]
    assert codes == ["initial-population", "denominator", "numerator"]
