"""Bindings by strength, value sets without a list, codes and displays, and what was probably meant."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.conformance.definitions import Definitions, load
from service.conformance.validator import Validator
from service.conformance.validator.bindings import Bindings
from service.errors import Issue

UCUM = "http://unitsofmeasure.org"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
OWN = "https://guide.example/fhir"
# Required value sets that cannot be known here, and why.
UNKNOWN = {"http://loinc.org/vs/LL379-9": "an answer list of LOINC, which is not at hand"}


@pytest.fixture(scope="module")
def validator(definitions: Definitions) -> Validator:
    return Validator(definitions)


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "Ferritin"}, **elements}


def condition(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, **elements}


def interpreted(*codings: dict[str, Any], **concept: Any) -> dict[str, Any]:
    return observation(interpretation=[{"coding": list(codings), **concept} if codings else concept])


def photo(**elements: Any) -> dict[str, Any]:
    return patient(photo=[elements])


def quantity(code: str, system: str = UCUM) -> dict[str, Any]:
    return observation(valueQuantity={"value": 1, "system": system, "code": code})


def zone(code: str) -> dict[str, Any]:
    return {"url": "http://hl7.org/fhir/StructureDefinition/tz-code", "valueCode": code}


def statement(*formats: str) -> dict[str, Any]:
    fixed = {"status": "draft", "date": "2020", "kind": "requirements", "fhirVersion": "4.0.1", "description": "x"}
    fixed["rest"] = [{"mode": "server"}]
    return {"resourceType": "CapabilityStatement", **fixed, "format": list(formats)}


def money(currency: str) -> dict[str, Any]:
    fixed = {"status": "issued", "subject": {"reference": "Patient/1"}}
    return {"resourceType": "Invoice", **fixed, "totalNet": {"value": 1, "currency": currency}}


def told(validator: Validator, value: Any) -> list[tuple[str, str | None, str | None]]:
    return [(issue.severity, issue.rule, issue.expression) for issue in validator.check(value)]


RIGHT = [
    patient(language="tr"),
    patient(language="tr-TR"),
    patient(language="zh-Hant-CN-x-private"),
    patient(communication=[{"language": {"text": "Kurdish"}}]),
    photo(contentType="image/svg+xml"),
    photo(contentType="text/plain; charset=utf-8"),
    statement("json", "ttl", "application/fhir+xml"),
    money("TRY"),
    observation(effectiveDateTime="2020", _effectiveDateTime={"extension": [zone("Europe/Istanbul")]}),
    interpreted({"system": INTERPRETATION, "code": "H"}),
    interpreted({"system": "http://local", "code": "hoch"}),
    interpreted({"system": "http://local", "code": "hoch"}, {"system": INTERPRETATION, "code": "H"}),
    interpreted(text="high"),
    quantity("10*3/uL"),
    quantity("{score}"),
    quantity("[IU]/mL"),
    quantity("whatever", "http://local"),
    observation(category=[{"coding": [{"system": CATEGORY, "code": "laboratory", "display": "LABORATORY "}]}]),
    observation(code={"coding": [{"system": "http://local", "code": "x", "display": "anything"}]}),
    photo(data="YWJj", contentType="text/plain", size=3, hash="qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
    photo(url="http://x.example/p.png", contentType="image/png", size=7_000_000),
]
WRONG = [
    (patient(language="tr_TR"), "error", "binding-max", "Patient.language"),
    (
        patient(communication=[{"language": {"coding": [{"system": "http://local", "code": "tr"}]}}]),
        "error",
        "binding-max",
        "Patient.communication[0].language.coding",
    ),
    (photo(contentType="png"), "error", "binding-required", "Patient.photo[0].contentType"),
    (statement("fhir json"), "error", "binding-required", "CapabilityStatement.format[0]"),
    (statement("yaml"), "error", "binding-required", "CapabilityStatement.format[0]"),
    (money("Lira"), "error", "binding-required", "Invoice.totalNet.currency"),
    (
        observation(effectiveDateTime="2020", _effectiveDateTime={"extension": [zone("Kayseri time")]}),
        "error",
        "binding-required",
        "Observation._effectiveDateTime.extension[0].valueCode",
    ),
    (
        condition(onsetAge={"value": 5, "system": UCUM, "code": "mg"}),
        "error",
        "binding-max",
        "Condition.onsetAge.code",
    ),
    (condition(clinicalStatus={"text": "active"}), "error", "binding-required", "Condition.clinicalStatus.coding"),
    (
        interpreted({"system": CATEGORY, "code": "laboratory"}),
        "warning",
        "binding-extensible",
        "Observation.interpretation[0].coding[0]",
    ),
    (
        patient(maritalStatus={"coding": [{"system": CATEGORY, "code": "exam"}]}),
        "warning",
        "binding-extensible",
        "Patient.maritalStatus.coding[0]",
    ),
    (
        observation(category=[{"coding": [{"system": CATEGORY, "code": "lab"}]}]),
        "warning",
        "code-unknown",
        "Observation.category[0].coding[0].code",
    ),
    (
        observation(category=[{"coding": [{"system": CATEGORY, "code": "laboratory", "display": "Radiology"}]}]),
        "warning",
        "display-wrong",
        "Observation.category[0].coding[0].display",
    ),
    (quantity("IU/mL"), "error", "unit-unknown", "Observation.valueQuantity.code"),
    (quantity("mg//dL"), "error", "unit-unknown", "Observation.valueQuantity.code"),
    (photo(data="YWJj", contentType="text/plain", size=4), "error", "attachment-size", "Patient.photo[0].size"),
    (photo(data="YWJj", contentType="text/plain", hash="YWJj"), "error", "attachment-hash", "Patient.photo[0].hash"),
    (
        photo(data="YWJk", contentType="text/plain", hash="qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
        "error",
        "attachment-hash",
        "Patient.photo[0].hash",
    ),
]


@pytest.mark.parametrize("value", RIGHT)
def test_check_code_right(validator: Validator, value: dict[str, Any]) -> None:
    assert told(validator, value) == []


@pytest.mark.parametrize(("value", "severity", "rule", "expression"), WRONG)
def test_check_code_wrong(
    validator: Validator, value: dict[str, Any], severity: str, rule: str, expression: str
) -> None:
    assert told(validator, value) == [(severity, rule, expression)]


def only(validator: Validator, value: Any) -> Issue:
    (issue,) = validator.check(value)
    return issue


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (observation(status="finl"), "'final'"),
        (observation(status="FINAL"), "'final'"),
        (patient(gender="femal"), "'female'"),
        (patient(birthdate="2020"), "'birthDate'"),
        (observation(subject={"type": "Pateint", "display": "x"}), "'Patient'"),
        (quantity("MG/DL"), "'mg/dL'"),
        (observation(category=[{"coding": [{"system": CATEGORY, "code": "exam", "display": "x"}]}]), "'Exam'"),
    ],
)
def test_check_says_what_was_meant(validator: Validator, value: Any, meant: str) -> None:
    assert meant in only(validator, value).text


def test_check_concept_suggests_by_its_first_coding(validator: Validator) -> None:
    value = condition(clinicalStatus={"coding": [{"system": CLINICAL, "code": "actve"}]})
    texts = {issue.rule: issue.text for issue in validator.check(value)}
    assert "did you mean 'active'?" in texts["binding-required"]


def test_check_code_far_from_all_suggests_nothing(validator: Validator) -> None:
    assert "did you mean" not in only(validator, patient(gender="qqq")).text


@pytest.mark.parametrize("long", ["x" * 300, "x" * 100_000])
def test_check_long_codes_are_told_or_left(validator: Validator, long: str) -> None:
    value = photo(contentType=long, title="x")
    assert told(validator, value) == [("error", "binding-required", "Patient.photo[0].contentType")]
    assert told(validator, observation(category=[{"coding": [{"system": CATEGORY, "code": long}]}])) == []
    assert told(validator, quantity(long)) == [("error", "unit-unknown", "Observation.valueQuantity.code")]


@pytest.mark.parametrize("wrong", [1, True, [], {}, ["a"], {"a": 1}, None])
def test_check_malformed_coding_does_not_raise(validator: Validator, wrong: Any) -> None:
    for element in ("system", "code", "display"):
        coding = {"system": CATEGORY, "code": "laboratory", "display": "x", element: wrong}
        assert validator.check(observation(category=[{"coding": [coding]}]))


def test_every_required_value_set_is_known_or_explained(definitions: Definitions, validator: Validator) -> None:
    bindings = Bindings(validator.terminology, definitions)
    required = {
        url
        for name in definitions.structures()
        for element in definitions.structure(name).elements
        for strength, url in [element.binding or ("", "")]
        if strength == "required"
    }
    members = {url: bindings.members(url) for url in required - {""}}
    assert {url for url, known in members.items() if known is None or known.holds("no; code")} == UNKNOWN.keys()
    assert len(required) > 250


def profile(binding: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "url": f"{OWN}/StructureDefinition/coded",
        "name": "Coded",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Observation",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation",
        "derivation": "constraint",
        "differential": {
            "element": [{"id": "Observation.method", "path": "Observation.method", "binding": binding}],
        },
    }


METHODS = {
    "resourceType": "CodeSystem",
    "url": f"{OWN}/CodeSystem/method",
    "status": "draft",
    "content": "complete",
    "concept": [{"code": "astct"}, {"code": "cartox"}, {"code": "other"}],
}
PREFERRED = {
    "resourceType": "ValueSet",
    "url": f"{OWN}/ValueSet/preferred",
    "status": "draft",
    "compose": {"include": [{"system": METHODS["url"], "concept": [{"code": "astct"}]}]},
}
ALL = {
    "resourceType": "ValueSet",
    "url": f"{OWN}/ValueSet/all",
    "status": "draft",
    "compose": {"include": [{"system": METHODS["url"], "concept": [{"code": "astct"}, {"code": "cartox"}]}]},
}
MAX = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"


@pytest.mark.parametrize("strength", ["extensible", "preferred", "example"])
def test_check_profile_binding_by_strength(tmp_path_factory: pytest.TempPathFactory, strength: str) -> None:
    folder = tmp_path_factory.mktemp(strength)
    binding = {
        "strength": strength,
        "valueSet": PREFERRED["url"],
        "extension": [{"url": MAX, "valueCanonical": ALL["url"]}],
    }
    coded = profile(binding)
    for index, resource in enumerate((coded, METHODS, PREFERRED, ALL)):
        (folder / f"{index}.json").write_text(json.dumps(resource))
    validator = Validator(load(None, folder))

    def found(code: str, system: str = METHODS["url"]) -> list[str | None]:
        value = observation(method={"coding": [{"system": system, "code": code}]})
        return [issue.rule for issue in validator.check(value, [coded["url"]])]

    outside = ["binding-extensible"] if strength == "extensible" else []
    assert found("astct") == []
    assert found("cartox") == outside
    assert found("other") == ["binding-max", *outside]
    assert found("x", "http://local") == ["binding-max"]
    assert validator.check(observation(method={"text": "by hand"}), [coded["url"]]) == []
