"""The ISIKOK-19 records: every figure stands in the passage that its row quotes, and the paper's traps are kept."""

from __future__ import annotations

import csv
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.settings import shipped
from service.trial import quality
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


@pytest.fixture(scope="module")
def issues(resources: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """All DetectedIssues: the study's own and those found by rule."""
    own = [one for one in resources.values() if one["resourceType"] == "DetectedIssue"]
    return own + quality.examine(list(resources.values()), FOLDER)


def reference(resource: dict[str, Any]) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def implicated(issue: dict[str, Any]) -> set[str]:
    return {one["reference"] for one in issue["implicated"]}


def kind(issue: dict[str, Any]) -> str:
    return issue["code"]["coding"][0]["code"]


def codes(concept: dict[str, Any]) -> set[str]:
    return {one["code"] for one in concept.get("coding", [])}


def about(issues: list[dict[str, Any]], kind_: str, *named: dict[str, Any]) -> list[dict[str, Any]]:
    """The issues of a kind that implicate all of these."""
    return [one for one in issues if kind(one) == kind_ and {reference(each) for each in named} <= implicated(one)]


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


def test_trap_1_chimerism_stays_as_listed(resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]) -> None:
    values = {}
    for number in (1, 2, 3, 7):
        found = resources[f"chimerism.chimerism/ISIKOK19-00{number}"]
        values[number] = found["valueQuantity"]["value"]
        assert found["status"] == "preliminary"
        assert found["meta"]["tag"][0]["code"] == "contradiction"
        notes = " ".join(note["text"] for note in found["note"])
        assert "respectively" in notes
        assert "non-chimeric patient was unresponsive" in notes
    assert values == {1: 100, 2: 98, 3: 73, 7: 0}
    named = [
        resources[f"{rule}/ISIKOK19-00{n}"] for rule in ("chimerism.chimerism", "responses.response") for n in (3, 7)
    ]
    assert about(issues, "contradiction", *named)


def test_trap_2_implausible_ldh_is_kept_and_doubted(
    resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]
) -> None:
    doubted = {}
    for name, one in resources.items():
        if name.startswith("labs.result") and about(issues, "implausible-value", one):
            doubted[name] = one["valueQuantity"]["value"]
    assert doubted == {"labs.result/ISIKOK19-004/LDH": 13, "labs.result/ISIKOK19-005/LDH": 86}


def test_trap_3_laboratory_values_have_no_unit(
    resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]
) -> None:
    results = [one for name, one in resources.items() if name.startswith("labs.result")]
    assert len(results) == 21
    for one in results:
        assert one["valueQuantity"].keys() == {"value", "_unit"}
        assert one["valueQuantity"]["_unit"]["extension"][0]["valueCode"] == "unknown"
        assert about(issues, "unit-missing", one)


def test_trap_4_dose_is_in_millions_of_cells(
    resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]
) -> None:
    doses = [one for name, one in resources.items() if name.startswith("doses.dose/")]
    quantities = [one["dosage"]["dose"] for one in doses]
    assert {one["code"] for one in quantities} == {"10*6/kg"}
    expected = [Decimal(text) for text in "5 6.4 4.5 4.8 4 7.3 4".split()]
    assert [Decimal(str(one["value"])) for one in quantities] == expected
    assert about(issues, "implausible-value", *doses)


def test_trap_5_response_rate_is_rounded_up_in_print(
    resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]
) -> None:
    responses = [one for name, one in resources.items() if name.startswith("responses.response/")]
    responders = [one for one in responses if codes(one["valueCodeableConcept"]) & {"C4870", "C18058"}]
    assert (len(responders), len(responses)) == (5, 7)
    assert about(issues, "rate-mismatch", *responses)
    assert not quality.same_at_precision(Decimal(5) / 7, "72")


def test_trap_6_responder_without_toxicity_has_no_event(
    resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]
) -> None:
    patient = reference(resources["patients.patient/ISIKOK19-006"])
    events = [one for one in resources.values() if one["resourceType"] == "AdverseEvent"]
    assert patient not in {one["subject"]["reference"] for one in events}
    none = resources["toxicity_free.none/ISIKOK19-006"]
    assert codes(none["valueCodeableConcept"]) == {"2667000"}
    assert about(issues, "contradiction", none, resources["responses.response/ISIKOK19-006"])


def test_trap_7_cres_is_not_converted(resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]) -> None:
    grades = [resources[f"toxicities.grade/ISIKOK19-00{number}/CRES"] for number in (1, 7)]
    for one in grades:
        assert "cres-grade" in codes(one["code"])
        assert codes(one["method"]) == {"cartox"}
        assert codes(one["valueCodeableConcept"]) == {"C41338"}
    assert not [one for one in resources.values() if "icans-grade" in codes(one.get("code", {}))]
    assert about(issues, "terminology-conflict", *grades)


