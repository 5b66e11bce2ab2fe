"""The terminology operations take what R4's OperationDefinitions say, word for word, or refuse it by name."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from service.api.operations import (
    terminology_concepts,
    terminology_expand,
    terminology_translate,
    terminology_validate,
)
from service.api.operations.terminology_inputs import (
    CODING,
    CONCEPT,
    FLAG,
    NUMBER,
    PARTS,
    REPEATS,
    RESOURCE,
    TEXT,
    Asked,
    Shape,
    Value,
)
from service.api.operations.terminology_table import TABLE
from service.conformance.definitions import CORE_PACKAGE
from service.errors import BadRequest
from service.fhir.json import decode
from service.settings import shipped

SHAPES = {
    "ValueSet-expand": terminology_expand.SHAPE,
    "ValueSet-validate-code": terminology_validate.OF_VALUE_SET,
    "CodeSystem-validate-code": terminology_validate.OF_SYSTEM,
    "CodeSystem-lookup": terminology_concepts.LOOKUP,
    "CodeSystem-subsumes": terminology_concepts.SUBSUMES,
    "ConceptMap-translate": terminology_translate.SHAPE,
}
KINDS = {
    "boolean": FLAG,
    "integer": NUMBER,
    "Coding": CODING,
    "CodeableConcept": CONCEPT,
    "ValueSet": RESOURCE,
    "CodeSystem": RESOURCE,
    "ConceptMap": RESOURCE,
    None: PARTS,
}


def definitions_of_r4() -> dict[str, dict[str, Any]]:
    """The OperationDefinitions of the R4 core package by id."""
    found = {}
    with tarfile.open(shipped(*CORE_PACKAGE), "r:gz") as archive:
        for member in archive:
            if "OperationDefinition-" in member.name and member.name.endswith(".json"):
                stream = archive.extractfile(member)
                assert stream is not None
                resource = decode(stream.read())
                found[resource["id"]] = resource
    return found


DEFINED = definitions_of_r4()


def inputs(name: str) -> Iterator[dict[str, Any]]:
    yield from (one for one in DEFINED[name]["parameter"] if one["use"] == "in")


@pytest.mark.parametrize("name", SHAPES)
def test_every_parameter_is_taken_or_refused_and_no_other(name: str) -> None:
    shape = SHAPES[name]
    assert {one["name"] for one in inputs(name)} == shape.taken.keys() | shape.refused.keys()
    assert not shape.taken.keys() & shape.refused.keys()


@pytest.mark.parametrize("name", SHAPES)
def test_parameters_have_the_types_and_cardinalities_of_r4(name: str) -> None:
    shape = SHAPES[name]
    for one in inputs(name):
        if one["name"] in shape.taken:
            assert shape.taken[one["name"]] == KINDS.get(one.get("type"), TEXT), one["name"]
            assert (one["max"] == "*") is (one["name"] in REPEATS), one["name"]


@pytest.mark.parametrize(("name", "parameter"), [(n, p) for n, shape in SHAPES.items() for p in shape.refused])
def test_refused_parameters_say_why(name: str, parameter: str) -> None:
    with pytest.raises(BadRequest) as caught:
        Asked(SHAPES[name]).add(parameter, Value("x"))
    (issue,) = caught.value.issues
    assert issue.code == "not-supported"
    assert issue.text == f"{parameter} is not supported: {SHAPES[name].refused[parameter]}"


@pytest.mark.parametrize("name", SHAPES)
def test_routes_are_those_of_the_definition(name: str) -> None:
    """R4 may leave the instance out of `$lookup`; each level is there by GET and by POST."""
    definition = DEFINED[name]
    type_, _, code = name.partition("-")
    paths = {f"/fhir/{type_}/${code}"} if definition["type"] else set()
    paths |= {f"/fhir/{type_}/{{id:fhir_id}}/${code}"} if definition["instance"] else set()
    offered = {(one.method, one.path) for one, _ in TABLE if one.definition == definition["url"]}
    assert offered == {(method, path) for method in ("GET", "POST") for path in paths}


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (TEXT, ["x"], ["", 1, True, {}]),
        (FLAG, ["true", "false", True, False], ["yes", 1, ""]),
        (NUMBER, ["0", "12", 0, 5], ["-1", -1, "1.5", True, "²"]),
        (CODING, [{"code": "x"}], ["s|x", 1, []]),
        (RESOURCE, [{"resourceType": "ValueSet"}], ["x", {}]),
        (PARTS, [[{"name": "element"}]], ["x", {}]),
    ],
)
def test_values_are_of_their_kind(kind: str, good: list[Any], bad: list[Any]) -> None:
    shape = Shape({"one": kind})
    for value in good:
        Asked(shape).add("one", Value(value))
    for value in bad:
        with pytest.raises(BadRequest) as caught:
            Asked(shape).add("one", Value(value, "Parameters.parameter[3]"))
        assert caught.value.issues[0].expression == "Parameters.parameter[3]"
