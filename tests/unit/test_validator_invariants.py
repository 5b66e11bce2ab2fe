"""Every invariant of R4 and of our profiles is checked, natively or by FHIRPath, or left out for a reason."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from service.conformance.definitions import CORE_PACKAGE, OWN_RESOURCES, Definitions
from service.conformance.records import Constraint
from service.conformance.validator import Validator
from service.conformance.validator.findings import Finding, at, certain
from service.conformance.validator.invariants import ELSEWHERE, Invariants
from service.conformance.validator.native import AROUND, NATIVE
from service.conformance.validator.paths import expressible
from service.conformance.validator.quick import compile_quick
from service.settings import shipped

# What is not reported, and why R4 lets it be.
EXCEPTIONS = {
    "dom-6": "a best practice (elementdefinition-bestpractice), which 'implementers may choose to enforce'",
}
FUNCTION = re.compile(r"(?<![%'])\b([a-zA-Z]+)\(")
SDF = "http://hl7.org/fhir/StructureDefinition"


@pytest.fixture(scope="module")
def validator(definitions: Definitions) -> Validator:
    return Validator(definitions)


@pytest.fixture(scope="module")
def constraints() -> list[tuple[str, Constraint]]:
    """(path, constraint) of every snapshot and differential as published, each once."""
    found: dict[tuple[str, str, str], Constraint] = {}
    for structure in _structures():
        for view in ("snapshot", "differential"):
            for element in structure.get(view, {}).get("element", ()):
                for one in element.get("constraint", ()):
                    rule = Constraint(one["key"], one["severity"], one["human"], one.get("expression", ""))
                    found[element["path"], rule.key, rule.expression] = rule
    return [(path, rule) for (path, _, _), rule in found.items()]


def _structures() -> Iterator[dict[str, Any]]:
    with tarfile.open(shipped(*CORE_PACKAGE)) as archive:
        for member in archive:
            if member.name.startswith("package/StructureDefinition-"):
                structure = json.loads(archive.extractfile(member).read())
                if structure["fhirVersion"] == "4.0.1":
                    yield structure
    for path in shipped(*OWN_RESOURCES).glob("StructureDefinition-*.json"):
        yield json.loads(path.read_bytes())


def way(path: str, rule: Constraint) -> str:
    """How the rule is checked; empty if it is not."""
    if rule.key in ELSEWHERE:
        return "walked"
    if rule.key in AROUND or rule.key in NATIVE or f"{rule.key}@{path}" in NATIVE:
        return "native"
    return "compiled" if rule.expression and expressible(rule.expression) else ""


def test_every_constraint_is_checked_or_explained(constraints: list[tuple[str, Constraint]]) -> None:
    left = {rule.key for path, rule in constraints if not way(path, rule)}
    assert left == set()
    assert {rule.key for _, rule in constraints} >= EXCEPTIONS.keys()
    assert len({rule.key for _, rule in constraints}) > 250


def test_every_constraint_of_r4_reaches_the_validator(
    constraints: list[tuple[str, Constraint]], definitions: Definitions
) -> None:
    kept = {
        rule.key
        for url in definitions.structures()
        for element in definitions.structure(url).elements
        for rule in element.constraints
    }
    assert {rule.key for _, rule in constraints} - kept - ELSEWHERE == EXCEPTIONS.keys()


def test_native_rules_have_a_definition(constraints: list[tuple[str, Constraint]]) -> None:
    keys = {rule.key for _, rule in constraints}
    assert {key.partition("@")[0] for key in (*NATIVE, *AROUND)} | ELSEWHERE <= keys


def test_every_compiled_expression_uses_functions_that_there_are(constraints: list[tuple[str, Constraint]]) -> None:
    """An unknown function would raise at each value, and so break no rule."""
    from fhirpathpy.engine.invocations import invocation_registry
    from fhirpathpy.parser import parse

    known = {*invocation_registry, "hasValue", "trace", "is", "as"}
    for path, rule in constraints:
        if way(path, rule) == "compiled" and compile_quick(rule.expression, path) is None:
            assert set(FUNCTION.findall(re.sub(r"'(?:[^'\\]|\\.)*'", "''", rule.expression))) - _WORDS <= known, rule
            assert parse(re.sub(r"\.trace\('[^']*'(?:,[^()]*)?\)", "", rule.expression))["children"], rule


_WORDS = {"and", "or", "xor", "implies", "in", "contains", "not", "div", "mod"}


def test_warnings_are_checked_as_well(validator: Validator) -> None:
    value = {"resourceType": "Questionnaire", "status": "draft", "name": "no name"}
    (issue,) = validator.check(value)
    assert (issue.rule, issue.severity, issue.code) == ("que-0", "warning", "invariant")
    validator.require(value)


def snapshot(*paths: str, **elements: Any) -> dict[str, Any]:
    value = {
        "resourceType": "StructureDefinition",
        "url": "http://x.example/d",
        "name": "D",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "derivation": "constraint",
        "baseDefinition": f"{SDF}/Patient",
        **elements,
    }
    view = "differential" if elements.get("differential") else "snapshot"
    described = {"definition": "x", "base": {"path": "x", "min": 0, "max": "1"}, "min": 0, "max": "1"}
    return value | {view: {"element": [{"id": path, "path": path, **described} for path in paths]}}


def guide(**elements: Any) -> dict[str, Any]:
    fixed = {"url": "http://x.example/g", "name": "G", "status": "draft", "packageId": "x.y", "fhirVersion": ["4.0.1"]}
    return {"resourceType": "ImplementationGuide", **fixed, **elements}


def bundle(*versions: str, type_: str = "collection") -> dict[str, Any]:
    entries = [
        {
            "fullUrl": "http://x.example/Patient/1",
            "resource": {"resourceType": "Patient", "id": "1", "meta": {"versionId": version}},
        }
        for version in versions
    ]
    return {"resourceType": "Bundle", "type": type_, "entry": entries}


def care_team(member: dict[str, Any], **elements: Any) -> dict[str, Any]:
    participant = {"member": member, "onBehalfOf": {"reference": "Organization/1"}}
    return {"resourceType": "CareTeam", "participant": [participant], **elements}


def condition(category: str, **elements: Any) -> dict[str, Any]:
    coding = {"system": "http://terminology.hl7.org/CodeSystem/condition-category", "code": category}
    return {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/1"},
        "category": [{"coding": [coding]}],
        **elements,
    }


GROUPED = {"reference": {"reference": "Patient/1"}, "groupingId": "a"}
PATIENT = {"resourceType": "Patient", "id": "p"}
KEPT = [
    snapshot("Patient", "Patient.name"),
    snapshot("Patient", "Patient.name", differential={"element": []}),
    guide(definition={"grouping": [{"id": "a", "name": "A"}], "resource": [GROUPED]}),
    bundle("1", "2"),
    care_team({"reference": "Practitioner/1"}),
    care_team({"reference": "https://ehr.example/whatever"}),
    care_team({"reference": "#p"}, contained=[{"resourceType": "Practitioner", "id": "p"}]),
    condition("encounter-diagnosis"),
]
BROKEN = [
    (snapshot("Patient", "Person.name"), "StructureDefinition.snapshot", "sdf-8"),
    (snapshot("Person", "Person.name"), "StructureDefinition.snapshot", "sdf-8"),
    (snapshot("Patient", "Person.name", differential=True), "StructureDefinition.differential", "sdf-8a"),
    (
        guide(definition={"grouping": [{"id": "b", "name": "B"}], "resource": [GROUPED]}),
        "ImplementationGuide.definition",
        "ig-1",
    ),
    (
        guide(definition={"resource": [{"reference": {"reference": "Patient/1"}, "fhirVersion": ["4.3.0"]}]}),
        "ImplementationGuide",
        "ig-2",
    ),
    (bundle("1", "1"), "Bundle", "bdl-7"),
    (care_team({"reference": "Patient/1"}), "CareTeam.participant[0]", "ctm-1"),
    (care_team({"reference": "#p"}, contained=[PATIENT]), "CareTeam.participant[0]", "ctm-1"),
    (condition("problem-list-item"), "Condition", "con-3"),
]


@pytest.mark.parametrize("value", KEPT)
def test_invariant_around_kept(validator: Validator, value: dict[str, Any]) -> None:
    assert [issue for issue in validator.check(value) if issue.code == "invariant"] == []


@pytest.mark.parametrize(("value", "expression", "rule"), BROKEN)
def test_invariant_around_broken(validator: Validator, value: dict[str, Any], expression: str, rule: str) -> None:
    assert (expression, rule) in {(issue.expression, issue.rule) for issue in validator.check(value)}


def test_invariant_around_of_a_contained_resource_asks_the_contained_one(validator: Validator) -> None:
    inner = snapshot("Patient", "Person.name") | {"id": "d"}
    value = {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "#d"}, "contained": [inner]}
    assert "Basic.contained[0].snapshot" in {i.expression for i in validator.check(value) if i.rule == "sdf-8"}
    right = value | {"contained": [snapshot("Patient", "Patient.name") | {"id": "d"}]}
    assert [issue for issue in validator.check(right) if issue.rule == "sdf-8"] == []


def test_invariant_that_gives_nothing_is_broken_unless_something_else_explains_it(validator: Validator) -> None:
    check = Invariants().rule(Constraint("x-1", "error", "Rule x-1", "gender = 'female'"), "Patient")
    assert check is not None
    (vague,) = check({"resourceType": "Patient"}) or []
    assert vague.rule == "x-1"
    assert certain([vague]) == [vague]
    missing = Finding("required", "element-required", "gender is required", ".gender")
    assert certain(at("Patient", [vague, missing])) == [missing]
    assert check({"resourceType": "Patient", "gender": "female"}) is None
    warning = Invariants().rule(Constraint("x-1", "warning", "Rule x-1", "gender = 'female'"), "Patient")
    assert warning is not None
    assert warning({"resourceType": "Patient"}) is None
    # bdl-9 to bdl-12 ask for the type, and give nothing without it.
    assert [issue.rule for issue in validator.check({"resourceType": "Bundle"})] == ["element-required"]


def test_rule_that_no_way_can_state_is_named() -> None:
    invariants = Invariants()
    rule = Constraint("x-1", "error", "Rule x-1", "subject.resolve().exists()")
    assert invariants.rule(rule, "Observation") is None
