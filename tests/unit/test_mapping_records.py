"""Records that are wrong: all findings at once, each with file, row, column and rule, never with a cell's value."""

from __future__ import annotations

from pathlib import Path

import pytest
from mapping_study import PEOPLE, csv_text, map_folder, person, visit, write_study

from service.errors import ISSUE_TYPES, Unprocessable
from service.trial.mapping.engine import read_records
from service.trial.mapping.problems import RULES
from service.trial.mapping.spec import load_study

SECRET = "Zx9"


def findings(folder: Path) -> list[tuple[str | None, str]]:
    """(rule, place) of every finding of the study in `folder`."""
    with pytest.raises(Unprocessable) as caught:
        map_folder(folder)
    assert SECRET not in str(caught.value)
    return [(issue.rule, issue.text.partition(":")[0]) for issue in caught.value.issues]


PEOPLE_CELLS = {
    "sex": (SECRET, "mapping-code"),
    "born": ("03/07/2020 " + SECRET, "mapping-type"),
    "bulky": (SECRET, "mapping-code"),
    "age": (SECRET, "mapping-type"),
    "ferritin": ("1,5", "mapping-type"),
    "dose": ("530", "mapping-range"),
    "disease": (SECRET, "mapping-unmapped-code"),
    "therapies": (f"CHOP;{SECRET}", "mapping-unmapped-code"),
    "names": ("a,,b", "mapping-type"),
    "lot": (f"{SECRET}\x01", "mapping-type"),
}


@pytest.mark.parametrize("column", PEOPLE_CELLS)
def test_map_bad_cell_names_row_and_column(tmp_path: Path, column: str) -> None:
    text, rule = PEOPLE_CELLS[column]
    folder = write_study(tmp_path, [person("S1"), person("S2", **{column: text})])
    assert findings(folder) == [(rule, f"data/people.csv, row 3, column {column}")]


IMPOSSIBLE = [("age", "-1"), ("age", "121"), ("age", "007"), ("age", "1.0"), ("dose", "20.001"), ("dose", "x")]


@pytest.mark.parametrize(("column", "text"), IMPOSSIBLE)
def test_map_impossible_number_is_refused(tmp_path: Path, column: str, text: str) -> None:
    folder = write_study(tmp_path, [person("S1", **{column: text})])
    assert [place for _, place in findings(folder)] == [f"data/people.csv, row 2, column {column}"]


@pytest.mark.parametrize("text", ["0", "120"])
def test_map_range_includes_its_bounds(tmp_path: Path, text: str) -> None:
    _, mapped = map_folder(write_study(tmp_path, [person("S1", age=text)]))
    assert [one.resource["valueQuantity"]["value"] for one in mapped if one.rule == "age"] == [int(text)]


def test_map_collects_all_findings(tmp_path: Path) -> None:
    people = [
        person("S1", dose="530", disease=SECRET),
        person("", sex="", lot="L1"),
        person("S1"),
        person("S3", therapies="CHOP", age="x"),
    ]
    visits = [visit("S1", about="people.person/S9"), visit("S1", place="Izmir", test="crp", visit="2")]
    folder = write_study(tmp_path, people, visits)
    assert findings(folder) == [
        ("mapping-range", "data/people.csv, row 2, column dose"),
        ("mapping-required", "data/people.csv, row 3, column subject"),
        ("mapping-required", "data/people.csv, row 3, column sex"),
        ("mapping-type", "data/people.csv, row 5, column age"),
        ("mapping-duplicate-key", "data/people.csv, row 4, column subject"),
        ("mapping-unmapped-code", "data/people.csv, row 2, column disease"),
    ]


def test_map_unknown_references_are_refused(tmp_path: Path) -> None:
    visits = [visit("S2"), visit("S1", about=f"people.person/{SECRET}")]
    folder = write_study(tmp_path, [person("S1")], visits)
    assert findings(folder) == [
        ("mapping-unknown-resource", "data/visits.csv, row 2, column subject"),
        ("mapping-unknown-resource", "data/visits.csv, row 3, column about"),
    ]


def test_map_rows_that_share_a_resource_must_agree(tmp_path: Path) -> None:
    dictionary = write_study(tmp_path, []).joinpath("dictionary.yaml").read_text().replace("[crp]", "[crp, ldh]")
    people = [person("S1")]
    same = [visit("S1", value="1,5"), visit("S1", test="ldh")]
    _, mapped = map_folder(write_study(tmp_path / "same", people, same, dictionary=dictionary))
    assert [one.rows for one in mapped if one.rule == "visit"] == [(2, 3)]
    other = [visit("S1"), visit("S1", test="ldh", place="Izmir")]
    folder = write_study(tmp_path / "other", people, other, dictionary=dictionary)
    assert findings(folder) == [("mapping-duplicate-key", "data/visits.csv, row 3, column subject, visit")]


