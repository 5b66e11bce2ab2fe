"""Slices: their order, what may stand between them, slices of slices, and profiles as discriminators."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.conformance.definitions import load
from service.conformance.validator import Validator

OWN = "https://guide.example/fhir/StructureDefinition"
HL7 = "http://hl7.org/fhir/StructureDefinition"


def element(id_: str, **rules: Any) -> dict[str, Any]:
    path = ".".join(step.partition(":")[0] for step in id_.split("."))
    last = id_.rpartition(".")[2].partition(":")[2]
    return {"id": id_, "path": path, **({"sliceName": last} if last else {}), **rules}


def profile(name: str, type_: str, *elements: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "url": f"{OWN}/{name}",
        "version": "1.0",
        "name": name,
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": type_,
        "baseDefinition": f"{HL7}/{type_}",
        "derivation": "constraint",
        "differential": {"element": list(elements)},
    }


def sliced(rules: str, ordered: bool = False, type_: str = "value", path: str = "system") -> dict[str, Any]:
    return {"slicing": {"discriminator": [{"type": type_, "path": path}], "rules": rules, "ordered": ordered}}


def of_system(name: str, rules: str, ordered: bool) -> dict[str, Any]:
    parts = []
    for part in ("a", "b"):
        parts.append(element(f"Patient.identifier:{part}", min=0, max="2"))
        parts.append(element(f"Patient.identifier:{part}.system", min=1, fixedUri=f"http://{part}"))
    return profile(name, "Patient", element("Patient.identifier", **sliced(rules, ordered)), *parts)


NAMED = profile(
    "named",
    "Patient",
    element("Patient.name", min=1),
    element(
        "Patient",
        constraint=[{"key": "n-1", "severity": "warning", "human": "A gender", "expression": "gender.exists()"}],
    ),
)
GRADED = profile("graded", "Observation", element("Observation.method", min=1))
PACKET = profile(
    "packet",
    "Bundle",
    element("Bundle.entry", **sliced("closed", type_="profile", path="resource")),
    element("Bundle.entry:patient", min=1, max="1"),
    element("Bundle.entry:patient.resource", type=[{"code": "Patient", "profile": [NAMED["url"]]}]),
    element("Bundle.entry:grade", min=0, max="*"),
    element("Bundle.entry:grade.resource", type=[{"code": "Observation", "profile": [GRADED["url"]]}]),
)
DEFINED = [
    of_system("ordered", "open", True),
    of_system("ordered-closed", "closed", True),
    of_system("at-end", "openAtEnd", False),
    of_system("ordered-at-end", "openAtEnd", True),
    NAMED,
    GRADED,
    PACKET,
]


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Validator:
    folder = tmp_path_factory.mktemp("guide")
    for index, resource in enumerate(DEFINED):
        (folder / f"{index}.json").write_text(json.dumps(resource))
    return Validator(load(None, folder))


@pytest.mark.parametrize(
    ("name", "systems", "wrong"),
    [
        ("ordered", "ab", {}),
        ("ordered", "aabb", {}),
        ("ordered", "axbx", {}),
        ("ordered", "xb", {}),
        ("ordered", "ba", {1: "slice-order"}),
        ("ordered", "abab", {2: "slice-order"}),
        ("ordered-closed", "ab", {}),
        ("ordered-closed", "axb", {1: "slice-unknown"}),
        ("ordered-closed", "ba", {1: "slice-order"}),
        ("at-end", "bax", {}),
        ("at-end", "xx", {}),
        ("at-end", "xa", {1: "slice-order"}),
        ("at-end", "axb", {2: "slice-order"}),
        ("ordered-at-end", "abx", {}),
        ("ordered-at-end", "bax", {1: "slice-order"}),
        ("ordered-at-end", "axb", {2: "slice-order"}),
    ],
)
def test_check_order_of_slices(validator: Validator, name: str, systems: str, wrong: dict[int, str]) -> None:
    identifiers = [{"system": f"http://{system}", "value": str(place)} for place, system in enumerate(systems)]
    found = validator.check({"resourceType": "Patient", "identifier": identifiers}, [f"{OWN}/{name}"])
    assert {(issue.expression, issue.rule) for issue in found} == {
        (f"Patient.identifier[{place}]", rule) for place, rule in wrong.items()
    }


def packet(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}


PATIENT = {"resourceType": "Patient", "name": [{"text": "x"}], "gender": "female"}
GRADE = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "method": {"text": "ASTCT"}}


def test_check_slice_by_profile(validator: Validator) -> None:
    assert validator.check(packet(PATIENT, GRADE), [PACKET["url"]]) == []
    found = validator.check(packet(PATIENT, GRADE | {"method": {}}), [PACKET["url"]])
    assert {issue.rule for issue in found} == {"object-empty"}
    del (other := dict(GRADE))["method"]
    found = validator.check(packet(PATIENT, other), [PACKET["url"]])
    assert [(issue.expression, issue.rule) for issue in found] == [("Bundle.entry[1]", "slice-unknown")]


def test_check_slice_by_profile_takes_a_resource_with_warnings(validator: Validator) -> None:
    value = packet({"resourceType": "Patient", "name": [{"text": "x"}]})
    found = validator.check(value, [PACKET["url"]])
    assert [(issue.expression, issue.rule, issue.severity) for issue in found] == [
        ("Bundle.entry[0].resource", "n-1", "warning")
    ]


def test_check_profile_of_another_type_of_r4_is_no_profile_of_the_resource(validator: Validator) -> None:
    value = PATIENT | {"meta": {"profile": [f"{HL7}/Observation", f"{HL7}/Patient", f"{HL7}/Resource"]}}
    assert [(issue.expression, issue.rule) for issue in validator.check(value)] == [
        ("Patient.meta.profile[0]", "profile-type")
    ]
