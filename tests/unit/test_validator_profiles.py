"""Profiles of a small guide: cardinality, types, fixed values, patterns, bindings, slices, extensions, invariants."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest

from service.conformance.definitions import load
from service.conformance.validator import Validator
from service.errors import BadRequest, Unprocessable

OWN = "https://guide.example/fhir"
HL7 = "http://hl7.org/fhir/StructureDefinition"
ABSENT = f"{HL7}/data-absent-reason"


def element(id_: str, **rules: Any) -> dict[str, Any]:
    path = ".".join(step.partition(":")[0] for step in id_.split("."))
    last = id_.rpartition(".")[2].partition(":")[2]
    return {"id": id_, "path": path, **({"sliceName": last} if last else {}), **rules}


def profile(id_: str, type_: str, *elements: dict[str, Any], base: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "url": f"{OWN}/StructureDefinition/{id_}",
        "version": "1.0",
        "name": id_,
        "status": "draft",
        "kind": "complex-type" if type_ == "Extension" else "resource",
        "abstract": False,
        "type": type_,
        "baseDefinition": base or f"{HL7}/{type_}",
        "derivation": "constraint",
        "differential": {"element": list(elements)},
        **more,
    }


def slicing(type_: str, path: str, rules: str = "open") -> dict[str, Any]:
    return {"slicing": {"discriminator": [{"type": type_, "path": path}], "rules": rules}}


def constraint(key: str, expression: str, severity: str = "error") -> dict[str, Any]:
    return {"key": key, "severity": severity, "human": f"Rule {key}", "expression": expression}


def coding(code: str, system: str = "http://s") -> dict[str, Any]:
    return {"system": system, "code": code}


LAB = profile(
    "lab",
    "Observation",
    element("Observation", constraint=[constraint("lab-1", "value.exists() or dataAbsentReason.exists()")]),
    element("Observation.category", min=1, **slicing("pattern", "$this", "closed")),
    element("Observation.category:lab", min=1, max="1", patternCodeableConcept={"coding": [coding("laboratory")]}),
    element("Observation.category:extra", min=0, max="2", patternCodeableConcept={"coding": [coding("extra")]}),
    element("Observation.code", patternCodeableConcept={"coding": [coding("ldh")]}),
    element("Observation.subject", min=1, type=[{"code": "Reference", "targetProfile": [f"{HL7}/Patient"]}]),
    element("Observation.effective[x]", min=1, type=[{"code": "dateTime"}]),
    element("Observation.effective[x].extension", **slicing("value", "url")),
    element(
        "Observation.effective[x].extension:absent",
        min=0,
        max="1",
        type=[{"code": "Extension", "profile": [ABSENT]}],
    ),
    element(
        "Observation.value[x]", type=[{"code": "Quantity"}, {"code": "CodeableConcept"}], **slicing("type", "$this")
    ),
    element("Observation.value[x]:valueQuantity", type=[{"code": "Quantity"}], min=0, max="1"),
    element("Observation.value[x]:valueQuantity.system", min=1, fixedUri="http://unitsofmeasure.org"),
    element(
        "Observation.value[x]:valueQuantity.value",
        min=1,
        minValueDecimal=Decimal("0.5"),
        maxValueDecimal=10,
    ),
    element("Observation.note", max="0"),
    element("Observation.method", min=1),
    element("Observation.method", binding={"strength": "required", "valueSet": f"{OWN}/ValueSet/grading|1.0"}),
    element("Observation.device.display", min=1, maxLength=5),
    element("Observation.component", **slicing("value", "code")),
    element("Observation.component:sys", min=0, max="1"),
    element("Observation.component:sys.code", patternCodeableConcept={"coding": [coding("sys")]}),
    element("Observation.component:sys.value[x]", min=1, type=[{"code": "integer"}]),
    element(
        "Observation.component.referenceRange",
        constraint=[constraint("lab-2", "low.exists() and %resource.subject.exists()")],
    ),
)
STRICT = profile(
    "strict",
    "Observation",
    element("Observation.performer", min=2, max="3"),
    element("Observation.category:lab.text", min=1),
    base=LAB["url"],
)
LINE = profile(
    "line",
    "Extension",
    element("Extension.extension", max="0"),
    element("Extension.url", fixedUri=f"{OWN}/StructureDefinition/line"),
    element("Extension.value[x]", min=1, type=[{"code": "positiveInt"}]),
)
SOURCE = profile(
    "source",
    "Extension",
    element("Extension.extension", min=1, **slicing("value", "url", "closed")),
    element("Extension.extension:row", min=1, max="1"),
    element("Extension.extension:row.url", fixedUri="row"),
    element("Extension.extension:row.value[x]", min=1, type=[{"code": "string"}]),
    element("Extension.url", fixedUri=f"{OWN}/StructureDefinition/source"),
    element("Extension.value[x]", max="0"),
)
NEGATED = profile(
    "negated",
    "Extension",
    element("Extension", isModifier=True),
    element("Extension.url", fixedUri=f"{OWN}/StructureDefinition/negated"),
    element("Extension.value[x]", min=1, type=[{"code": "boolean"}]),
)
PERSON = profile(
    "person",
    "Patient",
    element("Patient.extension", min=1, **slicing("value", "url")),
    element(
        "Patient.extension:line",
        min=1,
        max="1",
        type=[{"code": "Extension", "profile": [f"{OWN}/StructureDefinition/line"]}],
    ),
    element("Patient.birthDate.extension", **slicing("value", "url")),
    element("Patient.birthDate.extension:absent", min=1, max="1", type=[{"code": "Extension", "profile": [ABSENT]}]),
    element("Patient.identifier", min=1, **slicing("value", "system")),
    element("Patient.identifier:study", min=1, max="1"),
    element("Patient.identifier:study.system", min=1, fixedUri="http://study"),
    element(
        "Patient.identifier:study.value",
        min=1,
        constraint=[constraint("id-1", "matches('^[A-Z]+-[0-9]{3}$')"), constraint("id-2", "length() < 9", "warning")],
    ),
    element("Patient.name", **slicing("exists", "period")),
    element("Patient.name:past", max="1"),
    element("Patient.name:past.period", min=1),
    element("Patient.name:now", max="1"),
    element("Patient.name:now.period", max="0"),
    element("Patient.contact", constraint=[constraint("ct-1", "name.exists()")]),
)
PACKET = profile(
    "packet",
    "Bundle",
    element("Bundle.type", fixedCode="collection"),
    element("Bundle.entry", min=1, **slicing("type", "resource", "closed")),
    element("Bundle.entry:patient", min=1, max="1"),
    element("Bundle.entry:patient.resource", min=1, type=[{"code": "Patient", "profile": [PERSON["url"]]}]),
    element("Bundle.entry:lab", min=0, max="*"),
    element("Bundle.entry:lab.resource", min=1, type=[{"code": "Observation"}]),
)
CODES = {
    "resourceType": "CodeSystem",
    "url": f"{OWN}/CodeSystem/grading",
    "content": "complete",
    "concept": [{"code": "astct-2019"}, {"code": "cartox"}],
}
GRADING = {
    "resourceType": "ValueSet",
    "url": f"{OWN}/ValueSet/grading",
    "compose": {"include": [{"system": CODES["url"]}]},
}
LAB_OK = {
    "resourceType": "Observation",
    "meta": {"profile": [LAB["url"]]},
    "status": "final",
    "category": [{"coding": [{**coding("laboratory"), "display": "Laboratory"}]}, {"coding": [coding("extra")]}],
    "code": {"coding": [coding("x"), coding("ldh")], "text": "LDH"},
    "subject": {"reference": "Patient/1"},
    "effectiveDateTime": "2021-03-04",
    "method": {"coding": [coding("cartox", CODES["url"])]},
    "valueQuantity": {"value": Decimal("1.10"), "system": "http://unitsofmeasure.org", "code": "U/L"},
    "component": [{"code": {"coding": [coding("sys")]}, "valueInteger": 1}, {"code": {"text": "other"}}],
}
PERSON_OK = {
    "resourceType": "Patient",
    "meta": {"profile": [f"{PERSON['url']}|1.0"]},
    "extension": [
        {"url": LINE["url"], "valuePositiveInt": 2},
        {"url": SOURCE["url"], "extension": [{"url": "row", "valueString": "7"}]},
    ],
    "identifier": [{"value": "x"}, {"system": "http://study", "value": "ABC-001"}],
    "_birthDate": {"extension": [{"url": ABSENT, "valueCode": "masked"}]},
    "name": [{"family": "x"}, {"family": "y", "period": {"end": "2020"}}],
}
PACKET_OK = {
    "resourceType": "Bundle",
    "meta": {"profile": [PACKET["url"]]},
    "type": "collection",
    "entry": [{"resource": PERSON_OK}, {"resource": LAB_OK}],
}


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Validator:
    folder = tmp_path_factory.mktemp("guide")
    for index, resource in enumerate((LAB, STRICT, LINE, SOURCE, NEGATED, PERSON, PACKET, CODES, GRADING)):
        (folder / f"{index}.json").write_text(json.dumps(resource, default=float))
    return Validator(load(None, folder))


def lab(**changes: Any) -> dict[str, Any]:
    return _changed(LAB_OK, changes)


def person(**changes: Any) -> dict[str, Any]:
    return _changed(PERSON_OK, changes)


def packet(**changes: Any) -> dict[str, Any]:
    return _changed(PACKET_OK, changes)


def _changed(original: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    value = {**copy.deepcopy(original), **changes}
    return {name: part for name, part in value.items() if part is not ...}


VALID = [
    LAB_OK,
    PERSON_OK,
    PACKET_OK,
    lab(valueQuantity=..., dataAbsentReason={"text": "x"}),
    lab(valueQuantity=..., valueCodeableConcept={"text": "x"}),
    lab(effectiveDateTime=..., _effectiveDateTime={"extension": [{"url": ABSENT, "valueCode": "unknown"}]}),
    lab(device={"display": "short"}),
    lab(component=[{"code": {"text": "x"}, "referenceRange": [{"low": {"value": 1}}]}]),
    person(contact=[{"name": {"text": "x"}}]),
    person(modifierExtension=[{"url": NEGATED["url"], "valueBoolean": True}]),
]
INVALID = [
    (lab(category=...), "Observation.category", "element-required"),
    (lab(category=[{"coding": [coding("extra")]}]), "Observation.category", "slice-required"),
    (lab(category=[{"coding": [coding("laboratory")]}] * 2), "Observation.category", "slice-max"),
    (lab(category=[{"coding": [coding("laboratory")]}, {"text": "?"}]), "Observation.category[1]", "slice-unknown"),
    (lab(code={"text": "LDH"}), "Observation.code", "pattern-value"),
    (lab(code={"coding": [coding("ldh", "http://other")]}), "Observation.code", "pattern-value"),
    (lab(subject=...), "Observation.subject", "element-required"),
    (lab(subject={"reference": "Group/1"}), "Observation.subject.reference", "reference-target"),
    (lab(effectiveDateTime=...), "Observation.effective", "element-required"),
    (lab(effectiveDateTime=..., effectivePeriod={"start": "2020"}), "Observation.effectivePeriod", "choice-type"),
    (lab(valueQuantity=..., valueString="x"), "Observation.valueString", "choice-type"),
    (lab(valueQuantity=...), "Observation", "lab-1"),
    (lab(valueQuantity={"value": 1, "system": "http://x"}), "Observation.valueQuantity.system", "fixed-value"),
    (lab(valueQuantity={"value": 1}), "Observation.valueQuantity.system", "element-required"),
    (lab(valueQuantity={"system": "http://unitsofmeasure.org"}), "Observation.valueQuantity.value", "element-required"),
    (
        lab(valueQuantity={"value": Decimal("0.4"), "system": "http://unitsofmeasure.org"}),
        "Observation.valueQuantity.value",
        "value-range",
    ),
    (
        lab(valueQuantity={"value": Decimal("10.01"), "system": "http://unitsofmeasure.org"}),
        "Observation.valueQuantity.value",
        "value-range",
    ),
    (lab(note=[{"text": "x"}]), "Observation.note", "cardinality-max"),
    (lab(method={"coding": [coding("cartox", "http://x")]}), "Observation.method.coding", "binding-required"),
    (lab(method={"text": "CARTOX"}), "Observation.method.coding", "binding-required"),
    (lab(device={"display": "longer"}), "Observation.device.display", "string-too-long"),
    (lab(device={"reference": "Device/1"}), "Observation.device.display", "element-required"),
    (lab(component=[{"code": {"coding": [coding("sys")]}}]), "Observation.component[0].value", "element-required"),
    (
        lab(component=[{"code": {"coding": [coding("sys")]}, "valueString": "1"}]),
        "Observation.component[0].valueString",
        "choice-type",
    ),
    (
        lab(component=[{"code": {"text": "x"}, "referenceRange": [{"text": "x"}]}]),
        "Observation.component[0].referenceRange[0]",
        "lab-2",
    ),
    (lab(meta={"profile": [STRICT["url"]]}), "Observation.performer", "element-required"),
    (lab(meta={"profile": [STRICT["url"]]}), "Observation.category[0].text", "element-required"),
    (lab(meta={"profile": [STRICT["url"]]}, code={"text": "x"}), "Observation.code", "pattern-value"),
    (lab(meta={"profile": [PERSON["url"]]}), "Observation.meta.profile[0]", "profile-type"),
    (person(extension=...), "Patient.extension", "slice-required"),
    (person(extension=[{"url": LINE["url"], "valueString": "2"}]), "Patient.extension[0].valueString", "choice-type"),
    (
        person(extension=[{"url": LINE["url"], "extension": [{"url": "x", "valueString": "x"}]}]),
        "Patient.extension[0].extension",
        "cardinality-max",
    ),
    (
        person(extension=[*PERSON_OK["extension"], {"url": SOURCE["url"], "valueString": "x"}]),
        "Patient.extension[2].value",
        "cardinality-max",
    ),
    (
        person(
            extension=[
                *PERSON_OK["extension"],
                {
                    "url": SOURCE["url"],
                    "extension": [{"url": "row", "valueString": "7"}, {"url": "col", "valueString": "7"}],
                },
            ]
        ),
        "Patient.extension[2].extension[1]",
        "slice-unknown",
    ),
    (
        person(extension=[*PERSON_OK["extension"], {"url": NEGATED["url"], "valueBoolean": True}]),
        "Patient.extension[2].url",
        "extension-place",
    ),
    (person(_birthDate=..., birthDate="2020"), "Patient._birthDate.extension", "slice-required"),
    (person(identifier=[{"value": "x"}]), "Patient.identifier", "slice-required"),
    (person(identifier=[{"system": "http://study"}]), "Patient.identifier[0].value", "element-required"),
    (person(identifier=[{"system": "http://study", "value": "abc"}]), "Patient.identifier[0].value", "id-1"),
    (person(identifier=[{"system": "http://study", "value": "ABCDEFGHI-001"}]), "Patient.identifier[0].value", "id-2"),
    (person(name=[{"family": "x"}, {"family": "y"}]), "Patient.name", "slice-max"),
    (person(contact=[{"telecom": [{"system": "phone", "value": "1"}]}]), "Patient.contact[0]", "ct-1"),
    (packet(type="batch"), "Bundle.type", "fixed-value"),
    (packet(entry=[{"resource": LAB_OK}]), "Bundle.entry", "slice-required"),
    (
        packet(entry=[{"resource": PERSON_OK}, {"resource": {"resourceType": "Group"}}]),
        "Bundle.entry[1]",
        "slice-unknown",
    ),
    (
        packet(entry=[{"resource": person(identifier=..., meta=...)}]),
        "Bundle.entry[0].resource.identifier",
        "slice-required",
    ),
    (
        packet(entry=[{"resource": PERSON_OK}, {"resource": lab(code={"text": "x"})}]),
        "Bundle.entry[1].resource.code",
        "pattern-value",
    ),
]


@pytest.mark.parametrize("value", VALID)
def test_check_profile_valid(validator: Validator, value: dict[str, Any]) -> None:
    assert validator.check(value) == []


@pytest.mark.parametrize(("value", "expression", "rule"), INVALID)
def test_check_profile_invalid(validator: Validator, value: dict[str, Any], expression: str, rule: str) -> None:
    assert (expression, rule) in {(issue.expression, issue.rule) for issue in validator.check(value)}


def test_require_profile_is_unprocessable_and_r4_a_bad_request(validator: Validator) -> None:
    with pytest.raises(Unprocessable) as refused:
        validator.require(lab(code={"text": "LDH"}))
    assert refused.value.issues[0].source == f"{LAB['url']}|1.0"
    with pytest.raises(BadRequest):
        validator.require(lab(code={"text": "LDH"}, status="x"))
    validator.require(LAB_OK)


def test_require_warning_does_not_raise(validator: Validator) -> None:
    value = person(identifier=[{"system": "http://study", "value": "ABCDEFGHI-001"}])
    assert [issue.severity for issue in validator.check(value)] == ["warning"]
    validator.require(value)


def test_check_asked_profile_is_applied_without_a_claim(validator: Validator) -> None:
    value = lab(meta=..., code={"text": "LDH"})
    assert validator.check(value) == []
    assert [issue.rule for issue in validator.check(value, [LAB["url"]])] == ["pattern-value"]
    assert [issue.rule for issue in validator.check(value, [f"{HL7}/Observation"])] == []