def test_trap_8_progressive_disease_stays(resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]) -> None:
    progressive = [resources[f"responses.response/ISIKOK19-00{number}"] for number in (3, 4)]
    assert all(codes(one["valueCodeableConcept"]) == {"C35571"} for one in progressive)
    assert about(issues, "terminology-conflict", *progressive)


def test_trap_9_lines_keep_their_order_and_the_median_its_doubt(
    resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]
) -> None:
    lines: dict[str, list[int]] = {}
    for name, one in resources.items():
        if name.startswith("therapies."):
            lines.setdefault(one["subject"]["reference"], []).append(one["extension"][0]["valuePositiveInt"])
    assert sorted(map(len, lines.values())) == [1, 2, 2, 3, 3, 4, 5]
    assert all(found == list(range(1, len(found) + 1)) for found in map(sorted, lines.values()))
    median = resources["cohort_facts.observation/median-lines"]
    assert median["valueInteger"] == 4
    assert about(issues, "count-mismatch", median)


def test_trap_10_failed_batch_has_no_subject(
    resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]
) -> None:
    batch = resources["failed_batches.product/unidentified-subject"]
    assert batch["status"] == "unavailable"
    assert "source" not in batch["collection"]
    death = resources["cohort_facts.observation/death-before-infusion"]
    assert death["subject"]["reference"].startswith("Group/")
    assert about(issues, "unassigned-fact", batch, death)
    infused = [one for one in resources.values() if reference(batch) in str(one) and one["resourceType"] == "Procedure"]
    assert infused == []


def test_trap_11_unassigned_facts_stay_on_groups(
    resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]
) -> None:
    names = ["extramedullary-disease", "without-b-cell-aplasia", "progression-after-partial-response"]
    facts = [resources[f"cohort_facts.observation/{name}"] for name in names]
    facts.append(resources["antecedents.condition/chronic-lymphocytic-leukemia"])
    assert all(one["subject"]["reference"].startswith("Group/") for one in facts)
    assert about(issues, "unassigned-fact", *facts)


def test_trap_12_no_date_of_a_patient_is_invented(
    resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]
) -> None:
    dated = re.compile(
        r"^(birthDate|effective\w+|performed\w+|date|dateTime|onset\w+|collectedDateTime|identified\w+)$"
    )

    def dates(value: Any) -> list[str]:
        if isinstance(value, list):
            return [key for one in value for key in dates(one)]
        if isinstance(value, dict):
            here = [key for key in value if dated.match(key)]
            return here + [key for one in value.values() for key in dates(one)]
        return []

    assert [name for name, one in resources.items() if dates(one)] == []
    assert not [one for one in resources.values() if "29463-7" in str(one.get("code"))]
    patient = resources["patients.patient/ISIKOK19-001"]
    assert patient["_birthDate"]["extension"][0]["valueCode"] == "unknown"
    assert about(issues, "not-stated", resources["doses.infusion/ISIKOK19-001"])


def test_trap_13_treated_toxicity_is_assigned_by_grade(
    resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]
) -> None:
    given = sorted(name for name in resources if name.startswith("toxicity_treatments."))
    assert given == [
        "toxicity_treatments.administration/ISIKOK19-002/tocilizumab",
        "toxicity_treatments.administration/ISIKOK19-007/dexamethasone",
        "toxicity_treatments.administration/ISIKOK19-007/tocilizumab",
    ]
    for name in given:
        subject = name.split("/")[1]
        grade = resources[f"toxicities.grade/{subject}/CRS"]
        assert resources[name]["reasonReference"] == [{"reference": reference(grade)}]
        assert codes(grade["valueCodeableConcept"]) == {"C41339"}
    pancytopenia = resources["ungraded_toxicities.event/ISIKOK19-007/pancytopenia"]
    assert "second month" in str(pancytopenia["extension"])
    assert about(issues, "unassigned-fact", pancytopenia, *(resources[name] for name in given))


def test_trap_14_records_of_a_subject_are_restricted(
    resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]
) -> None:
    for name, one in resources.items():
        if one["resourceType"] != "ResearchStudy":
            assert "R" in {label["code"] for label in one["meta"].get("security", [])}, name
    for one in resources.values():
        assert not {"name", "address", "telecom"} & one.keys() or one["resourceType"] == "Group"
    assert about(issues, "re-identification", resources["patients.patient/ISIKOK19-001"])


def test_every_issue_implicates_resources_that_exist(
    resources: dict[str, dict[str, Any]], issues: list[dict[str, Any]]
) -> None:
    known = {reference(one) for one in resources.values()}
    for issue in issues:
        assert implicated(issue)
        assert implicated(issue) <= known
    assert len({one["id"] for one in issues}) == len(issues)


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
