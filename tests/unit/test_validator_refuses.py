"""What is invalid in R4: each case names the element and the rule that the validator must give."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.errors import ISSUE_TYPES, BadRequest

UCUM = "http://unitsofmeasure.org"
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
SDC = "http://hl7.org/fhir/StructureDefinition"


@pytest.fixture(scope="module")
def validator(definitions: Definitions) -> Validator:
    return Validator(definitions)


def resource(type_: str, /, **elements: Any) -> dict[str, Any]:
    return {"resourceType": type_, **{name: value for name, value in elements.items() if value is not ...}}


def patient(**elements: Any) -> dict[str, Any]:
    return resource("Patient", **elements)


def observation(**elements: Any) -> dict[str, Any]:
    return resource("Observation", **{"status": "final", "code": {"text": "Ferritin"}, **elements})


def condition(**elements: Any) -> dict[str, Any]:
    return resource("Condition", **{"subject": {"reference": "Patient/1"}, **elements})


def questionnaire(*items: dict[str, Any]) -> dict[str, Any]:
    return resource("Questionnaire", status="draft", item=list(items))


def bundle(type_: str, *entries: dict[str, Any], **elements: Any) -> dict[str, Any]:
    return resource("Bundle", type=type_, entry=list(entries), **elements)


def quantity(**elements: Any) -> dict[str, Any]:
    return observation(valueQuantity=elements)


def timing(**repeat: Any) -> dict[str, Any]:
    request = {"status": "active", "intent": "order", "subject": {"reference": "Patient/1"}}
    return resource("ServiceRequest", **request, occurrenceTiming={"repeat": repeat})


def extended(*extensions: Any) -> dict[str, Any]:
    return patient(extension=list(extensions))


STRUCTURE = [
    ([], "Resource", "array-unexpected"),
    ("text", "Resource", "object-expected"),
    (None, "Resource", "null-value"),
    ({}, "Resource", "resource-type-missing"),
    ({"resourceType": 7}, "Resource", "resource-type-missing"),
    ({"resourceType": "SubscriptionTopic"}, "Resource.resourceType", "resource-type-unknown"),
    ({"resourceType": "Resource"}, "Resource.resourceType", "resource-type-unknown"),
    ({"resourceType": "patient"}, "Resource.resourceType", "resource-type-unknown"),
    ({"resourceType": "HumanName"}, "Resource.resourceType", "resource-type-unknown"),
    (patient(frist="x"), "Patient.frist", "element-unknown"),
    (patient(nested={"a": 1}), "Patient.nested", "element-unknown"),
    (patient(**{"Ayşe Yılmaz": "x"}), "Patient", "element-unknown"),
    (patient(name=[{"famly": "x"}]), "Patient.name[0].famly", "element-unknown"),
    (patient(name=[{"family": "x"}, {"resourceType": "HumanName"}]), "Patient.name[1].resourceType", "element-unknown"),
    (patient(_name=[{"id": "x"}]), "Patient._name", "element-unknown"),
    (patient(fhir_comments=["x"]), "Patient", "element-unknown"),
    (patient(deceased=True), "Patient.deceased", "element-unknown"),
    (observation(value="x"), "Observation.value", "element-unknown"),
    (
        observation(component=[{"code": {"text": "x"}, "values": 1}]),
        "Observation.component[0].values",
        "element-unknown",
    ),
    (resource("Encounter", status="planned"), "Encounter.class", "element-required"),
    (patient(name={"family": "x"}), "Patient.name", "array-expected"),
    (patient(name=[{"given": "x"}]), "Patient.name[0].given", "array-expected"),
    (patient(gender=["male"]), "Patient.gender", "array-unexpected"),
    (patient(maritalStatus=[{"text": "x"}]), "Patient.maritalStatus", "array-unexpected"),
    (patient(name=["x"]), "Patient.name[0]", "object-expected"),
    (patient(name=[[{"family": "x"}]]), "Patient.name[0]", "array-unexpected"),
    (patient(maritalStatus="M"), "Patient.maritalStatus", "object-expected"),
    (patient(gender={"value": "male"}), "Patient.gender", "primitive-type"),
    (patient(active="true"), "Patient.active", "primitive-type"),
    (patient(active=1), "Patient.active", "primitive-type"),
    (patient(gender=1), "Patient.gender", "primitive-type"),
    (patient(birthDate=19800101), "Patient.birthDate", "primitive-type"),
    (patient(multipleBirthInteger=True), "Patient.multipleBirthInteger", "primitive-type"),
    (patient(multipleBirthInteger=Decimal("1.0")), "Patient.multipleBirthInteger", "primitive-type"),
    (patient(multipleBirthInteger="1"), "Patient.multipleBirthInteger", "primitive-type"),
    (quantity(value="1.0"), "Observation.valueQuantity.value", "primitive-type"),
    (quantity(value=True), "Observation.valueQuantity.value", "primitive-type"),
    (patient(gender=None), "Patient.gender", "null-value"),
    (patient(name=None), "Patient.name", "null-value"),
    (patient(name=[None]), "Patient.name[0]", "null-value"),
    (patient(name=[{"given": ["x", None]}]), "Patient.name[0].given[1]", "null-value"),
    (patient(maritalStatus=None), "Patient.maritalStatus", "null-value"),
    (patient(name=[]), "Patient.name", "array-empty"),
    (patient(name=[{"given": []}]), "Patient.name[0].given", "array-empty"),
    (patient(name=[{}]), "Patient.name[0]", "object-empty"),
    (patient(maritalStatus={"id": "x"}), "Patient.maritalStatus", "object-empty"),
    (patient(contained=[]), "Patient.contained", "array-empty"),
    (patient(_birthDate={"id": "x"}), "Patient._birthDate", "object-empty"),
    (patient(_birthDate={}), "Patient._birthDate", "object-empty"),
    (patient(_birthDate={"value": "x"}), "Patient._birthDate.value", "element-unknown"),
    (patient(_birthDate=[{"id": "x"}]), "Patient._birthDate", "array-unexpected"),
    (patient(name=[{"given": ["x"], "_given": {"id": "x"}}]), "Patient.name[0]._given", "array-expected"),
    (patient(name=[{"given": ["x"], "_given": [None, {"id": "x"}]}]), "Patient.name[0]._given", "array-unaligned"),
    (patient(name=[{"given": ["x"], "_given": [None]}]), "Patient.name[0]._given", "array-empty"),
    (patient(name=[{"given": ["x", None], "_given": [{"id": "x"}, None]}]), "Patient.name[0].given[1]", "null-value"),
    (patient(name=[{"_given": [None, {"id": "x"}]}]), "Patient.name[0]._given[0]", "null-value"),
]
CARDINALITY = [
    (resource("Observation", code={"text": "x"}), "Observation.status", "element-required"),
    (resource("Observation", status="final"), "Observation.code", "element-required"),
    (observation(component=[{"valueString": "x"}]), "Observation.component[0].code", "element-required"),
    (patient(link=[{"type": "refer"}]), "Patient.link[0].other", "element-required"),
    (patient(communication=[{"preferred": True}]), "Patient.communication[0].language", "element-required"),
    (
        resource("MedicationStatement", status="active", subject={"reference": "Patient/1"}),
        "MedicationStatement.medication",
        "element-required",
    ),
    (
        questionnaire({"linkId": "1", "type": "group", "item": [{"type": "string"}]}),
        "Questionnaire.item[0].item[0].linkId",
        "element-required",
    ),
    (resource("Consent", status="active"), "Consent.scope", "element-required"),
    (observation(valueString="x", valueInteger=1), "Observation.valueInteger", "choice-several"),
    (observation(valueString="x", _valueInteger={"id": "x"}), "Observation.valueInteger", "choice-several"),
    (patient(deceasedBoolean=True, deceasedDateTime="2020"), "Patient.deceasedDateTime", "choice-several"),
    (observation(valueDecimal=Decimal("1.0")), "Observation.valueDecimal", "choice-type"),
    (observation(valueReference={"reference": "Patient/1"}), "Observation.valueReference", "choice-type"),
    (observation(effectiveDate="2020-01-01"), "Observation.effectiveDate", "choice-type"),
]
PRIMITIVES = [
    (patient(birthDate="2021-02-30"), "Patient.birthDate", "format-date"),
    (patient(birthDate="2021-02-29"), "Patient.birthDate", "format-date"),
    (patient(birthDate="1900-02-29"), "Patient.birthDate", "format-date"),
    (patient(birthDate="2021-13"), "Patient.birthDate", "format-date"),
    (patient(birthDate="2021-1-1"), "Patient.birthDate", "format-date"),
    (patient(birthDate="01.02.2021"), "Patient.birthDate", "format-date"),
    (patient(birthDate="21"), "Patient.birthDate", "format-date"),
    (patient(birthDate="0000"), "Patient.birthDate", "format-date"),
    (patient(birthDate="2021-01-01T00:00:00Z"), "Patient.birthDate", "format-date"),
    (patient(birthDate="٢٠٢١"), "Patient.birthDate", "format-date"),
    (patient(birthDate="2021-01-01\n"), "Patient.birthDate", "format-date"),
    (patient(birthDate=""), "Patient.birthDate", "string-blank"),
    (observation(effectiveDateTime="2021-01-01T10:00:00"), "Observation.effectiveDateTime", "format-dateTime"),
    (observation(effectiveDateTime="2021-01-01T10:00Z"), "Observation.effectiveDateTime", "format-dateTime"),
    (observation(effectiveDateTime="2021-01-01T24:00:00Z"), "Observation.effectiveDateTime", "format-dateTime"),
    (observation(effectiveDateTime="2021-01-01T10:00:00+15:00"), "Observation.effectiveDateTime", "format-dateTime"),
    (observation(effectiveDateTime="2021-01-01 10:00:00Z"), "Observation.effectiveDateTime", "format-dateTime"),
    (observation(effectiveDateTime="2021-04-31T10:00:00Z"), "Observation.effectiveDateTime", "format-dateTime"),
    (observation(issued="2021-01-01"), "Observation.issued", "format-instant"),
    (observation(issued="2021-01-01T10:00:00"), "Observation.issued", "format-instant"),
    (observation(valueTime="25:00:00"), "Observation.valueTime", "format-time"),
    (observation(valueTime="10:00"), "Observation.valueTime", "format-time"),
    (observation(valueTime="10:00:00Z"), "Observation.valueTime", "format-time"),
    (observation(valueString=""), "Observation.valueString", "string-blank"),
    (observation(valueString=" \t\n "), "Observation.valueString", "string-blank"),
    (observation(valueString="a\x00b"), "Observation.valueString", "string-control-character"),
    (observation(valueString="x" * (1024 * 1024 + 1)), "Observation.valueString", "string-too-long"),
    (patient(id="a b"), "Patient.id", "format-id"),
    (patient(id="a_b"), "Patient.id", "format-id"),
    (patient(id="x" * 65), "Patient.id", "format-id"),
    (patient(id=""), "Patient.id", "string-blank"),
    (patient(id=1), "Patient.id", "primitive-type"),
    (patient(identifier=[{"system": "a b"}]), "Patient.identifier[0].system", "format-uri"),
    (patient(identifier=[{"system": " "}]), "Patient.identifier[0].system", "string-blank"),
    (patient(meta={"profile": ["a b"]}), "Patient.meta.profile[0]", "format-canonical"),
    (patient(language=" tr"), "Patient.language", "format-code"),
    (patient(meta={"tag": [{"code": "a  b"}]}), "Patient.meta.tag[0].code", "format-code"),
    (patient(telecom=[{"system": "phone", "rank": 0}]), "Patient.telecom[0].rank", "integer-range"),
    (patient(multipleBirthInteger=2**31), "Patient.multipleBirthInteger", "integer-range"),
    (patient(multipleBirthInteger=-(2**31) - 1), "Patient.multipleBirthInteger", "integer-range"),
    (bundle("searchset", total=-1), "Bundle.total", "integer-range"),
    (patient(photo=[{"contentType": "x/y", "data": "abc"}]), "Patient.photo[0].data", "format-base64Binary"),
    (patient(photo=[{"contentType": "x/y", "data": "ab*="}]), "Patient.photo[0].data", "format-base64Binary"),
    (patient(photo=[{"contentType": "x/y", "data": "ğğğğ"}]), "Patient.photo[0].data", "format-base64Binary"),
    (patient(photo=[{"url": "http://a b"}]), "Patient.photo[0].url", "format-url"),
    (extended({"url": "http://x", "valueUuid": "urn:uuid:12"}), "Patient.extension[0].valueUuid", "format-uuid"),
    (
        extended({"url": "http://x", "valueUuid": "urn:uuid:C757873D-EC9A-4326-A141-556F43239520"}),
        "Patient.extension[0].valueUuid",
        "format-uuid",
    ),
    (extended({"url": "http://x", "valueOid": "1.2.3"}), "Patient.extension[0].valueOid", "format-oid"),
    (extended({"url": "http://x", "valueOid": "urn:oid:3.1"}), "Patient.extension[0].valueOid", "format-oid"),
    (quantity(value=Decimal("NaN")), "Observation.valueQuantity.value", "format-decimal"),
    (patient(text={"status": "generated", "div": "<p>x</p>"}), "Patient.text.div", "txt-1"),
    (patient(text={"status": "generated", "div": f"{DIV}<p></div>"}), "Patient.text.div", "txt-1"),
    (patient(text={"status": "generated", "div": f"{DIV}<script>x</script></div>"}), "Patient.text.div", "txt-1"),
    (patient(text={"status": "generated", "div": f'{DIV}<p onclick="x()">x</p></div>'}), "Patient.text.div", "txt-1"),
    (
        patient(text={"status": "generated", "div": f'{DIV}<a href="javascript:x()">x</a></div>'}),
        "Patient.text.div",
        "txt-1",
    ),
    (
        patient(text={"status": "generated", "div": f'<!DOCTYPE x [<!ENTITY a "b">]>{DIV}&a;</div>'}),
        "Patient.text.div",
        "txt-1",
    ),
    (patient(text={"status": "generated", "div": f"{DIV}<p> </p></div>"}), "Patient.text.div", "txt-2"),
    *[
        (patient(text={"status": "generated", "div": f"{DIV}{markup}</div>"}), "Patient.text.div", "txt-1")
        for markup in ("<u>x</u>", "<ins>x</ins>", "<font>x</font>", '<p xmlns="">x</p>', '<x:p xmlns:x="y">x</x:p>')
    ],
    (patient(text={"status": "generated"}), "Patient.text.div", "element-required"),
]
BINDINGS = [
    (patient(gender="banana"), "Patient.gender", "binding-required"),
    (patient(gender="Male"), "Patient.gender", "binding-required"),
    (resource("Observation", status="done", code={"text": "x"}), "Observation.status", "binding-required"),
    (patient(name=[{"use": "x"}]), "Patient.name[0].use", "binding-required"),
    (
        condition(clinicalStatus={"coding": [{"system": CLINICAL, "code": "x"}]}),
        "Condition.clinicalStatus.coding",
        "binding-required",
    ),
    (
        condition(clinicalStatus={"coding": [{"system": "http://x", "code": "active"}]}),
        "Condition.clinicalStatus.coding",
        "binding-required",
    ),
    (condition(clinicalStatus={"text": "active"}), "Condition.clinicalStatus.coding", "binding-required"),
    (quantity(value=1, comparator="=="), "Observation.valueQuantity.comparator", "binding-required"),
    (bundle("everything"), "Bundle.type", "binding-required"),
    (
        extended({"url": f"{SDC}/data-absent-reason", "valueCode": "lost"}),
        "Patient.extension[0].valueCode",
        "binding-required",
    ),
]
REFERENCES = [
    (observation(subject={"reference": "Medication/1"}), "Observation.subject.reference", "reference-target"),
    (
        observation(subject={"reference": "https://ehr.example/fhir/Medication/1"}),
        "Observation.subject.reference",
        "reference-target",
    ),
    (
        observation(subject={"reference": "Medication/1/_history/2"}),
        "Observation.subject.reference",
        "reference-target",
    ),
    (observation(subject={"reference": "Medication?code=x"}), "Observation.subject.reference", "reference-target"),
    (observation(subject={"type": "Medication", "display": "x"}), "Observation.subject.type", "reference-target"),
    (observation(subject={"type": "Group", "reference": "Patient/1"}), "Observation.subject.type", "reference-type"),
    (observation(subject={"reference": "Patinet/1"}), "Observation.subject.reference", "reference-type"),
    (observation(subject={"reference": "SubscriptionTopic/1"}), "Observation.subject.reference", "reference-type"),
    (observation(subject={}), "Observation.subject", "object-empty"),
    (observation(subject="Patient/1"), "Observation.subject", "object-expected"),
    (
        observation(performer=[{"reference": "Patient/1"}, {"reference": "Device/1"}]),
        "Observation.performer[1].reference",
        "reference-target",
    ),
    (observation(subject={"reference": "#p"}), "Observation.subject.reference", "ref-1"),
    (observation(subject={"type": "Pateint", "display": "x"}), "Observation.subject.type", "reference-type"),
    (
        observation(subject={"reference": "#g", "type": "Patient"}, contained=[resource("Group", id="g")]),
        "Observation.subject.type",
        "reference-type",
    ),
    (
        observation(subject={"reference": "#m"}, contained=[resource("Medication", id="m")]),
        "Observation.subject.reference",
        "reference-target",
    ),
    (
        observation(contained=[patient(id="p", generalPractitioner=[{"reference": "#"}])]),
        "Observation.contained[0].generalPractitioner[0].reference",
        "reference-target",
    ),
    (
        bundle("collection", {"fullUrl": "http://x.example/Patient/2", "resource": patient(id="1")}),
        "Bundle.entry[0].fullUrl",
        "full-url-id",
    ),
    (
        bundle("collection", {"fullUrl": "http://x.example/Group/1", "resource": patient(id="1")}),
        "Bundle.entry[0].fullUrl",
        "full-url-id",
    ),
]
CONTAINED = [
    (observation(contained=[{"resourceType": "Patient", "id": "p"}]), "Observation.contained[0]", "dom-3"),
    (observation(contained=[{"resourceType": "Patient"}]), "Observation.contained[0].id", "contained-id"),
    (
        observation(contained=[{"resourceType": "Topic", "id": "p"}], subject={"reference": "#p"}),
        "Observation.contained[0].resourceType",
        "resource-type-unknown",
    ),
    (
        observation(contained=[{"resourceType": "Patient", "id": "p", "gender": "x"}], subject={"reference": "#p"}),
        "Observation.contained[0].gender",
        "binding-required",
    ),
    (
        observation(
            contained=[{"resourceType": "Patient", "id": "p", "meta": {"versionId": "1"}}], subject={"reference": "#p"}
        ),
        "Observation.contained[0].meta",
        "dom-4",
    ),
    (
        observation(
            contained=[{"resourceType": "Patient", "id": "p", "meta": {"security": [{"code": "R"}]}}],
            subject={"reference": "#p"},
        ),
        "Observation.contained[0].meta.security",
        "dom-5",
    ),
    (
        observation(
            contained=[{"resourceType": "Patient", "id": "p", "contained": [patient(id="q")]}],
            subject={"reference": "#p"},
        ),
        "Observation.contained[0].contained",
        "dom-2",
    ),
    (bundle("collection", {"resource": {"id": "x"}}), "Bundle.entry[0].resource", "resource-type-missing"),
    (
        bundle("batch-response", {"response": {"status": "200", "outcome": {"issue": []}}}),
        "Bundle.entry[0].response.outcome",
        "resource-type-missing",
    ),
    (bundle("collection", {"resource": patient(gender="x")}), "Bundle.entry[0].resource.gender", "binding-required"),
    (
        bundle("collection", {"resource": observation(subject={"reference": "#p"})}),
        "Bundle.entry[0].resource.subject.reference",
        "ref-1",
    ),
    (
        resource("Parameters", parameter=[{"name": "x", "resource": patient(active=0)}]),
        "Parameters.parameter[0].resource.active",
        "primitive-type",
    ),
]
EXTENSIONS = [
    (extended({"valueString": "x"}), "Patient.extension[0].url", "element-required"),
    (extended({"url": "http://x"}), "Patient.extension[0]", "ext-1"),
    (
        extended({"url": "http://x", "valueString": "x", "extension": [{"url": "y", "valueString": "x"}]}),
        "Patient.extension[0]",
        "ext-1",
    ),
    (
        extended({"url": "http://x", "valueString": "x", "valueCode": "x"}),
        "Patient.extension[0].valueCode",
        "choice-several",
    ),
    (extended({"url": "http://x", "valueBanana": "x"}), "Patient.extension[0].valueBanana", "choice-type"),
    (extended({"url": "http://x", "valueBoolean": "true"}), "Patient.extension[0].valueBoolean", "primitive-type"),
    (
        extended({"url": f"{SDC}/patient-birthPlace", "valueString": "x"}),
        "Patient.extension[0].valueString",
        "choice-type",
    ),
    (
        extended({"url": f"{SDC}/patient-nationality", "extension": [{"url": "code", "valueString": "TR"}]}),
        "Patient.extension[0].extension[0].valueString",
        "choice-type",
    ),
    (
        patient(_birthDate={"extension": [{"url": f"{SDC}/data-absent-reason", "valueString": "x"}]}),
        "Patient._birthDate.extension[0].valueString",
        "choice-type",
    ),
    (
        patient(modifierExtension=[{"url": "http://x", "valueString": "x"}]),
        "Patient.modifierExtension[0].url",
        "modifier-extension-unknown",
    ),
    (
        patient(modifierExtension=[{"url": f"{SDC}/patient-birthPlace", "valueAddress": {"city": "x"}}]),
        "Patient.modifierExtension[0].url",
        "extension-place",
    ),
]
INVARIANTS = [
    (observation(effectivePeriod={"start": "2021-02", "end": "2021-01-31"}), "Observation.effectivePeriod", "per-1"),
    (
        observation(effectivePeriod={"start": "2021-01-01T10:00:00+03:00", "end": "2021-01-01T06:59:00Z"}),
        "Observation.effectivePeriod",
        "per-1",
    ),
    (quantity(value=1, code="mg"), "Observation.valueQuantity", "qty-3"),
    (observation(valueRatio={"numerator": {"value": 1}}), "Observation.valueRatio", "rat-1"),
    (observation(valueRange={"low": {"value": 2}, "high": {"value": 1}}), "Observation.valueRange", "rng-2"),
    (quantity(value=1) | {"dataAbsentReason": {"text": "x"}}, "Observation", "obs-6"),
    (
        observation(
            code={"coding": [{"code": "a"}]},
            valueString="x",
            component=[{"code": {"coding": [{"code": "a"}]}, "valueString": "y"}],
        ),
        "Observation",
        "obs-7",
    ),
    (observation(referenceRange=[{"type": {"text": "x"}}]), "Observation.referenceRange[0]", "obs-3"),
    (patient(photo=[{"data": "YWJj"}]), "Patient.photo[0]", "att-1"),
    (patient(telecom=[{"value": "1"}]), "Patient.telecom[0]", "cpt-2"),
    (patient(contact=[{"gender": "male"}]), "Patient.contact[0]", "pat-1"),
    (condition(abatementString="x"), "Condition", "con-4"),
    (
        condition(
            clinicalStatus={"coding": [{"system": CLINICAL, "code": "active"}]},
            verificationStatus={"coding": [{"system": VERIFICATION, "code": "entered-in-error"}]},
        ),
        "Condition",
        "con-5",
    ),
    (condition(onsetAge={"value": -1, "system": UCUM, "code": "a"}), "Condition.onsetAge", "age-1"),
    (condition(stage=[{"type": {"text": "x"}}]), "Condition.stage[0]", "con-1"),
    (resource("Organization", active=True), "Organization", "org-1"),
    (resource("Organization", name="x", telecom=[{"use": "home"}]), "Organization.telecom[0]", "org-3"),
    (timing(duration=1), "ServiceRequest.occurrenceTiming.repeat", "tim-1"),
    (timing(period=Decimal("-1.5"), periodUnit="d"), "ServiceRequest.occurrenceTiming.repeat", "tim-5"),
    (timing(offset=5), "ServiceRequest.occurrenceTiming.repeat", "tim-9"),
    (bundle("collection", total=3), "Bundle", "bdl-1"),
    (bundle("transaction", {"resource": patient()}), "Bundle", "bdl-3"),
    (bundle("collection", {"fullUrl": "http://x/Patient/1"}), "Bundle.entry[0]", "bdl-5"),
    (bundle("document", {"resource": patient()}), "Bundle", "bdl-11"),
    (questionnaire({"linkId": "1", "type": "string"}, {"linkId": "1", "type": "string"}), "Questionnaire", "que-2"),
    (questionnaire({"linkId": "1", "type": "group"}), "Questionnaire.item[0]", "que-1"),
    (
        questionnaire(
            {
                "linkId": "1",
                "type": "string",
                "enableWhen": [{"question": "2", "operator": "exists", "answerInteger": 1}],
            }
        ),
        "Questionnaire.item[0].enableWhen[0]",
        "que-7",
    ),
    (
        resource(
            "RiskAssessment",
            status="final",
            subject={"reference": "Patient/1"},
            prediction=[{"probabilityDecimal": Decimal("120.5")}],
        ),
        "RiskAssessment.prediction[0]",
        "ras-2",
    ),
    (
        resource("Task", status="draft", intent="order", authoredOn="2021-02-01", lastModified="2021-01-01"),
        "Task",
        "inv-1",
    ),
    (resource("Parameters", parameter=[{"name": "x"}]), "Parameters.parameter[0]", "inv-1"),
    (resource("Group", type="person", actual=False, member=[{"entity": {"reference": "Patient/1"}}]), "Group", "grp-1"),
    (resource("Consent", status="active", scope={"text": "x"}, category=[{"text": "x"}]), "Consent", "ppc-1"),
    (
        resource(
            "MeasureReport",
            status="complete",
            type="data-collection",
            measure="http://x",
            period={"start": "2020"},
            group=[{"code": {"text": "x"}}],
        ),
        "MeasureReport",
        "mrp-1",
    ),
    (resource("MolecularSequence", coordinateSystem=3), "MolecularSequence", "msq-3"),
]
CASES = STRUCTURE + CARDINALITY + PRIMITIVES + BINDINGS + REFERENCES + CONTAINED + EXTENSIONS + INVARIANTS


@pytest.mark.parametrize(("value", "expression", "rule"), CASES)
def test_check_invalid(validator: Validator, value: Any, expression: str, rule: str) -> None:
    found = validator.check(value)
    assert (expression, rule) in {(issue.expression, issue.rule) for issue in found}
    assert {issue.code for issue in found} <= ISSUE_TYPES


@pytest.mark.parametrize(("value", "expression", "rule"), CASES)
def test_require_invalid_in_r4_is_a_bad_request(validator: Validator, value: Any, expression: str, rule: str) -> None:
    errors = [issue for issue in validator.check(value) if issue.severity == "error"]
    if all(validator.is_base(issue) for issue in errors):
        with pytest.raises(BadRequest):
            validator.require(value)
    else:
        assert rule in ("choice-type", "binding-required", "extension-place")


def test_check_corpus_is_large() -> None:
    assert len(CASES) >= 120


def test_check_gives_all_errors_at_once(validator: Validator) -> None:
    value = observation(
        status="x",
        cod={},
        valueQuantity={"value": "1"},
        subject={"reference": "Medication/1"},
        component=[{"valueDateTime": "2021-02-30"}],
        performer={},
    )
    assert {(issue.expression, issue.rule) for issue in validator.check(value)} == {
        ("Observation.status", "binding-required"),
        ("Observation.cod", "element-unknown"),
        ("Observation.valueQuantity.value", "primitive-type"),
        ("Observation.subject.reference", "reference-target"),
        ("Observation.component[0].code", "element-required"),
        ("Observation.component[0].valueDateTime", "format-dateTime"),
        ("Observation.performer", "array-expected"),
    }


def test_check_text_never_quotes_the_data(validator: Validator) -> None:
    secret = "Zeynep-12345678901"
    value = patient(
        id=f"{secret} ",
        gender=secret,
        birthDate=secret,
        name=[{"use": secret}],
        language=f" {secret}",
        extension=[{"url": f"{secret} {secret}"}],
        **{secret: 1},
        maritalStatus=secret,
        managingOrganization={"reference": f"{secret}/1"},
        text={"status": secret, "div": secret},
    )
    found = validator.check(value)
    assert len(found) > 8
    assert not [issue for issue in found if secret in issue.text or secret in (issue.expression or "")]


def test_check_unknown_element_suggests_the_nearest(validator: Validator) -> None:
    (issue,) = validator.check(patient(birthdate="2020"))
    assert "birthDate" in issue.text
    (issue,) = validator.check({"resourceType": "Pateint"})
    assert "Patient" in issue.text


def test_check_thousands_of_errors_are_cut(validator: Validator) -> None:
    value = patient(**{f"name{index}": "x" for index in range(3000)})
    found = validator.check(value)
    assert len(found) == 1001
    assert (found[-1].rule, found[-1].severity) == ("findings-cut", "information")


def test_require_data_type_profile_of_r4_is_a_bad_request(validator: Validator) -> None:
    dosage = {"doseAndRate": [{"doseQuantity": {"value": 1, "comparator": "<"}}]}
    value = resource(
        "MedicationStatement",
        status="active",
        subject={"reference": "Patient/1"},
        medicationCodeableConcept={"text": "x"},
        dosage=[dosage],
    )
    with pytest.raises(BadRequest) as refused:
        validator.require(value)
    assert {issue.rule for issue in refused.value.issues} == {"cardinality-max", "sqty-1"}
    assert {issue.source for issue in refused.value.issues} == {"http://hl7.org/fhir/StructureDefinition/Dosage|4.0.1"}


def test_check_every_finding_of_a_resource_names_its_definition(validator: Validator) -> None:
    value = observation(
        contained=[{"resourceType": "Patient", "id": "p", "contained": [patient(id="q")], "meta": {"versionId": "1"}}],
        subject={"reference": "#x"},
        extension=[{"url": f"{SDC}/patient-birthPlace", "valueAddress": {"city": "x"}}],
        modifierExtension=[{"url": "http://x", "valueString": "x"}],
    )
    found = {issue.rule: issue.source for issue in validator.check(value)}
    assert found.keys() >= {"dom-2", "dom-3", "dom-4", "ref-1", "extension-context", "modifier-extension-unknown"}
    assert None not in found.values()
    assert found["dom-3"] == f"{SDC}/DomainResource|4.0.1"


def test_check_wrong_code_lists_the_allowed(validator: Validator) -> None:
    (issue,) = validator.check(patient(gender="banana"))
    assert "female, male, other, unknown" in issue.text
    assert issue.code == "code-invalid"
    assert issue.source == "http://hl7.org/fhir/StructureDefinition/Patient|4.0.1"


def test_check_many_contained_and_local_references_end_in_time(validator: Validator) -> None:
    """Each reference is looked up once and not against every contained resource: pairs would be 25 million."""
    count = 5_000
    contained = [patient(id=f"p{number}", managingOrganization={"reference": "#"}) for number in range(count)]
    members = [{"entity": {"reference": f"#p{number}"}} for number in range(count)]
    value = resource("Group", type="person", actual=True, member=members, contained=contained)
    found = validator.check(value)
    assert {issue.rule for issue in found} == {"reference-target", "findings-cut"}
