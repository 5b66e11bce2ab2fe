"""What each word of the language gives, and where it says that it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mapping_study import PEOPLE, map_folder, person, visit, write_study

from service.errors import BadRequest, NotFound, Unprocessable
from service.fhir.json import encode
from service.trial.mapping.engine import Mapped
from service.trial.mapping.explain import explain
from service.trial.mapping.identity import content_hash, id_of, name_of
from service.trial.mapping.reverse import rows_of

ABSENT = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}
UCUM = "http://unitsofmeasure.org"

# rule, changes of the row, element, what it becomes (None: left out)
WORDS = [
    ("person", {}, "gender", "female"),
    ("person", {"alive": "y"}, "active", True),
    ("person", {"alive": "n"}, "active", False),
    ("person", {}, "active", None),
    ("person", {"born": "2001-02"}, "birthDate", "2001-02"),
    ("person", {"born": "2001-02"}, "_birthDate", None),
    ("person", {}, "_birthDate", ABSENT),
    ("person", {}, "identifier", [{"system": "urn:subject", "value": "S1"}]),
    ("person", {"names": "a, b"}, "name", [{"use": "nickname", "given": ["a", "b"]}]),
    ("person", {}, "name", None),
    ("age", {"age": "7"}, "valueQuantity", {"value": 7, "unit": "a", "system": UCUM, "code": "a"}),
    ("age", {"age": "7"}, "_effectiveDateTime", ABSENT),
    ("ferritin", {"ferritin": "1.10"}, "valueQuantity", {"value": "1.10", "_unit": ABSENT}),
    ("ferritin", {"ferritin": "1.10"}, "dataAbsentReason", None),
    ("ferritin", {"ferritin": "1.10"}, "note", [{"text": "ferritin of S1 is 1.10"}]),
    ("ferritin", {}, "valueQuantity", None),
    ("ferritin", {}, "dataAbsentReason", {"text": "not measured"}),
    ("dose", {"dose": "4"}, "dosage", {"dose": {"value": 4, "unit": "10⁶/kg", "system": UCUM, "code": "10*6/kg"}}),
    (
        "disease",
        {"disease": "ALL"},
        "code",
        {
            "coding": [
                {"system": "urn:icd", "code": "C91.0", "display": "ALL"},
                {"system": "urn:o3", "code": "9835/3", "display": "B-ALL"},
            ],
            "text": "ALL",
        },
    ),
    ("disease", {"disease": "DHL"}, "code", {"text": "DHL"}),
    ("disease", {}, "code", ABSENT),
    ("disease", {}, "category", [{"coding": [{"system": "urn:c", "code": "always"}]}]),
    (
        "disease",
        {"bulky": "no"},
        "category",
        [{"coding": [{"system": "urn:c", "code": "always"}]}, {"text": "not bulky"}],
    ),
    ("disease", {}, "evidence", None),
    ("bulky", {"bulky": "yes"}, "valueBoolean", True),
]


def plain(value: Any) -> Any:
    """The value with decimals as text."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value if isinstance(value, (str, int, bool, type(None))) else encode(value).decode()


def made(mapped: list[Mapped], rule: str) -> list[dict[str, Any]]:
    """The resources of a rule."""
    return [one.resource for one in mapped if one.rule == rule]


@pytest.mark.parametrize(("rule", "changes", "element", "expected"), WORDS)
def test_map_word_gives_element(
    tmp_path: Path, rule: str, changes: dict[str, str], element: str, expected: Any
) -> None:
    _, mapped = map_folder(write_study(tmp_path, [person("S1", **changes)]))
    (resource,) = made(mapped, rule)
    assert plain(resource.get(element)) == expected


@pytest.mark.parametrize(
    ("rule", "changes"), [("age", {}), ("bulky", {}), ("bulky", {"bulky": "no"}), ("dose", {}), ("therapy", {})]
)
def test_map_rule_whose_condition_does_not_hold_makes_nothing(
    tmp_path: Path, rule: str, changes: dict[str, str]
) -> None:
    _, mapped = map_folder(write_study(tmp_path, [person("S1", **changes)]))
    assert made(mapped, rule) == []


def test_map_each_makes_a_resource_for_every_item(tmp_path: Path) -> None:
    _, mapped = map_folder(write_study(tmp_path, [person("S1", therapies="CHOP; RT;CHOP")]))
    therapies = made(mapped, "therapy")
    assert [one["extension"][0]["valuePositiveInt"] for one in therapies] == [1, 2, 3]
    assert [one["medicationCodeableConcept"]["text"] for one in therapies] == ["CHOP", "RT", "CHOP"]
    assert len({one["id"] for one in therapies}) == 3
    assert [one["derivedFrom"] for one in therapies] == [
        [{"reference": f"MedicationStatement/{one['id']}"}] for one in therapies
    ]


def test_map_references_reach_rows_of_other_tables(tmp_path: Path) -> None:
    visits = [visit("S2", about="people.therapy/S1#2")]
    _, mapped = map_folder(write_study(tmp_path, [person("S1", therapies="CHOP;RT"), person("S2")], visits))
    (measurement,) = made(mapped, "measurement")
    assert measurement["subject"] == {"reference": f"Patient/{made(mapped, 'person')[1]['id']}"}
    assert measurement["encounter"] == {"reference": f"Encounter/{made(mapped, 'visit')[0]['id']}"}
    assert measurement["derivedFrom"] == [{"reference": f"MedicationStatement/{made(mapped, 'therapy')[1]['id']}"}]


