"""FHIRPath Patch: what each operation does, where paths lead, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.conformance.elements import elements_of
from service.errors import BadRequest, CartFhirError, Unprocessable
from service.fhir.patch import FhirPathPatch, changed


def operation(**parts: Any) -> dict[str, Any]:
    """One operation; a dict is a part as it stands, a number a valueInteger, a text a valueString."""
    made = []
    for name, said in parts.items():
        kind = "valueInteger" if isinstance(said, int) else "valueCode" if name == "type" else "valueString"
        made.append({"name": name} | (said if isinstance(said, dict) else {kind: said}))
    return {"name": "operation", "part": made}


def patient(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "a",
        "identifier": [{"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "2"}],
        "name": [{"family": "x", "given": ["a", "b", "c"]}],
        "birthDate": "1930-01-01",
    } | changes


def patched(definitions: Definitions, resource: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
    parameters = {"resourceType": "Parameters", "parameter": list(operations)}
    return changed(FhirPathPatch.read(parameters, elements_of(definitions).root), resource)


def test_add_sets_appends_and_chooses_the_type(definitions: Definitions) -> None:
    result = patched(
        definitions,
        patient(),
        operation(type="add", path="Patient", name="gender", value={"valueCode": "female"}),
        operation(type="add", path="Patient", name="identifier", value={"valueIdentifier": {"value": "3"}}),
        operation(type="add", path="Patient", name="deceased", value={"valueBoolean": False}),
        operation(type="add", path="Patient.name", name="given", value={"valueString": "d"}),
    )
    assert result["gender"] == "female"
    assert result["identifier"][2] == {"value": "3"}
    assert result["deceasedBoolean"] is False
    assert result["name"][0]["given"] == ["a", "b", "c", "d"]


def test_add_of_an_anonymous_type_builds_it_from_parts(definitions: Definitions) -> None:
    contact = {
        "part": [
            {"name": "relationship", "valueCodeableConcept": {"text": "sister"}},
            {"name": "name", "valueHumanName": {"text": "a name"}},
            {
                "name": "telecom",
                "part": [{"name": "system", "valueCode": "phone"}, {"name": "value", "valueString": "1"}],
            },
        ]
    }
    result = patched(definitions, patient(), operation(type="add", path="Patient", name="contact", value=contact))
    assert result["contact"] == [
        {
            "relationship": [{"text": "sister"}],
            "name": {"text": "a name"},
            "telecom": [{"system": "phone", "value": "1"}],
        }
    ]


def test_add_of_what_is_there_and_does_not_repeat_is_refused(definitions: Definitions) -> None:
    add = operation(type="add", path="Patient", name="deceased", value={"valueBoolean": True})
    with pytest.raises(Unprocessable) as error:
        patched(definitions, patient(deceasedDateTime="2020"), add)
    assert error.value.issues[0].rule == "patch-element-exists"
    assert error.value.issues[0].expression == "Parameters.parameter[0]"


def test_insert_and_move_keep_extensions_beside_their_primitives(definitions: Definitions) -> None:
    name = {"given": ["a", "b"], "_given": [None, {"id": "of-b"}]}
    result = patched(
        definitions,
        patient(name=[name]),
        operation(type="insert", path="Patient.name.given", index=1, value={"valueString": "z"}),
        operation(type="move", path="Patient.name[0].given", source=2, destination=0),
    )
    assert result["name"] == [{"given": ["b", "a", "z"], "_given": [{"id": "of-b"}, None, None]}]


def test_insert_at_the_end_is_allowed_and_behind_it_refused(definitions: Definitions) -> None:
    at_end = operation(type="insert", path="Patient.identifier", index=2, value={"valueIdentifier": {"value": "3"}})
    assert [one["value"] for one in patched(definitions, patient(), at_end)["identifier"]] == ["1", "2", "3"]
    with pytest.raises(Unprocessable):
        patched(definitions, patient(identifier=[]), at_end)


def test_delete_removes_one_what_becomes_empty_and_nothing_else(definitions: Definitions) -> None:
    resource = patient(contact=[{"name": {"text": "x"}}], _birthDate={"id": "b"})
    result = patched(
        definitions,
        resource,
        operation(type="delete", path="Patient.birthDate"),
        operation(type="delete", path="Patient.contact[0].name.text"),
        operation(type="delete", path="Patient.identifier.where(system='urn:a')"),
        operation(type="delete", path="Patient.photo"),
    )
    assert set(result) == {"resourceType", "id", "identifier", "name"}
    assert result["identifier"] == [{"system": "urn:b", "value": "2"}]
    with pytest.raises(Unprocessable) as error:
        patched(definitions, patient(), operation(type="delete", path="Patient.identifier"))
    assert "several" in str(error.value)


def test_replace_of_a_choice_changes_its_type(definitions: Definitions) -> None:
    observation = {"resourceType": "Observation", "id": "o", "valueQuantity": {"value": 1}}
    to_text = operation(type="replace", path="Observation.value", value={"valueString": "none"})
    assert patched(definitions, observation, to_text) == {
        "resourceType": "Observation",
        "id": "o",
        "valueString": "none",
    }
    address = operation(type="replace", path="Observation.value", value={"valueAddress": {"city": "x"}})
    with pytest.raises(Unprocessable) as error:
        patched(definitions, {"resourceType": "Observation", "id": "o", "valueString": "x"}, address)
    assert error.value.issues[0].rule == "patch-value-type"


PATHS = [
    ("Patient.birthDate", "birthDate"),
    ("birthDate", "birthDate"),
    ("Resource.birthDate", "birthDate"),
    ("Patient.identifier[1].value", "identifier 1"),
    ("Patient.identifier.last().value", "identifier 1"),
    ("Patient.identifier.first().value", "identifier 0"),
    ("Patient.identifier.where(system = 'urn:b').value", "identifier 1"),
    ("Patient.identifier.where(system='urn:b' and value='2').value", "identifier 1"),
    ("Patient.name.where(family='x').given[0]", "given 0"),
    ("Patient.contained.where(id='o').value.ofType(Quantity).unit", "contained"),
    ("Patient.contained[0].component.where(value=1.50).code.text", "component"),
    ("Patient.contained[0].component.where(code.coding.code='it\\'s').code.text", "component"),
    ("Patient.extension('urn:x').value", "extension"),
]


@pytest.mark.parametrize(("path", "where"), PATHS)
def test_paths_lead_to_their_place(definitions: Definitions, path: str, where: str) -> None:
    component = {"code": {"text": "c", "coding": [{"code": "it's"}]}, "valueInteger": Decimal("1.5")}
    observation = {"resourceType": "Observation", "id": "o", "valueQuantity": {"unit": "g"}, "component": [component]}
    resource = patient(contained=[observation], extension=[{"url": "urn:x", "valueString": "e"}])
    result = patched(definitions, resource, operation(type="replace", path=path, value={"valueString": "new"}))
    read = {
        "birthDate": lambda: result["birthDate"],
        "identifier 0": lambda: result["identifier"][0]["value"],
        "identifier 1": lambda: result["identifier"][1]["value"],
        "given 0": lambda: result["name"][0]["given"][0],
        "contained": lambda: result["contained"][0]["valueQuantity"]["unit"],
        "component": lambda: result["contained"][0]["component"][0]["code"]["text"],
        "extension": lambda: result["extension"][0]["valueString"],
    }
    assert read[where]() == "new"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "Patient.name.resolve()",
        "Patient.name | Patient.contact",
        "Patient.name.where(family='Secret' or given='Secret')",
        "Patient.name.where(family != 'Secret')",
        "Patient.name.where(given.exists())",
        "Patient.multipleBirth.where(value=424242 + 1)",
        "Patient..name",
        "Patient.name[",
        "Patient.name['Secret']",
        "Patient.name.where(" * 300,
        "Patient.name[99999999999]",
        "%resource.name",
        "Patient.name.where(family='Secret",
    ],
)
def test_path_beyond_the_grammar_is_refused_without_its_values(definitions: Definitions, path: str) -> None:
    with pytest.raises(BadRequest) as error:
        patched(definitions, patient(), operation(type="delete", path=path))
    (issue,) = error.value.issues
    assert (issue.code, issue.rule, issue.expression) == (
        "not-supported",
        "patch-path-unsupported",
        "Parameters.parameter[0]",
    )
    assert "Secret" not in issue.text
    assert "424242" not in issue.text


@pytest.mark.parametrize(
    "entry",
    [
        operation(type="jump", path="Patient"),
        operation(type="add", path="Patient", value={"valueString": "x"}),
        operation(type="insert", path="Patient.name", value={"valueString": "x"}),
        operation(type="move", path="Patient.name", source=0),
        operation(type="insert", path="Patient.name", index=-1, value={"valueString": "x"}),
        operation(type="insert", path="Patient.name", index={"valueString": "1"}, value={"valueString": "x"}),
        operation(type="delete", path={"valueInteger": 1}),
        operation(type="delete", path="Patient.name", sauce="x"),
        {"name": "operation", "part": [{"name": "type", "valueCode": "delete"}] * 2},
        {"name": "operation"},
        {"name": "other", "part": []},
        "x",
    ],
)
def test_malformed_operation_is_refused_at_its_place(definitions: Definitions, entry: Any) -> None:
    good = operation(type="delete", path="Patient.birthDate")
    with pytest.raises(BadRequest) as error:
        patched(definitions, patient(), good, entry)
    assert [issue.expression for issue in error.value.issues] == ["Parameters.parameter[1]"]
    assert error.value.issues[0].text.startswith("Operation 1")


@pytest.mark.parametrize(
    "entry",
    [
        operation(type="replace", path="Patient.photo", value={"valueString": "x"}),
        operation(type="replace", path="Observation.birthDate", value={"valueString": "x"}),
        operation(type="replace", path="Patient", value={"valueString": "x"}),
        operation(type="replace", path="Patient.name.given", value={"valueString": "x"}),
        operation(type="replace", path="Patient.banana", value={"valueString": "x"}),
        operation(type="replace", path="Patient.birthDate", value={}),
        operation(type="add", path="Patient", name="banana", value={"valueString": "x"}),
        operation(type="add", path="Patient.birthDate", name="extension", value={"valueString": "x"}),
        operation(type="add", path="Patient", name="contact", value={"part": [{"name": "banana", "valueString": "x"}]}),
        operation(type="insert", path="Patient.birthDate", index=0, value={"valueString": "x"}),
        operation(type="insert", path="Patient.name[0]", index=0, value={"valueString": "x"}),
        operation(type="move", path="Patient.name", source=0, destination=1),
        operation(type="delete", path="Patient"),
    ],
)
def test_operation_that_cannot_be_applied_is_unprocessable(definitions: Definitions, entry: Any) -> None:
    with pytest.raises(CartFhirError) as error:
        patched(definitions, patient(), entry)
    assert error.value.status == 422
    assert error.value.issues[0].expression == "Parameters.parameter[0]"


def test_patch_can_be_applied_twice(definitions: Definitions) -> None:
    add = operation(
        type="add", path="Patient", name="contact", value={"part": [{"name": "gender", "valueCode": "male"}]}
    )
    more = operation(type="add", path="Patient", name="photo", value={"valueAttachment": {"title": "x"}})
    change = operation(type="replace", path="Patient.photo[0].title", value={"valueString": "y"})
    patch = FhirPathPatch.read(
        {"resourceType": "Parameters", "parameter": [add, more, change]}, elements_of(definitions).root
    )
    assert patch.apply(patient()) == patch.apply(patient())
