"""What is valid in R4 though it looks odd, what HL7 itself publishes, and that no input makes the validator raise."""

from __future__ import annotations

import copy
import random
import tarfile
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.conformance.definitions import CORE_PACKAGE, Definitions
from service.conformance.validator import Validator
from service.errors import ISSUE_TYPES
from service.fhir.json import decode
from service.settings import shipped

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'
SDC = "http://hl7.org/fhir/StructureDefinition"
ABSENT = {"extension": [{"url": f"{SDC}/data-absent-reason", "valueCode": "unknown"}]}
UCUM = "http://unitsofmeasure.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


@pytest.fixture(scope="module")
def validator(definitions: Definitions) -> Validator:
    return Validator(definitions)


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "Ferritin"}, **elements}


def nested(depth: int) -> dict[str, Any]:
    item: dict[str, Any] = {"linkId": f"{depth}", "type": "string"}
    for level in range(depth):
        item = {"linkId": f"{level}", "type": "group", "item": [item]}
    return item


VALID = [
    patient(),
    patient(id="x" * 64, active=False, deceasedBoolean=False, multipleBirthInteger=-(2**31)),
    patient(meta={"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}),
    patient(_birthDate=ABSENT),
    patient(_gender=ABSENT, birthDate="2020", _birthDate={"id": "b", **ABSENT}),
    patient(name=[{"given": ["Ayşe", None], "_given": [None, ABSENT]}]),
    patient(name=[{"given": [None, "Ayşe"], "_given": [ABSENT, {"id": "g"}]}]),
    patient(name=[{"_given": [ABSENT, ABSENT]}]),
    patient(name=[{"family": "İıŞşĞğ Öztürk\u00a0Çelik"}]),
    *[patient(birthDate=date) for date in ("2020", "2020-02", "2020-02-29", "2000-02-29", "1899-12-31", "0001")],
    *[
        observation(effectiveDateTime=date)
        for date in (
            "2020",
            "2020-02",
            "2020-02-29",
            "2020-02-29T23:59:60Z",
            "2020-02-29T10:00:00.123456789+03:00",
            "2020-02-29T10:00:00-13:59",
            "2020-02-29T10:00:00+14:00",
        )
    ],
    observation(_effectiveDateTime=ABSENT),
    observation(valueTime="10:00:00.5"),
    observation(valueBoolean=False),
    observation(valueInteger=0),
    observation(dataAbsentReason={"text": "not asked"}, component=[{"code": {"text": "x"}, "valueString": "y"}]),
    observation(valueQuantity={"value": Decimal("123456789012345678901234567890.12345678901234567890")}),
    observation(valueQuantity={"value": Decimal("1.10E+400"), "unit": "mg/dl", "system": UCUM, "code": "mg/dL"}),
    observation(valueQuantity={"value": 10**40}),
    observation(valueQuantity={"value": Decimal("-0.00"), "_unit": ABSENT}),
    observation(valueRange={"low": {"value": 2, "unit": "g"}, "high": {"value": 1, "unit": "kg"}}),
    observation(valuePeriod={"start": "2021-01-31", "end": "2021-01"}),
    observation(valuePeriod={"start": "2021-01-01T01:00:00+03:00", "end": "2020-12-31"}),
    observation(valueRatio={"extension": [{"url": "http://x", "valueString": "x"}]}),
    observation(valueString="line\r\n\ttab"),
    observation(valueString=" leading and trailing "),
    observation(valueCodeableConcept={"coding": [{"code": "a b c"}]}),
    observation(subject={"reference": "#p"}, contained=[patient(id="p")]),
    observation(contained=[observation(id="o", derivedFrom=[{"reference": "#"}])]),
    observation(
        subject={"reference": "#p"},
        contained=[
            patient(id="p", managingOrganization={"reference": "#o"}),
            {"resourceType": "Organization", "id": "o", "name": "x"},
        ],
    ),
    *[
        observation(subject={"reference": reference})
        for reference in (
            "Patient/1",
            "Group/1/_history/3",
            "https://ehr.example/fhir/Patient/1",
            "urn:uuid:6f9e0d9c-0b4d-4f0e-8a51-1f7e0f7f4a3b",
            "Patient?identifier=http://x|1",
            "https://ehr.example/whatever/path?x=1",
        )
    ],
    observation(subject={"type": "Patient", "identifier": {"value": "1"}}),
    observation(subject={"_reference": ABSENT}),
    patient(
        extension=[{"url": "http://unknown.example/x", "valueUuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}]
    ),
    patient(extension=[{"url": "http://unknown.example/x", "extension": [{"url": "y", "valueOid": "urn:oid:1.2.3"}]}]),
    patient(extension=[{"url": "http://unknown.example/x", "_valueString": ABSENT}]),
    patient(extension=[{"url": f"{SDC}/patient-birthPlace", "valueAddress": {"city": "Kayseri"}}]),
    patient(photo=[{"contentType": "text/plain", "data": "YWJj\nYWI="}]),
    patient(
        text={"status": "generated", "div": f"{DIV}<p>1&nbsp;&lt;&#160;2</p><table><tr><td>x</td></tr></table></div>"}
    ),
    {"resourceType": "Questionnaire", "status": "draft", "item": [nested(12)]},
    {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "item": [{"linkId": "1", "answer": [{"valueDecimal": Decimal("1.0"), "item": [{"linkId": "2"}]}]}],
    },
    {
        "resourceType": "ValueSet",
        "status": "draft",
        "expansion": {
            "timestamp": "2020",
            "contains": [{"abstract": True, "display": "x", "contains": [{"system": "http://x", "code": "y"}]}],
        },
    },
    {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {
                "fullUrl": "urn:uuid:6f9e0d9c-0b4d-4f0e-8a51-1f7e0f7f4a3b",
                "resource": patient(),
                "request": {"method": "POST", "url": "Patient"},
            },
            {"request": {"method": "GET", "url": "Patient?name=x&_count=2"}},
        ],
    },
    {"resourceType": "Parameters", "parameter": [{"name": "x", "part": [{"name": "y", "valueCode": "z"}]}]},
    {"resourceType": "Binary", "contentType": "application/pdf", "data": "YWJj"},
    {
        "resourceType": "MedicationStatement",
        "status": "active",
        "medicationCodeableConcept": {"text": "x"},
        "subject": {"reference": "Patient/1"},
        "effectivePeriod": {"_start": ABSENT, "end": "2020"},
        "dosage": [
            {
                "timing": {
                    "repeat": {
                        "boundsDuration": {"value": 3, "unit": "d", "system": UCUM, "code": "d"},
                        "frequency": 1,
                        "period": Decimal("1.0"),
                        "periodUnit": "d",
                    }
                },
                "doseAndRate": [{"doseQuantity": {"value": Decimal("0.50"), "unit": "mg"}}],
            }
        ],
    },
    {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/1"},
        "abatementDateTime": "2020",
        "clinicalStatus": {
            "coding": [
                {"system": "http://x", "code": "y"},
                {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "remission"},
            ]
        },
    },
    {
        "resourceType": "BiologicallyDerivedProduct",
        "productCategory": "cells",
        "quantity": 1,
        "collection": {"collectedPeriod": {"start": "2020"}},
    },
    {
        "resourceType": "Observation",
        "meta": {"profile": [f"{SDC}/bodyweight"]},
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2020-01-01",
        "valueQuantity": {"value": 70, "unit": "kg", "system": UCUM, "code": "kg"},
    },
]


@pytest.mark.parametrize("value", VALID)
def test_check_valid(validator: Validator, value: dict[str, Any]) -> None:
    before = copy.deepcopy(value)
    assert validator.check(value) == []
    assert value == before


def test_check_corpus_is_large() -> None:
    assert len(VALID) >= 40


def test_check_first_use_in_many_threads_agrees(definitions: Definitions) -> None:
    fresh = Validator(definitions)
    with ThreadPoolExecutor(8) as pool:
        assert [found for found in pool.map(fresh.check, VALID * 3) if found] == []


def test_check_unknown_profile_is_information_only(validator: Validator) -> None:
    value = patient(meta={"profile": ["http://elsewhere.example/StructureDefinition/x"]})
    (issue,) = validator.check(value)
    assert (issue.severity, issue.rule, issue.expression) == (
        "information",
        "profile-unknown",
        "Patient.meta.profile[0]",
    )
    validator.require(value)


@pytest.mark.parametrize(("version", "told"), [("9.0", True), ("4.0.1", False), ("", False)])
def test_check_profile_of_another_version_is_told(validator: Validator, version: str, told: bool) -> None:
    profile = f"http://hl7.org/fhir/StructureDefinition/vitalsigns|{version}".removesuffix("|")
    value = {
        "resourceType": "Observation",
        "meta": {
            "profile": [profile, f"http://hl7.org/fhir/StructureDefinition/Observation|{version}".removesuffix("|")]
        },
        "status": "final",
        "category": [
            {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
                ]
            }
        ],
        "code": {"text": "weight"},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2021-01-01",
        "dataAbsentReason": {"text": "not done"},
    }
    found = [(issue.severity, issue.rule, issue.expression) for issue in validator.check(value)]
    places = [("warning", "profile-version", f"Observation.meta.profile[{n}]") for n in (0, 1)] if told else []
    assert found == places
    validator.require(value)


def test_check_core_package_resources_have_no_errors(validator: Validator) -> None:
    with tarfile.open(shipped(*CORE_PACKAGE)) as archive:
        members = [member for member in archive if member.name.endswith(".json") and member.size < 60_000]
        sample = random.Random(19).sample(members, 320)
        for member in sorted(sample, key=lambda member: member.offset):
            value = decode(archive.extractfile(member).read(), max_depth=200)
            if value.get("fhirVersion", "4.0.1") == "4.0.1" and "resourceType" in value:
                assert [issue for issue in validator.check(value) if issue.severity == "error"] == [], member.name


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals()
    | st.text(max_size=8)
    | st.sampled_from(["2020-02-30", "#", "#p", "Patient/1", "http://x", "Patient", "urn:uuid:1", "\ud800", "99999-01"])
)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything inside the value."""
    found: list[tuple[Any, Any]] = []
    todo = [value]
    while todo:
        node = todo.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            found.append((node, key))
            todo.append(node[key])
    return found


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_check_mutated_never_raises(validator: Validator, data: st.DataObject) -> None:
    value = copy.deepcopy(data.draw(st.sampled_from(VALID)))
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(value)
        container, key = data.draw(st.sampled_from(places))
        action = data.draw(st.sampled_from(["replace", "remove", "repeat", "rename"]))
        if action == "replace":
            container[key] = data.draw(anything)
        elif action == "repeat":
            container[key] = [container[key], container[key]]
        else:
            old = container.pop(key)
            if action == "rename" and isinstance(container, dict):
                container[data.draw(st.sampled_from(["_" + key, key.upper(), "valueString", "extension", "url"]))] = old
        if not _places(value):
            break
    for issue in validator.check(value):
        assert issue.code in ISSUE_TYPES
        assert issue.expression
        assert issue.rule


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=anything, name=st.sampled_from(["Patient", "Bundle", "Observation", "Questionnaire", "StructureMap"]))
def test_check_anything_never_raises(validator: Validator, value: Any, name: str) -> None:
    validator.check(value)
    if isinstance(value, dict):
        validator.check({"resourceType": name, **value})
    validator.check({"resourceType": name, "contained": value, "meta": value, "extension": value})


def test_check_too_deep_is_an_issue(validator: Validator) -> None:
    (issue,) = validator.check({"resourceType": "Questionnaire", "status": "draft", "item": [nested(3000)]})
    assert issue.rule == "json-too-deep"
