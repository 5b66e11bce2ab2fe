"""The mapped ISIKOK-19 study: golden files, validity, and the way back to every row.

`make golden` writes the files anew; whoever changes a template, a record or the engine reads the diff.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.fhir.json import decode, encode
from service.settings import shipped
from service.trial.importer import Candidate, read_study
from service.trial.mapping.engine import Mapped, read_records
from service.trial.mapping.explain import explain
from service.trial.mapping.reverse import rows_of
from service.trial.mapping.template import Study
from service.trial.provenance import imported, rule_of

FOLDER = shipped("mappings", "isikok-19")
TEMPLATES = sorted(path.stem for path in FOLDER.glob("templates/*.yaml"))
GOLDEN = Path(__file__).parent / "isikok-19"
PROVENANCE = "patient"  # one rule is enough to see what a Provenance says

Read = tuple[Study, list[Mapped], list[Candidate]]


@pytest.fixture(scope="module")
def isikok(definitions: Definitions) -> Read:
    """The study, what it maps to, and what is to be stored."""
    return read_study(definitions, FOLDER)


def text(value: Any) -> str:
    """JSON for people: indented, decimals as they are written."""
    return msgspec.json.format(encode(value), indent=2).decode() + "\n"


def compare(name: str, value: dict[str, Any], request: pytest.FixtureRequest) -> None:
    """Holds `value` against its golden file."""
    path = GOLDEN / f"{name}.json"
    if request.config.getoption("--update-golden", default=False):
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text(value), encoding="utf-8")
    assert path.is_file(), f"no golden file {path.name}: make golden"
    assert text(value) == path.read_text(encoding="utf-8"), "the mapping has changed: make golden, then read the diff"


@pytest.mark.parametrize("template", TEMPLATES)
def test_map_study_gives_its_golden_resources(isikok: Read, template: str, request: pytest.FixtureRequest) -> None:
    resources = {one.name: one.resource for one in isikok[1] if one.template == template}
    assert resources
    compare(template, resources, request)


def test_map_study_gives_its_golden_provenance(isikok: Read, request: pytest.FixtureRequest) -> None:
    _, mapped, candidates = isikok
    pairs = zip(mapped, candidates, strict=True)
    compare("provenance", {one.name: made.provenance for one, made in pairs if one.rule == PROVENANCE}, request)


def test_golden_files_are_those_of_the_templates() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.json")) == sorted([*TEMPLATES, "provenance"])


@pytest.mark.parametrize("template", TEMPLATES)
def test_map_study_gives_valid_resources(isikok: Read, definitions: Definitions, template: str) -> None:
    validator = Validator(definitions)
    for one in isikok[1]:
        if one.template == template:
            found = [issue for issue in validator.check(one.resource) if issue.severity == "error"]
            assert [(issue.text, issue.expression) for issue in found] == [], one.name


def test_map_study_labels_all_that_is_of_subjects_as_restricted(isikok: Read) -> None:
    public = {one.name for one in isikok[1] if not one.resource.get("meta", {}).get("security")}
    assert {name.partition("/")[0] for name in public} <= {"study.study", "study.site"}


def test_map_study_gives_valid_provenance(isikok: Read, definitions: Definitions) -> None:
    validator = Validator(definitions)
    for one in isikok[2]:
        found = validator.check({**one.provenance, "recorded": "2022-06-01T00:00:00+03:00"})
        assert [(issue.text, issue.expression) for issue in found if issue.severity == "error"] == [], one.place


TABLES = sorted(path.stem for path in FOLDER.glob("data/*.csv"))


@pytest.fixture(scope="module")
def back(isikok: Read) -> dict[str, list[Any]]:
    """The rows that the resources give back, after a way over the wire and through their Provenance alone."""
    study, _, candidates = isikok
    made = []
    for one in candidates:
        stated = decode(encode(one.provenance))
        rule = rule_of(study, stated)
        assert rule is not None
        made.append(imported(rule, decode(encode(one.resource)), stated))
    return rows_of(study, made)


@pytest.mark.parametrize("table", TABLES)
def test_reverse_study_gives_back_every_column_of_every_row(
    isikok: Read, back: dict[str, list[Any]], table: str
) -> None:
    study = isikok[0]
    unmapped = {name for name, column in study.dictionary.tables[table].columns.items() if column.unmapped}
    assert unmapped <= {"trap"}
    there = {row.number: {**row.cells, **dict.fromkeys(unmapped, "")} for row in read_records(study)[table].rows}
    assert {row.number: row.cells for row in back[table]} == there


def test_explain_study_knows_every_element_of_every_resource(isikok: Read) -> None:
    study, mapped, _ = isikok
    for one in mapped:
        for element in one.resource.keys() - {"resourceType"}:
            path = f"{one.resource['resourceType']}.{element.removeprefix('_')}"
            assert explain(study, [one], one.reference, path)


def test_map_study_makes_each_reference_meet_its_resource(isikok: Read) -> None:
    known = {one.reference for one in isikok[1]}
    assert {reference for one in isikok[1] for reference in references(one.resource)} <= known


def references(value: Any) -> set[str]:
    """All relative references in a value."""
    if isinstance(value, dict):
        here = {value["reference"]} if isinstance(value.get("reference"), str) else set()
        return here.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()
