"""Extensions stand where their definitions say: by element, by data type, in another extension, by FHIRPath."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.conformance.definitions import Definitions, load
from service.conformance.validator import Validator

OWN = "https://guide.example/fhir/StructureDefinition"
HL7 = "http://hl7.org/fhir/StructureDefinition"


def extension(name: str, *context: tuple[str, str], base: str = f"{HL7}/Extension") -> dict[str, Any]:
    elements = [
        {"id": "Extension", "path": "Extension"},
        {"id": "Extension.url", "path": "Extension.url", "fixedUri": f"{OWN}/{name}"},
    ]
    return {
        "resourceType": "StructureDefinition",
        "url": f"{OWN}/{name}",
        "name": name,
        "status": "draft",
        "kind": "complex-type",
        "abstract": False,
        "type": "Extension",
        "baseDefinition": base,
        "derivation": "constraint",
        "context": [{"type": kind, "expression": expression} for kind, expression in context],
        "differential": {"element": elements},
    }


DEFINED = [
    extension("of-patient", ("element", "Patient")),
    extension("of-resources", ("element", "DomainResource")),
    extension("of-everything", ("element", "Resource")),
    extension("of-elements", ("element", "Element")),
    extension("of-names", ("element", "HumanName")),
    extension("of-the-family", ("element", "Patient.name.family")),
    extension("of-contacts", ("element", "Patient.contact")),
    extension("of-values", ("element", "Observation.value[x]")),
    extension("of-quantities", ("element", f"{HL7}/Quantity"), ("element", "Patient.birthDate")),
    extension("of-items", ("element", "Questionnaire.item.item")),
    extension("of-a-profile", ("element", f"{OWN}/lab#Observation.component:sys")),
    extension("inside", ("extension", f"{OWN}/outside")),
    extension("outside", ("element", "Patient")),
    extension("official", ("fhirpath", "Patient.name.where(use = 'official')")),
    extension("unbound"),
]


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Validator:
    folder = tmp_path_factory.mktemp("extensions")
    for index, resource in enumerate(DEFINED):
        (folder / f"{index}.json").write_text(json.dumps(resource))
    return Validator(load(None, folder))


def using(name: str, *inner: dict[str, Any]) -> dict[str, Any]:
    held = {"extension": [one for part in inner for one in part["extension"]]} if inner else {"valueString": "x"}
    return {"extension": [{"url": f"{OWN}/{name}", **held}]}


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **elements}


def item(link: str, **elements: Any) -> dict[str, Any]:
    return {"linkId": link, "type": "group", "text": "x", **elements}


def questionnaire(*items: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Questionnaire", "status": "draft", "item": list(items)}


def bundle(resource: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]}


QUANTITY = {"value": 1, "unit": "mg"}
DEEP = item("1", item=[item("2", item=[item("3", item=[item("4", type="string", **using("of-items"))])])])
RIGHT = [
    patient(**using("of-patient")),
    patient(**using("of-resources")),
    patient(**using("of-everything")),
    patient(**using("of-elements")),
    patient(**using("unbound")),
    patient(name=[{"family": "x", **using("of-elements")}]),
    patient(name=[{"family": "x"}, {"family": "y", **using("of-names")}]),
    patient(name=[{"_family": using("of-the-family")}]),
    patient(contact=[{"name": {"text": "x"}, **using("of-contacts")}]),
    patient(birthDate="2020", _birthDate=using("of-quantities")),
    patient(contained=[patient(id="p", **using("of-patient"))], link=[{"other": {"reference": "#p"}, "type": "refer"}]),
    patient(**using("outside", using("inside"))),
    patient(name=[{"use": "official", "text": "x", **using("official")}]),
    observation(valueQuantity={**QUANTITY, **using("of-values")}),
    observation(valueString="x", _valueString=using("of-values")),
    observation(valueQuantity={**QUANTITY, **using("of-quantities")}),
    observation(component=[{"code": {"text": "x"}, "valueString": "x", **using("of-a-profile")}]),
    questionnaire(item("1", item=[item("2", type="string", **using("of-items"))])),
    questionnaire(DEEP),
    bundle(patient(birthDate="2020", _birthDate=using("of-quantities"))),
    bundle({**bundle(patient(name=[{"text": "x", "use": "official", **using("official")}]))}),
]
WRONG = [
    (observation(**using("of-patient")), "Observation.extension[0].url"),
    (patient(name=[{"family": "x", **using("of-patient")}]), "Patient.name[0].extension[0].url"),
    (patient(name=[{"family": "x", **using("of-resources")}]), "Patient.name[0].extension[0].url"),
    (patient(**using("of-names")), "Patient.extension[0].url"),
    (patient(name=[{"_text": using("of-the-family")}]), "Patient.name[0]._text.extension[0].url"),
    (patient(name=[{"given": ["x"], "_given": [using("of-names")]}]), "Patient.name[0]._given[0].extension[0].url"),
    (patient(_birthDate=using("of-contacts")), "Patient._birthDate.extension[0].url"),
    (observation(component=[{"code": {"text": "x"}, "valueString": "x", **using("of-values")}]), None),
    (patient(_gender=using("of-quantities")), "Patient._gender.extension[0].url"),
    (
        questionnaire(item("1", item=[item("2", type="string")], **using("of-items"))),
        "Questionnaire.item[0].extension[0].url",
    ),
    (patient(**using("inside")), "Patient.extension[0].url"),
    (patient(**using("unbound", using("inside"))), "Patient.extension[0].extension[0].url"),
    (patient(name=[{"use": "usual", "text": "x", **using("official")}]), "Patient.name[0].extension[0].url"),
    (bundle(observation(**using("of-patient"))), "Bundle.entry[0].resource.extension[0].url"),
    (
        observation(contained=[observation(id="o", **using("of-patient"))], derivedFrom=[{"reference": "#o"}]),
        "Observation.contained[0].extension[0].url",
    ),
]


@pytest.mark.parametrize("value", RIGHT)
def test_check_context_kept(validator: Validator, value: dict[str, Any]) -> None:
    assert [(issue.rule, issue.expression) for issue in validator.check(value)] == []


@pytest.mark.parametrize(("value", "expression"), WRONG)
def test_check_context_broken(validator: Validator, value: dict[str, Any], expression: str | None) -> None:
    (issue,) = validator.check(value)
    assert (issue.rule, issue.code, issue.severity) == ("extension-context", "extension", "error")
    assert issue.expression == (expression or "Observation.component[0].extension[0].url")
    assert issue.source is not None
    assert issue.source.startswith(OWN)


def test_check_context_of_malformed_data_does_not_raise(validator: Validator) -> None:
    for wrong in (1, None, [], "x", {"url": 1}, {"resourceType": "Patient"}):
        value = patient(name=wrong, _birthDate=using("of-names"), contained=[wrong], **using("of-names"))
        assert validator.check(value)


def test_check_context_of_a_definition_of_hl7_is_wider_where_hl7_uses_it_so(definitions: Definitions) -> None:
    value = {
        "resourceType": "CodeSystem",
        "status": "draft",
        "content": "complete",
        "extension": [{"url": f"{HL7}/structuredefinition-normative-version", "valueCode": "4.0.0"}],
    }
    assert Validator(definitions).check(value) == []
