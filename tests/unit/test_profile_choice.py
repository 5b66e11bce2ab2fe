"""Profiles that a code chooses: own codes require theirs, public codes advise, everything else is left alone."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.errors import BadRequest, Unprocessable
from service.settings import shipped

BASE = "https://cart-fhir.example/fhir"
CONCEPT = f"{BASE}/CodeSystem/trial-concept"
LABORATORY = f"{BASE}/StructureDefinition/laboratory-result"
USAGE = "http://terminology.hl7.org/CodeSystem/usage-context-type"
COMPILED = shipped("fhir_profiles", "fsh-generated", "resources")
PROFILES = [json.loads(path.read_text()) for path in sorted(COMPILED.glob("StructureDefinition-*.json"))]
CHOICES = [
    (coding["system"], coding["code"], profile["type"], profile["url"])
    for profile in PROFILES
    for use in profile.get("useContext", ())
    for coding in use["valueCodeableConcept"]["coding"]
]
ELEMENT = {
    "AdverseEvent": "event",
    "BiologicallyDerivedProduct": "productCode",
    "MedicationAdministration": "medicationCodeableConcept",
}
# What R4 itself requires besides the code, so that only the profile can be violated.
SMALLEST: dict[str, dict[str, Any]] = {
    "AdverseEvent": {"actuality": "actual", "subject": {"display": "x"}},
    "BiologicallyDerivedProduct": {},
    "Condition": {"subject": {"display": "x"}},
    "DetectedIssue": {"status": "final"},
    "Group": {"type": "person", "actual": True},
    "MedicationAdministration": {
        "status": "completed",
        "subject": {"display": "x"},
        "effectiveDateTime": "2020",
    },
    "Observation": {"status": "final"},
    "Procedure": {"status": "completed", "subject": {"display": "x"}},
}


@pytest.fixture(scope="module")
def validator(definitions: Definitions) -> Validator:
    return Validator(definitions)


def coded(type_: str, system: str, code: str, **changes: Any) -> dict[str, Any]:
    concept = {"coding": [{"system": system, "code": code}]}
    return {"resourceType": type_, **SMALLEST[type_], ELEMENT.get(type_, "code"): concept} | changes


def found(validator: Validator, resource: dict[str, Any]) -> set[tuple[str, str]]:
    """Severity and profile of the findings of our profiles."""
    return {
        (issue.severity, issue.source.partition("|")[0])
        for issue in validator.check(resource)
        if issue.source and issue.source.startswith(BASE)
    }


def examples() -> Iterator[dict[str, Any]]:
    for path in sorted(COMPILED.glob("*-example-*.json")):
        resource = json.loads(path.read_text())
        if resource.get("meta", {}).get("profile"):
            yield resource


def test_choices_are_declared_as_r4_says() -> None:
    for profile in PROFILES:
        for use in profile.get("useContext", ()):
            assert (use["code"]["system"], use["code"]["code"]) == (USAGE, "focus")
    assert {type_ for _, _, type_, _ in CHOICES} == set(SMALLEST)
    assert len({(system, code, type_) for system, code, type_, _ in CHOICES}) == len(CHOICES)


@pytest.mark.parametrize(("system", "code", "type_", "url"), CHOICES)
def test_code_without_a_claim_chooses_its_profile(
    validator: Validator, system: str, code: str, type_: str, url: str
) -> None:
    resource = coded(type_, system, code)
    own = system.startswith(BASE)
    assert {one for one in found(validator, resource) if one[0] != "information"} >= {
        ("error" if own else "warning", url)
    }
    if own:
        with pytest.raises(Unprocessable):
            validator.require(resource)
    else:
        validator.require(resource)


def test_every_example_is_valid_without_its_claim_as_well(validator: Validator) -> None:
    chosen = {(system, code) for system, code, _, _ in CHOICES}
    seen = 0
    for resource in examples():
        bare = copy.deepcopy(resource)
        bare["meta"] = {"tag": [{"code": "x"}]} | {
            name: bare["meta"][name] for name in bare["meta"] if name != "profile"
        }
        concept = bare.get(ELEMENT.get(bare["resourceType"], "code"), {})
        seen += any((one.get("system"), one.get("code")) in chosen for one in concept.get("coding", ()))
        assert [issue for issue in validator.check(bare) if issue.severity == "error"] == []
    assert seen > 10


def test_claimed_profile_is_not_advised_again(validator: Validator) -> None:
    resource = coded("Observation", "http://loinc.org", "2276-4", meta={"profile": [LABORATORY]})
    assert {severity for severity, _ in found(validator, resource)} == {"error"}
    with pytest.raises(Unprocessable):
        validator.require(resource)


def test_claim_of_a_derived_profile_implies_its_ancestor(validator: Validator) -> None:
    derived = f"{BASE}/StructureDefinition/cd19-cells"
    resource = coded("Observation", "http://loinc.org", "2276-4", meta={"profile": [derived]})
    severities = {(issue.rule, issue.severity) for issue in validator.check(resource)}
    assert ("cf-restricted", "error") in severities
    assert ("cf-restricted", "warning") not in severities


@pytest.mark.parametrize(
    "resource",
    [
        coded("Observation", "http://loinc.org", "9999-9"),
        coded("Observation", "http://snomed.info/sct", "2276-4"),
        coded("Observation", "http://loinc.org", "leukapheresis"),
        coded("Procedure", "http://loinc.org", "2276-4"),
        {"resourceType": "Observation", "status": "final", "code": {"text": "2276-4"}},
    ],
)
def test_other_codes_and_types_choose_nothing(validator: Validator, resource: dict[str, Any]) -> None:
    assert found(validator, resource) == set()


@pytest.mark.parametrize(
    "broken",
    [
        {"resourceType": ["Observation"], "code": {}},
        {"resourceType": {}, "code": {}},
        {"resourceType": "Observation", "code": [{"coding": [{}]}]},
        {"resourceType": "Observation", "code": {"coding": {"code": "2276-4"}}},
        {"resourceType": "Observation", "code": {"coding": [None, 3, {"code": ["2276-4"]}, {"code": {}}]}},
        {"resourceType": "Observation", "code": {"coding": [{"code": "ice-score", "system": [CONCEPT]}]}},
        {
            "resourceType": "Observation",
            "meta": {"profile": [3, None]},
            "code": {"coding": [{"system": CONCEPT, "code": "ice-score"}]},
        },
        {"resourceType": "Bundle", "type": "collection", "entry": [None, {"resource": 3}, {"resource": {}}]},
    ],
)
def test_malformed_codings_are_findings_and_never_a_crash(validator: Validator, broken: dict[str, Any]) -> None:
    assert any(issue.severity == "error" for issue in validator.check(broken))
    with pytest.raises(BadRequest):
        validator.require(broken)


def test_entries_of_a_bundle_are_checked_where_they_stand(validator: Validator) -> None:
    entries = [coded("Observation", CONCEPT, "ice-score"), coded("Observation", "http://loinc.org", "2276-4")]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in entries]}
    for number, entry in enumerate(bundle["entry"]):
        entry["fullUrl"] = f"https://hospital.example/fhir/Observation/{number}"
    places = {
        (issue.severity, issue.expression)
        for issue in validator.check(bundle)
        if issue.expression and issue.expression.endswith(".effective")
    }
    assert places == {
        ("error", "Bundle.entry[0].resource.effective"),
        ("warning", "Bundle.entry[1].resource.effective"),
    }


def test_several_codes_choose_several_profiles_once_each(validator: Validator) -> None:
    both = [{"system": CONCEPT, "code": code} for code in ("ice-score", "bulky-disease", "ice-score")]
    resource = coded("Observation", CONCEPT, "ice-score") | {"code": {"coding": both}}
    urls = [f"{BASE}/StructureDefinition/{name}" for name in ("ice-score", "trial-observation")]
    assert {url for _, url in found(validator, resource)} == set(urls)
    issues = [(issue.expression, issue.rule, issue.text, issue.source) for issue in validator.check(resource)]
    assert len(issues) == len(set(issues))