def test_map_value_that_no_resource_carries_is_refused(tmp_path: Path) -> None:
    template = PEOPLE.replace("    when: dose\n", "    when: {bulky: [yes]}\n")
    rows = [person("S1", dose="4", bulky="no"), person("S2", internal="kept out")]
    folder = write_study(tmp_path, rows, people=template)
    assert findings(folder) == [("mapping-unused-value", "data/people.csv, row 2, column dose")]


HEADERS = {
    "subject,sexx": [
        ("mapping-unknown-column", "data/people.csv, row 1, column sexx"),
        ("mapping-missing-column", "data/people.csv, row 1, column sex"),
    ],
    "subject,sex,sex": [("mapping-duplicate-column", "data/people.csv, row 1, column sex")],
    f"{SECRET},{SECRET}2": [("mapping-unknown-column", "data/people.csv, row 1")],
}


@pytest.mark.parametrize("header", HEADERS)
def test_read_header_against_dictionary(tmp_path: Path, header: str) -> None:
    folder = write_study(tmp_path, [])
    rest = [name for name in person("") if name not in ("subject", "sex")]
    whole = header if SECRET in header else ",".join([header, *rest])
    (folder / "data/people.csv").write_text(whole + "\n")
    assert findings(folder) == HEADERS[header]


CONTENT = {
    "ragged": (b"subject,sex\nS1\nS2,F,x\n", ["mapping-ragged-row", "mapping-ragged-row"]),
    "empty": (b"", ["mapping-file"]),
    "latin": ("subject,sex\nÇ,F\n".encode("latin-1"), ["mapping-file"]),
    "quotes": (b'subject,sex\n"S1,F\n', ["mapping-file"]),
}


@pytest.mark.parametrize("name", CONTENT)
def test_read_broken_file_is_refused(tmp_path: Path, name: str) -> None:
    content, rules = CONTENT[name]
    folder = small_study(tmp_path)
    (folder / "data/people.csv").write_bytes(content)
    assert [rule for rule, _ in findings(folder)] == rules


def small_study(folder: Path) -> Path:
    """A study of one table with the columns subject and sex."""
    for name in ("templates", "data"):
        (folder / name).mkdir()
    subject, sex = "{type: string, required: true, description: x}", "{type: code, codes: [M, F], description: x}"
    columns = f"{{subject: {subject}, sex: {sex}}}"
    (folder / "dictionary.yaml").write_text(f"study: s\ntables: {{people: {{columns: {columns}}}}}\n")
    body = "{resourceType: Patient, identifier: [{value: {$col: subject}}], gender: {$col: sex}}"
    (folder / "templates/people.yaml").write_text(f"study: s\nkey: [subject]\nresources: {{person: {body}}}\n")
    return folder


LAYOUTS = {
    "comma": "subject,sex\nS1,F\n",
    "semicolon": "subject;sex\nS1;F\n",
    "byte order mark": "\ufeffsubject,sex\nS1,F\n",
    "windows lines": "subject,sex\r\nS1,F\r\n",
    "quoted": '"subject","sex"\n"S1","F"\n',
    "spaces": " subject , sex\n S1\u00a0, F \n",
    "other order": "sex,subject\nF,S1\n",
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_read_layouts_give_the_same_row(tmp_path: Path, name: str) -> None:
    folder = small_study(tmp_path)
    (folder / "data/people.csv").write_bytes(LAYOUTS[name].encode())
    (row,) = read_records(load_study(folder))["people"].rows
    assert (row.number, row.cells) == (2, {"subject": "S1", "sex": "F"})


def test_read_counts_empty_rows_as_a_spreadsheet_does(tmp_path: Path) -> None:
    folder = small_study(tmp_path)
    (folder / "data/people.csv").write_text('subject,sex\n\n"S\n1",F\n,\nS2,M\n')
    records = read_records(load_study(folder))["people"]
    assert [row.number for row in records.rows] == [3, 5]


def test_read_missing_and_stray_files_are_refused(tmp_path: Path) -> None:
    folder = write_study(tmp_path, [person("S1")])
    (folder / "data/other.csv").write_text("a\n")
    assert findings(folder) == [("mapping-file", "data/other.csv")]
    (folder / "data/other.csv").unlink()
    (folder / "data/people.csv").unlink()
    assert findings(folder)[0] == ("mapping-file", "data/people.csv")


def test_read_a_header_with_delimiters_inside_quotes(tmp_path: Path) -> None:
    folder = write_study(tmp_path, [person("S1", note="a;b, c")])
    text = csv_text([person("S1", note="a;b, c")], person(""), ";")
    (folder / "data/people.csv").write_text(text)
    (row,) = read_records(load_study(folder))["people"].rows
    assert row.cells["note"] == "a;b, c"


def test_rules_have_r4_issue_codes_and_are_documented() -> None:
    page = Path(__file__).parents[2].joinpath("docs/mapping.md").read_text(encoding="utf-8")
    assert set(RULES.values()) <= ISSUE_TYPES
    assert [rule for rule in RULES if f"`{rule}`" not in page] == []
