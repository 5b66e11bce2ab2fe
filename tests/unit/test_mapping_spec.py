"""Templates and dictionaries that are wrong: each finding names file, line, key and rule of the language."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mapping_study import DICTIONARY, PEOPLE, person, write_study

from service.errors import Unprocessable
from service.trial.mapping.elements import WORDS
from service.trial.mapping.spec import load_study

TEMPLATE_CHANGES = [
    ("{$col: sex, $map: sex}", "{$col: sexx, $map: sex}", "line 15, resources.person.gender.$col: no column of table"),
    ("{$col: sex, $map: sex}", "{$col: sex, $map: sexx}", "resources.person.gender.$map: no ConceptMap with this id"),
    ("{$col: sex, $map: sex}", "{$col: sex, $map: therapy}", "does not list 'M', a code of the column"),
    ("{$col: sex, $map: sex}", "{$col: disease, $map: disease}", "code needs one target"),
    ("{$col: sex, $map: sex}", "{$cell: sex}", "resources.person.gender.$cell: unknown word"),
    ("{$col: sex, $map: sex}", "{$map: sex}", "$map: stands only beside $col"),
    ("{$col: sex, $map: sex}", "{$col: sex, $text: 'x {sex}'}", "$col and $text exclude each other"),
    ("{$col: sex, $map: sex}", "{$col: sex, $map: sex, x: 1}", "nothing may stand beside it"),
    ("{$col: sex, $map: sex}", "{$col: sex, $as: decimal}", "a column of type code becomes string, code, boolean"),
    ("{$col: sex, $map: sex}", "{$col: sex, $map: sex, $as: text}", "beside $map: code, coding or concept"),
    ("{$col: sex, $map: sex}", "{$col: internal}", "the dictionary says that this column is unmapped"),
    ("{$col: sex, $map: sex}", "", "resources.person.gender: FHIR has no empty values"),
    ("{$col: sex, $map: sex}", "{}", "FHIR has no empty elements"),
    ("{$col: sex, $map: sex}", "[]", "FHIR has no empty lists"),
    ("{$col: born, $absent: unknown}", "{$col: born, $absent: lost}", "$absent: must be one of unknown"),
    ("{$each: names, $col: names}", "{$col: names}", "a list needs each or $each around"),
    ("{$each: names, $col: names}", "{$each: lot, $col: lot}", "takes a column of type list"),
    ("[{$each: names, $col: names}]", "{$each: names, $col: names}", "stands only in a list"),
    ("$unit: age", "$unit: lot", "the dictionary gives this column no unit"),
    ("{$ref: person}", "{$ref: nobody}", "no such rule"),
    ("[{$ref: bulky}]", "[{$ref: therapy}]", "the rule is made for each item of therapies"),
    ("{$ref: person}", "{$ref: visits.visit, $by: [subject]}", "the key of the rule is subject, visit"),
    ("{$when: {ferritin: ['']}", "{$when: {bulky: [maybe]}", "each must be one of the column's codes"),
    ("when: age", "when: ages", "resources.age.when: no column of table"),
    ("{$index: therapies}", "{$index: names}", "stands only inside each or $each of this column"),
    ("{$text: 'Subject {subject}'}", "{$text: Subject}", "a text with at least one {column}"),
    ("resourceType: Patient", "resourceType: Patient\n    id: x", "ids come from the key"),
    ("    resourceType: Patient\n", "", "resources.person.resourceType: a resource type is needed"),
    ("key: [subject]", "key: [lot]", "each must be a column that the dictionary requires"),
    ("key: [subject]", "keys: [subject]", "keys: unknown key"),
    ("study: toy", "study: other", "study: must be toy"),
    ("active: {$col: alive, $as: boolean}", "active: {$col: lot, $as: boolean}", "boolean needs two codes"),
    ("gender: {$col: sex, $map: sex}", "gender: {$col: sex, $map: sex}\n    gender: x", "gender: the key stands twice"),
    ("gender: {$col: sex, $map: sex}", "gender: {$col: sex, $map: sex", "line 16: not YAML"),
    ("gender: {$col: sex, $map: sex}", "gender: !code male", "tags (`!…`) are not part of the language"),
    ("  bulky:\n", "  bul.ky:\n", "a name has letters, digits"),
    ("valueQuantity: {value: {$col: age}, $unit: age}", "valueInteger: 1", "no template uses the column"),
]


@pytest.mark.parametrize(("old", "new", "finding"), TEMPLATE_CHANGES)
def test_load_wrong_template_names_line_and_rule(tmp_path: Path, old: str, new: str, finding: str) -> None:
    assert old in PEOPLE
    with pytest.raises(Unprocessable) as caught:
        load_study(write_study(tmp_path, [person("S1")], people=PEOPLE.replace(old, new, 1)))
    assert {issue.rule for issue in caught.value.issues} == {"mapping-spec"}
    assert any(finding in issue.text for issue in caught.value.issues), caught.value


DICTIONARY_CHANGES = [
    ("type: integer, range: [0, 120]", "type: number, range: [0, 120]", "columns.age.type: must be one of string"),
    ("range: [0, 120]", "range: [120, 0]", "columns.age.range: low is above high"),
    ("range: [0, 120]", "range: [0]", "columns.age.range: must be [low, high]"),
    ("range: [0, 120]", "range: [a, b]", "columns.age.range: the bounds must be numbers"),
    ("description: Sex}", "description: Sex, as printed}", "columns.sex.as printed: unknown key; a text with a comma"),
    ("description: Sex}", "pattern: '('}", "columns.sex.pattern: not a regular expression"),
    ("description: Sex}", "x: 1}", "columns.sex.description: a description is needed"),
    ("codes: [M, F]", "codes: M", "columns.sex.codes: must be a list of texts"),
    ("codes: [yes, no]", "codes: [true, false]", "columns.bulky.codes: true and false must be in quotes"),
    ("required: true", "required: yes", "must be true or false"),
    ("unit: a,", "unit: [a],", "columns.age.unit: must be a UCUM code"),
    ("of: code", "of: list", "columns.therapies.of: must be one of"),
    ("separator: ';', ", "separator: '', ", "columns.therapies.separator: must be a text"),
    ("decimal: comma", "decimal: komma", "tables.visits.decimal: must be point or comma"),
    ("cites: row", "cites: page", "columns.page.cites: must be one of table"),
    ("study: toy", "study: a toy", "study: the name of the study is missing"),
    ("    decimal: comma", "    file: ../x.csv", "tables.visits.file: must be a path inside the study's folder"),
]


@pytest.mark.parametrize(("old", "new", "finding"), DICTIONARY_CHANGES)
def test_load_wrong_dictionary_names_key_and_rule(tmp_path: Path, old: str, new: str, finding: str) -> None:
    assert old in DICTIONARY
    with pytest.raises(Unprocessable) as caught:
        load_study(write_study(tmp_path, [person("S1")], dictionary=DICTIONARY.replace(old, new, 1)))
    assert any(f"{finding}" in issue.text for issue in caught.value.issues), caught.value
    assert all(issue.text.startswith(("dictionary.yaml", "templates/", "data/")) for issue in caught.value.issues)


def test_load_refuses_a_map_that_is_none(tmp_path: Path) -> None:
    folder = write_study(tmp_path, [])
    (folder / "concept-maps/a.json").write_text(json.dumps({"resourceType": "ValueSet", "id": "a"}))
    (folder / "concept-maps/b.json").write_text("{")
    (folder / "concept-maps/c.json").write_text(json.dumps({"resourceType": "ConceptMap", "id": "c", "group": "x"}))
    (folder / "concept-maps/twice.json").write_text(json.dumps({"resourceType": "ConceptMap", "id": "sex"}))
    with pytest.raises(Unprocessable) as caught:
        load_study(folder)
    places = [issue.text.partition(":")[0] for issue in caught.value.issues]
    assert places == [f"concept-maps/{name}.json" for name in ("a", "b", "c", "twice")]


def test_load_reads_anchors_merges_and_plain_words(tmp_path: Path) -> None:
    shared = "shared:\n  base: &base {status: final, language: no, valueDateTime: 2020-01-02, valueDecimal: 1.10}\n"
    template = PEOPLE.replace("shared:\n", shared, 1).replace("valueBoolean: true", "<<: *base\n    status: x")
    study = load_study(write_study(tmp_path, [], people=template))
    fields = study.templates["people"].rules["bulky"].body.fields
    values = {name: str(node.value) for name, node in fields.items()}
    assert values == {"status": "x", "language": "no", "valueDateTime": "2020-01-02", "valueDecimal": "1.10"}


def test_words_are_documented_and_few() -> None:
    page = Path(__file__).parents[2].joinpath("docs/mapping.md").read_text(encoding="utf-8")
    assert [word for word in WORDS if f"{word}" not in page] == []
    assert len(WORDS) <= 12