def test_map_ids_depend_on_study_template_rule_and_key_alone(tmp_path: Path) -> None:
    _, one = map_folder(write_study(tmp_path / "a", [person("S1")]))
    _, two = map_folder(write_study(tmp_path / "b", [person("S0"), person("S1", sex="M", lot="L")]))
    assert made(one, "person")[0]["id"] == made(two, "person")[1]["id"]
    # uuid5(uuid5(NAMESPACE_URL, "https://cart-fhir.example/fhir"), "toy/people/person/S1"), computed elsewhere.
    assert made(one, "person")[0]["id"] == "29add8ae-38a6-5b74-8283-a430d7c96a40"


@pytest.mark.parametrize(("a", "b"), [(["a/b"], ["a", "b"]), (["a#1"], ["a"]), (["a%2Fb"], ["a/b"])])
def test_names_of_different_keys_differ(a: list[str], b: list[str]) -> None:
    assert name_of("t", "r", a) != name_of("t", "r", b)
    assert id_of("s", name_of("t", "r", a)) != id_of("s", name_of("t", "r", b, 1))


def test_content_hash_is_of_content_not_of_order_or_version() -> None:
    one = {"resourceType": "Patient", "id": "a", "active": True}
    stored = {"id": "a", "meta": {"versionId": "1", "lastUpdated": "x"}, "active": True, "resourceType": "Patient"}
    assert content_hash(one) == content_hash(stored)
    assert content_hash(one) != content_hash({**one, "active": False})
    assert content_hash(one) != content_hash({**one, "meta": {"profile": ["p"]}})


EXPLANATIONS = [
    ("person", "Patient.gender", ["Patient.gender ← data/people.csv, row 2, column sex [row 7, Table 1]"]),
    ("person", "gender", ["Patient.gender ← data/people.csv, row 2, column sex [row 7, Table 1]"]),
    ("person", "Patient.identifier[0].system", ["Patient.identifier[0].system ← a constant of the template"]),
    ("person", "Patient.name.given", [
        "Patient.name[0].given[0] ← data/people.csv, row 2, column names [row 7, Table 1]",
        "Patient.name[0].given[1] ← data/people.csv, row 2, column names [row 7, Table 1]",
    ]),
    ("person", "Patient.name[0].given[1]", [
        "Patient.name[0].given[1] ← data/people.csv, row 2, column names [row 7, Table 1]",
    ]),
    ("age", "Observation.value.value", [
        "Observation.valueQuantity.value ← data/people.csv, row 2, column age [row 7, Table 1]",
    ]),
    ("age", "id", ["Observation.id ← data/people.csv, row 2, column subject [row 7, Table 1]"]),
    ("disease", "Condition.code.coding[1].code", [
        "Condition.code ← data/people.csv, row 2, column disease [row 7, Table 1]",
    ]),
    ("age", "Observation.effective.extension.value", [
        "Observation.effectiveDateTime ← a constant of the template",
    ]),
    ("disease", "Condition.category[1]", [
        "Condition.category[1].text ← a constant of the template",
        "Condition.category[1] ← data/people.csv, row 2, column bulky [row 7, Table 1]",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "expected"), EXPLANATIONS)
def test_explain_names_file_row_column_and_rule(tmp_path: Path, rule: str, path: str, expected: list[str]) -> None:
    row = person("S1", disease="ALL", names="a,b", age="7", bulky="no", passage="Table 1", page="7")
    study, mapped = map_folder(write_study(tmp_path, [row]))
    (reference,) = [one.reference for one in mapped if one.rule == rule]
    found = explain(study, mapped, reference, path)
    assert [str(one).partition("; rule ")[0] for one in found] == expected
    line = PEOPLE.splitlines()[found[0].line - 1]
    assert found[0].rule == f"people.{rule}"
    assert any(word in line for word in ("$", "urn:subject", f"  {rule}:"))


def test_explain_covers_every_leaf_of_every_resource(tmp_path: Path) -> None:
    rows = [person("S1", born="2001", bulky="yes", age="7", ferritin="1", dose="4", disease="ALL", therapies="RT")]
    _, mapped = map_folder(write_study(tmp_path, rows, [visit("S1", value="1,5")]))
    for one in mapped:
        body = {key: value for key, value in one.resource.items() if key != "resourceType"}
        for path in leaves(body, one.resource["resourceType"]):
            assert any("." in origin.path and path.startswith(origin.path) for origin in one.origins), path


def leaves(value: Any, path: str) -> list[str]:
    """The paths of all primitives; an absent one is named without its underscore."""
    if isinstance(value, dict):
        return [leaf for key, part in value.items() for leaf in leaves(part, f"{path}.{key.removeprefix('_')}")]
    if isinstance(value, list):
        return [leaf for number, part in enumerate(value) for leaf in leaves(part, f"{path}[{number}]")]
    return [path]


@pytest.mark.parametrize(
    ("reference", "path", "error"),
    [
        ("Patient/unknown", "Patient.gender", NotFound),
        ("", "Patient.photo", NotFound),
        ("", "Patient.identifier[1]", NotFound),
        ("", "Patient.gender.value", NotFound),
        ("", "Patient.name.where(use = 'x')", BadRequest),
    ],
)
def test_explain_refuses_what_it_cannot(tmp_path: Path, reference: str, path: str, error: type[Exception]) -> None:
    study, mapped = map_folder(write_study(tmp_path, [person("S1")]))
    with pytest.raises(error):
        explain(study, mapped, reference or mapped[0].reference, path)


def test_reverse_of_an_edited_resource_names_the_row(tmp_path: Path) -> None:
    study, mapped = map_folder(write_study(tmp_path, [person("S1"), person("S2")]))
    made(mapped, "person")[1]["gender"] = "other"
    with pytest.raises(Unprocessable) as caught:
        rows_of(study, mapped)
    assert {issue.rule for issue in caught.value.issues} == {"mapping-not-reversible"}
    assert all("data/people.csv, row 3" in issue.text for issue in caught.value.issues)
