"""The ISIKOK-19 records: every figure stands in the passage that its row quotes; all of Table 1 is there."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.settings import shipped
from service.trial.importer import read_study
from service.trial.mapping.engine import Mapped, read_records
from service.trial.mapping.identity import BASE
from service.trial.mapping.reverse import rows_of
from service.trial.mapping.template import Study

FOLDER = shipped("mappings", "isikok-19")
WORDS = dict(enumerate("no one two three four five six seven eight nine".split()))
# The position of a therapy in its cell, and our own numbering.
NOT_PRINTED = {("therapies", "line"), ("issues", "trap")}
PRINTED = [
    ("patients", "sex"),
    ("diseases", "disease"),
    ("diseases", "bulky"),
    ("antecedents", "printed"),
    ("therapies", "therapy"),
    ("hsct", "type"),
    ("hsct", "none"),
    ("hsct", "dli"),
    ("bridging", "therapy"),
    ("responses", "response"),
    ("toxicities", "toxicity"),
    ("toxicities", "resolved"),
    ("ungraded_toxicities", "toxicity"),
    ("ungraded_toxicities", "resolved"),
    ("toxicity_free", "toxicity"),
    ("toxicity_treatments", "drug"),
    ("toxicity_treatments", "given"),
    ("failed_batches", "printed"),
    ("cohort_facts", "printed"),
    ("study", "nct"),
    ("study", "approval"),
    ("study", "kind"),
    ("study", "aim"),
    ("study", "site"),
]
NCIT = "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def imported(definitions: Definitions) -> tuple[Study, list[Mapped]]:
    study, mapped, _ = read_study(definitions, FOLDER)
    return study, mapped


@pytest.fixture(scope="module")
def resources(imported: tuple[Study, list[Mapped]]) -> dict[str, dict[str, Any]]:
    return {one.name: one.resource for one in imported[1]}


def reference(resource: dict[str, Any]) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def quoted(row: dict[str, str]) -> str:
    return " ".join(text for column, text in row.items() if column.endswith("passage"))


def stands_in(number: str, passage: str) -> bool:
    if re.search(rf"(?<![\d.]){re.escape(number)}(?![\d]|\.\d)", passage):
        return True
    word = WORDS.get(int(number)) if number.isdecimal() else None
    return bool(word and re.search(rf"\b{word}\b", passage, re.IGNORECASE)) or (
        number == "1" and bool(re.search(r"\bthe patient\b", passage))
    )


def test_numbers_of_every_table_stand_in_their_passage(imported: tuple[Study, list[Mapped]]) -> None:
    study = imported[0]
    checked = 0
    for name, records in read_records(study).items():
        columns = study.dictionary.tables[name].columns
        numeric = [key for key, one in columns.items() if one.type in ("integer", "decimal")]
        for row in records.rows:
            for column in numeric:
                if row.cells[column] and (name, column) not in NOT_PRINTED:
                    assert stands_in(row.cells[column], quoted(row.cells)), (name, row.number, column)
                    checked += 1
    assert checked >= 60


@pytest.mark.parametrize(("table", "column"), PRINTED)
def test_words_of_a_column_stand_in_their_passage(table: str, column: str) -> None:
    filled = [row for row in rows(f"data/{table}.csv") if row[column]]
    assert filled
    for row in filled:
        assert row[column] in quoted(row)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("data/*.csv")), ids=lambda path: path.stem)
def test_rows_that_cite_a_table_quote_its_cell_as_printed(path: Path) -> None:
    printed = {
        "Table 1": {row["Patient"]: row for row in rows("paper/table1.csv")},
        "Table 2": {row["Diagnosis"]: row for row in rows("paper/table2.csv")},
    }
    for row in rows(f"data/{path.name}"):
        assert row["passage"]
        assert row["row"]
        if row["table"] in printed and row["column"]:
            assert row["passage"] == printed[row["table"]][row["row"]][row["column"]]
        if row["table"] == "Table 1" and "subject" in row:
            assert row["subject"] == f"ISIKOK19-{int(row['row']):03d}"


def test_table_1_is_covered_by_rows_cell_by_cell() -> None:
    cited = {
        (row["row"], row["column"])
        for path in FOLDER.glob("data/*.csv")
        for row in rows(f"data/{path.name}")
        if row["table"] == "Table 1"
    }
    cells = {(row["Patient"], column) for row in rows("paper/table1.csv") for column in row if column != "Patient"}
    assert cited == cells


def test_laboratory_values_are_the_three_parts_of_the_cell() -> None:
    found: dict[str, list[str]] = {}
    for row in rows("data/labs.csv"):
        found.setdefault(row["row"], []).append(row["value"])
    assert {row: "/".join(values) for row, values in found.items()} == {
        row["Patient"]: row["Pre-CAR-T LDH/Ferritin/CRP"] for row in rows("paper/table1.csv")
    }


def test_mapping_back_gives_every_row_as_it_was(imported: tuple[Study, list[Mapped]]) -> None:
    study, mapped = imported
    back = rows_of(study, mapped)
    for name, records in read_records(study).items():
        columns = [key for key, column in study.dictionary.tables[name].columns.items() if not column.unmapped]
        expected = [[row.cells[key] for key in columns] for row in records.rows]
        assert [[row.cells[key] for key in columns] for row in back[name]] == expected, name


def test_every_mapped_resource_is_valid(definitions: Definitions, resources: dict[str, dict[str, Any]]) -> None:
    validator = Validator(definitions)
    findings = {
        name: [(one.rule, one.expression) for one in validator.check(resource) if one.severity == "error"]
        for name, resource in resources.items()
    }
    assert {name: found for name, found in findings.items() if found} == {}


def test_counts_of_resources_are_those_of_the_paper(resources: dict[str, dict[str, Any]]) -> None:
    counts = Counter(one["resourceType"] for one in resources.values())
    assert counts["Patient"] == counts["ResearchSubject"] == counts["Consent"] == 7
    assert counts["AdverseEvent"] == 6
    assert counts["BiologicallyDerivedProduct"] == 8
    assert counts["MedicationStatement"] == 17
    assert counts["ResearchStudy"] == 1
    profiles = Counter(url for one in resources.values() for url in one["meta"].get("profile", []))
    assert profiles[f"{BASE}/StructureDefinition/leukapheresis"] == 7
    assert profiles[f"{BASE}/StructureDefinition/car-t-infusion"] == 7
    assert profiles[f"{BASE}/StructureDefinition/laboratory-result"] == 21


def test_patient_4_follows_follicular_lymphoma(resources: dict[str, dict[str, Any]]) -> None:
    antecedent = resources["antecedents.condition/follicular-lymphoma"]
    assert antecedent["subject"] == {"reference": reference(resources["patients.patient/ISIKOK19-004"])}
    extensions = resources["diseases.condition/ISIKOK19-004"]["extension"]
    assert {"reference": reference(antecedent)} in [one.get("valueReference") for one in extensions]


def test_products_are_infused_into_the_subject_they_come_from(resources: dict[str, dict[str, Any]]) -> None:
    for number in range(1, 8):
        product = resources[f"products.product/ISIKOK19-00{number}"]
        infusion = resources[f"doses.infusion/ISIKOK19-00{number}"]
        assert product["collection"]["source"] == infusion["subject"]
        assert {"reference": reference(product)} in [one.get("valueReference") for one in infusion["extension"]]
