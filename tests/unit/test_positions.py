"""Line and column of elements, in JSON and in XML."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.conformance.xml import positions as xml
from service.errors import BadRequest
from service.fhir.json import decode
from service.fhir.positions import Steps, positions, steps

JSON = """{
  "resourceType": "Patient",
  "name": [
    {"given": ["A", "B"], "_given": [null, {"extension": [{"url": "x"}]}]},
    {"family": "Öz"}, {"_family": {"id": "1"}, "family": "Çelik", "use": "usual"}
  ],
  "birthDate": "1", "_birthDate": {"extension": [{"url": 3}]},
  "status": 1, "status": 2 }"""
XML = """<?xml version="1.0" encoding="UTF-8"?>
<Bundle xmlns="http://hl7.org/fhir">
  <entry>
    <resource><Patient>
      <name><given value="A"/><given value="B"/></name>
      <name>
        <family value="Ö"><extension url="x"><valueCode value="y"/></extension></family>
      </name>
    </Patient></resource>
  </entry>
</Bundle>"""

IN_JSON = [
    ("Patient", (1, 1)),
    ("Patient.name", (3, 3)),
    ("Patient.name[0]", (4, 5)),
    ("Patient.name[0].given[1]", (4, 21)),
    ("Patient.name[0].given[1].extension[0].url", (4, 60)),
    ("Patient.name[1].family", (5, 6)),
    ("Patient.name[2].use", (5, 67)),
    ("Patient.name[2].family", (5, 48)),
    ("Patient.name[2].family.id", (5, 36)),
    ("Patient.name[1].missing.deep", (5, 5)),
    ("Patient.missing", (1, 1)),
    ("Patient.birthDate", (7, 3)),
    ("Patient.birthDate.extension[0].url", (7, 51)),
    ("Patient.status", (8, 16)),
]
IN_XML = [
    ("Bundle", (2, 1)),
    ("Bundle.entry[0]", (3, 3)),
    ("Bundle.entry[0].resource", (4, 5)),
    ("Bundle.entry[0].resource.name[0].given[1]", (5, 31)),
    ("Bundle.entry[0].resource.name[1].family", (7, 9)),
    ("Bundle.entry[0].resource.name[1].family.extension[0].url", (7, 27)),
    ("Bundle.entry[0].resource.name[1].family.extension[0].valueCode", (7, 46)),
    ("Bundle.entry[0].resource.birthDate", (4, 5)),
    ("Bundle.entry[7]", (2, 1)),
]


@pytest.mark.parametrize(("expression", "expected"), IN_JSON)
def test_position_in_json(expression: str, expected: tuple[int, int]) -> None:
    assert positions(JSON.encode(), [steps(expression)]) == {steps(expression): expected}


@pytest.mark.parametrize(("expression", "expected"), IN_XML)
def test_position_in_xml(expression: str, expected: tuple[int, int]) -> None:
    assert xml.positions(XML.encode(), [steps(expression)]) == {steps(expression): expected}


def test_positions_of_many_are_those_of_each() -> None:
    asked = [steps(expression) for expression, _ in IN_JSON]
    assert positions(JSON.encode(), asked) == {steps(expression): place for expression, place in IN_JSON}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('ab_é"\n{}[],:', min_size=1), inner, max_size=4)
    ),
    max_leaves=20,
)


def leaves(value: Any, way: Steps = ()) -> list[tuple[Steps, Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(way, value), *(leaf for step, member in members for leaf in leaves(member, (*way, step)))]


@given(VALUES, st.sampled_from([None, 1, "\t"]))
@settings(max_examples=200)
def test_position_is_where_the_value_stands(value: Any, indent: Any) -> None:
    text = json.dumps({"x": value}, indent=indent, ensure_ascii=False)
    lines = text.split("\n")
    for way, expected in leaves({"x": value}):
        if not way or any(isinstance(step, str) and step.startswith("_") for step in way):
            continue  # such a name may also mean the element without the underscore
        line, column = positions(text.encode(), [way])[way]
        rest = "\n".join([lines[line - 1][column - 1 :], *lines[line:]])
        if isinstance(way[-1], str):
            name, end = json.JSONDecoder().raw_decode(rest)
            assert name == way[-1]
            rest = rest[end:].lstrip(" :\n\t")
        assert json.JSONDecoder().raw_decode(rest)[0] == expected


@given(st.binary(max_size=60) | st.text('{}[]",:x1\n').map(str.encode))
@settings(max_examples=200)
def test_positions_in_what_is_no_json_are_none_or_some_but_no_crash(body: bytes) -> None:
    assert len(positions(body, [("x", 1)])) <= 1
    assert len(xml.positions(body, [("x", 1)])) <= 1


def test_key_that_stands_twice_is_named_with_its_place() -> None:
    body = b'{"resourceType": "Bundle",\n "entry": [{}, {"resource":\n  {"id": "a", "id": "b"}}], "x y": 1, "x y": 2}'
    with pytest.raises(BadRequest) as refused:
        decode(body)
    found = [(issue.expression, issue.line, issue.column) for issue in refused.value.issues]
    assert found == [("Bundle", 3, 39), ("Bundle.entry[1].resource.id", 3, 15)]
