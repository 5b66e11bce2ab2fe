"""The validator over the corpus: each invalid case gives exactly its errors, each valid one none."""

from __future__ import annotations

import ast
import os
import re
import shutil
import tarfile
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from service.conformance import validator as package
from service.conformance.definitions import CORE_PACKAGE, OWN_RESOURCES, Definitions, load
from service.conformance.validator import Validator
from service.conformance.validator.invariants import ELSEWHERE
from service.conformance.validator.native import NATIVE
from service.errors import ISSUE_TYPES, Issue
from service.fhir.json import decode, encode
from service.settings import shipped
from tests.corpus.cases import FOLDER, Case, read
from tests.corpus.cases import load as cases

INVALID, VALID = cases("invalid"), cases("valid")
RULES = {rule for case in INVALID for _, rule in case.errors}
RULE = re.compile(r"[a-z]+[0-9]*(?:-[A-Za-z0-9]+)+")
# Codes that no case can bring about, and where they are proved.
BESIDE = {
    "ele-1",  # the key under which R4 states what object-empty and array-empty find
    "profile-unknown",  # information, no error: below
    "profile-version",  # a warning: test_validator_accepts
    "findings-cut",  # information: test_validator_refuses
    "format-decimal",  # NaN and infinity, which JSON cannot say: test_validator_refuses
    "json-too-deep",  # 3,000 levels: test_validator_accepts
    # warnings: test_validator_bindings
    "binding-extensible",
    "code-unknown",
    "display-wrong",
}


def parameters(among: list[Case]) -> list[Any]:
    """The cases as parameters."""
    return [pytest.param(case, id=case.id) for case in among]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Definitions:
    """Our definitions and those of the corpus."""
    folder = tmp_path_factory.mktemp("definitions")
    for path in shipped(*OWN_RESOURCES).glob("*.json"):
        shutil.copy(path, folder)
    for resource in read(FOLDER / "definitions.json"):
        (folder / f"corpus-{resource['resourceType']}-{resource['id']}.json").write_bytes(encode(resource))
    return load(Path(tempfile.gettempdir()) / f"cart-fhir-tests-corpus-{os.getuid()}", folder)


@pytest.fixture(scope="module")
def validator(known: Definitions) -> Validator:
    return Validator(known)


def errors(validator: Validator, case: Case) -> list[Issue]:
    return [issue for issue in validator.check(case.resource, case.profiles) if issue.severity == "error"]


@pytest.mark.parametrize("case", parameters(INVALID))
def test_invalid_gives_exactly_its_errors(validator: Validator, case: Case) -> None:
    found = errors(validator, case)
    assert {(issue.expression, issue.rule) for issue in found} == case.errors
    for issue in found:
        assert issue.code in ISSUE_TYPES
        assert case.codes.get((issue.expression or "", issue.rule or ""), issue.code) == issue.code


@pytest.mark.parametrize("case", parameters(VALID))
def test_valid_gives_no_error(validator: Validator, case: Case) -> None:
    assert [(issue.expression, issue.rule) for issue in errors(validator, case)] == []


def test_unknown_profile_is_told_as_information(validator: Validator) -> None:
    (case,) = (case for case in VALID if case.id == "shapes/unknown-profile-is-information")
    (issue,) = validator.check(case.resource)
    assert (issue.severity, issue.rule, issue.expression) == (
        "information",
        "profile-unknown",
        "Patient.meta.profile[0]",
    )


@pytest.mark.skipif("CART_FHIR_SOAK" not in os.environ, reason="make soak")
def test_every_resource_of_the_core_package_is_valid(validator: Validator) -> None:
    checked = 0
    with tarfile.open(shipped(*CORE_PACKAGE)) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".json") else None
            value = decode(stream.read(), max_depth=200) if stream is not None else {}
            if value.get("fhirVersion", "4.0.1") == "4.0.1" and "resourceType" in value:
                assert [issue for issue in validator.check(value) if issue.severity == "error"] == [], member.name
                checked += 1
    assert checked > 4000


def test_corpus_is_large_and_each_name_is_one() -> None:
    assert len(INVALID) >= 600
    assert len(VALID) >= 250
    assert all(case.errors for case in INVALID)
    for among in (INVALID, VALID):
        assert [name for name, times in Counter(case.id for case in among).items() if times > 1] == []


def test_every_rule_of_the_validator_has_a_case() -> None:
    rules: set[str] = set()
    for path in Path(package.__file__).parent.glob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        inside = [part for call in calls for value in (*call.args, *call.keywords) for part in ast.walk(value)]
        texts = {part.value for part in inside if isinstance(part, ast.Constant) and isinstance(part.value, str)}
        # The words in native.py are codes of resources: its rules are the keys of NATIVE.
        rules |= {text for text in texts if RULE.fullmatch(text)} if path.name != "native.py" else set()
    assert len(rules) > 50
    assert rules - ISSUE_TYPES - BESIDE - RULES == set()
    assert rules >= BESIDE
    assert {key.partition("@")[0] for key in NATIVE} - RULES == {"con-3"}  # a warning: test_validator_invariants
    assert set(ELSEWHERE) - BESIDE - RULES == set()


def test_most_invariants_of_r4_have_a_case(known: Definitions) -> None:
    keys = {
        constraint.key
        for name in known.resource_types
        for element in known.structure(name).elements
        for constraint in element.constraints
        if constraint.severity == "error"
    }
    assert len(keys & RULES) / len(keys) > 0.55


def test_every_profile_of_ours_and_each_of_its_rules_has_a_case(known: Definitions) -> None:
    ours = [
        resource
        for resource in known.own_resources()
        if resource["resourceType"] == "StructureDefinition"
        and resource["kind"] == "resource"
        and not resource["url"].startswith("https://corpus.example/")
    ]
    claimed = {
        url
        for case in INVALID
        if isinstance(case.resource, dict) and isinstance(case.resource.get("meta"), dict)
        for url in case.resource["meta"].get("profile", ())
    }
    constraints = [
        constraint
        for profile in ours
        for element in profile["differential"]["element"]
        for constraint in element.get("constraint", ())
    ]
    assert len(ours) >= 24
    assert {profile["url"] for profile in ours} - claimed == set()
    assert {one["key"] for one in constraints if one["severity"] == "error"} - RULES == set()
