"""Value sets, displays and translations from the definitions at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.conformance.definitions import Definitions, load
from service.conformance.terminology import Terminology

V3 = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
HL7 = "http://hl7.org/fhir/ValueSet"
OWN = "https://cart-fhir.example/fhir"


@pytest.fixture(scope="module")
def terminology(definitions: Definitions) -> Terminology:
    return Terminology(definitions)


@pytest.mark.parametrize(
    ("value_set", "system", "code", "expected"),
    [
        (f"{HL7}/observation-status", None, "final", True),
        (f"{HL7}/observation-status|4.0.1", "http://hl7.org/fhir/observation-status", "final", True),
        (f"{HL7}/observation-status", "http://example.org", "final", False),
        (f"{HL7}/observation-status", None, "banana", False),
        (f"{HL7}/condition-clinical", "http://terminology.hl7.org/CodeSystem/condition-clinical", "relapse", True),
        (f"{HL7}/mimetypes", None, "text/plain", True),
        (f"{HL7}/mimetypes", None, "text", False),
        (f"{HL7}/all-languages", "urn:ietf:bcp:47", "de-CH-1996", True),
        (f"{HL7}/all-languages", "urn:ietf:bcp:47", "german language", False),
        (f"{HL7}/ucum-units", "http://unitsofmeasure.org", "mg", True),
        (f"{HL7}/ucum-units", "http://unitsofmeasure.org", "mgs", False),
        (f"{HL7}/all-distance-units", "http://unitsofmeasure.org", "[in_i]", True),
        (f"{HL7}/all-distance-units", "http://unitsofmeasure.org", "kg", False),
        (f"{HL7}/doc-typecodes", "http://loinc.org", "11488-4", None),
        (f"{HL7}/doc-typecodes", "http://example.org", "11488-4", False),
        (f"{HL7}/nothing", None, "x", None),
        ("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", f"{V3[:-15]}ActCode", "AMB", True),
        ("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", f"{V3[:-15]}ActCode", "SELF", False),
    ],
)
def test_contains(terminology: Terminology, value_set: str, system: str | None, code: str, expected: bool) -> None:
    assert terminology.contains(value_set, system, code) is expected


def test_display_and_known(terminology: Terminology) -> None:
    assert terminology.display(V3, "R") == "restricted"
    assert terminology.display(V3, "nothing") is None
    assert terminology.display("http://loinc.org", "2276-4") is None
    assert terminology.known(V3, "R") is True
    assert terminology.known(V3, "nothing") is False
    assert terminology.known("http://loinc.org", "2276-4") is None
    assert terminology.known("http://unitsofmeasure.org", "10*6/kg") is True
    assert terminology.known("http://unitsofmeasure.org", "million/kg") is False
    assert terminology.known("urn:ietf:bcp:47", "tr") is True
    # Declared complete and empty: a placeholder says nothing about its codes.
    assert terminology.known("http://hl7.org/fhir/message-events", "admin-notify") is None


def test_translate(terminology: Terminology) -> None:
    (target,) = terminology.translate("http://hl7.org/fhir/ConceptMap/101", "home")
    assert (target.code, target.equivalence) == ("H", "equivalent")
    assert terminology.translate("http://hl7.org/fhir/ConceptMap/101", "home", "http://elsewhere") == []
    assert terminology.translate("http://hl7.org/fhir/ConceptMap/101", "nothing") == []
    assert terminology.translate("http://nowhere", "home") == []


def test_expand_composition(tmp_path: Path) -> None:
    system = f"{OWN}/CodeSystem/s"
    concepts = [{"code": "a", "concept": [{"code": "b", "concept": [{"code": "c"}]}]}, {"code": "d"}]
    code_system = {"resourceType": "CodeSystem", "url": system, "content": "complete", "concept": concepts}

    def value_set(name: str, include: list, exclude: list | None = None) -> dict:
        compose = {"include": include, "exclude": exclude or []}
        return {"resourceType": "ValueSet", "url": f"{OWN}/ValueSet/{name}", "compose": compose}

    below = {"system": system, "filter": [{"property": "concept", "op": "is-a", "value": "a"}]}
    resources = [
        code_system,
        value_set("whole", [{"system": system}]),
        value_set("below", [below], [{"system": system, "concept": [{"code": "c"}]}]),
        value_set("both", [{"valueSet": [f"{OWN}/ValueSet/whole|1"], **below}]),
        value_set("unknown", [{"system": system}, {"system": "http://snomed.info/sct"}]),
        value_set("itself", [{"valueSet": [f"{OWN}/ValueSet/itself"]}]),
    ]
    for index, resource in enumerate(resources):
        (tmp_path / f"{index}.json").write_text(json.dumps(resource))
    terminology = Terminology(load(None, tmp_path))
    assert terminology.expand(f"{OWN}/ValueSet/whole") == {system: {"a", "b", "c", "d"}}
    assert terminology.expand(f"{OWN}/ValueSet/below") == {system: {"a", "b"}}
    assert terminology.expand(f"{OWN}/ValueSet/both") == {system: {"a", "b", "c"}}
    assert terminology.expand(f"{OWN}/ValueSet/unknown") is None
    assert terminology.expand(f"{OWN}/ValueSet/itself") is None


def test_expand_of_a_version_that_is_not_at_hand_is_not_known(definitions: Definitions) -> None:
    # The value set asks for 3.6.0 of a system that the package has in 4.0.1.
    assert Terminology(definitions).expand(f"{HL7}/task-code") is None
    assert Terminology(definitions).expand(f"{HL7}/observation-status|4.0.1") is not None


def test_contains_of_a_mixed_value_set_needs_only_what_the_answer_hangs_on(tmp_path: Path) -> None:
    system = f"{OWN}/CodeSystem/s"
    resources = [
        {"resourceType": "CodeSystem", "url": system, "content": "complete", "concept": [{"code": "a"}, {"code": "b"}]},
        {
            "resourceType": "ValueSet",
            "url": f"{OWN}/ValueSet/mixed",
            "compose": {
                "include": [{"system": system}, {"system": "http://snomed.info/sct"}],
                "exclude": [{"system": system, "concept": [{"code": "b"}]}],
            },
        },
    ]
    for index, resource in enumerate(resources):
        (tmp_path / f"{index}.json").write_text(json.dumps(resource))
    terminology = Terminology(load(None, tmp_path))
    url = f"{OWN}/ValueSet/mixed"
    assert terminology.expand(url) is None
    answers = [terminology.contains(url, system, code) for code in "abc"]
    assert answers == [True, False, False]
    assert terminology.contains(url, "http://snomed.info/sct", "52101004") is None
    assert terminology.contains(url, "http://example.org", "a") is False
