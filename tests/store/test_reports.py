"""Tables 1 and 2 and the rates, from what is stored: the paper's figures at first, others once a resource changes."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.errors import NotFound
from service.fhir import json, search
from service.fhir.operations import Delete, Plan, Update, plan_of
from service.settings import shipped
from service.store.database import Database
from service.trial.importer import read_study
from service.trial.mapping.identity import BASE, id_of
from service.trial.reports.measures import measure_report
from service.trial.reports.rendering import Table
from service.trial.reports.tables import table1, table2
from service.web.pages import page

FOLDER = shipped("mappings", "isikok-19")
NCIT = "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"
CONCEPTS = f"{BASE}/CodeSystem/trial-concept"
EDITED = "The stored records say something else than the paper."
KNOWN_1 = {(str(row), "CAR-T dose (total)") for row in range(1, 8)} | {
    ("2", "Pre-CAR-T treatments"),
    ("6", "Disease"),
    ("7", "Toxicity"),
}


@pytest.fixture(scope="module")
def resources(definitions: Definitions) -> list[dict[str, Any]]:
    """The study as it is imported."""
    return [candidate.resource for candidate in read_study(definitions, FOLDER)[2]]


@pytest.fixture
async def trial(database: Database, resources: list[dict[str, Any]]) -> Database:
    """A store that holds the study."""
    await database.write(Plan(tuple(map(Update, resources))))
    return database


async def change(database: Database, type_: str, name: str, **changes: Any) -> None:
    """PUT of a stored resource with other elements; None leaves one out."""
    stored = await database.read(type_, id_of("isikok-19", name))
    resource = {**json.decode(stored.content or b""), **changes}
    resource["meta"] = {key: value for key, value in resource["meta"].items() if key in ("profile", "security")}
    await database.write(plan_of(Update({key: value for key, value in resource.items() if value is not None})))


def coded(code: str) -> dict[str, Any]:
    return {"coding": [{"system": NCIT, "code": code}]}


def computed(table: Table, label: str) -> dict[str, str | None]:
    row = next(row for row in table.rows if row.label == label)
    return {column: figure.computed for column, figure in row.figures.items()}


def differing(table: Table) -> set[tuple[str, str]]:
    return {(row.label, column) for row in table.rows for column, figure in row.figures.items() if figure.differs}


def summary(table: Table, label: str) -> dict[str, str | None]:
    row = next(row for row in table.summary if row.label == label)
    return {name: figure.computed for name, figure in row.figures.items()}


async def test_table_1_after_import_says_what_the_paper_says(trial: Database) -> None:
    table = await table1(trial, FOLDER)
    assert [row.label for row in table.rows] == ["1", "2", "3", "4", "5", "6", "7"]
    assert differing(table) == KNOWN_1
    reasons = {figure.reason for row in table.rows for figure in row.figures.values() if figure.differs}
    assert None not in reasons
    assert EDITED not in reasons
    assert computed(table, "1") == {
        "Age/gender": "52/M",
        "Disease": "DLBCL, bulky",
        "Pre-CAR-T treatments": "RT, CHOP, R-Hyper-CVAD, ibrutinib",
        "Pre-CAR-T LDH/Ferritin/CRP": "177/1536/8.9",
        "HSCT before CAR-T": "Allogenic (DLI+) Post-HSCT Time: 19 months",
        "Bridging therapy": "RT",
        "CAR-T dose (total)": "5x10⁶/kg",
        "Response": "PR",
        "Toxicity": "CRES Grade 1",
    }


async def test_table_2_after_import_says_what_the_paper_says(trial: Database) -> None:
    table = await table2(trial, FOLDER)
    assert [row.label for row in table.rows] == ["ALL", "NHL"]
    assert differing(table) == {("ALL", "Toxicity")}
    assert list(computed(table, "ALL").values())[:7] == ["5", "3", "1", "66.7%", "2 (66.7%)", "-", "1 (33.3%)"]
    assert list(computed(table, "NHL").values()) == [
        *["4", "4", "2", "75.0%", "-", "3 (75.0%)", "1 (25.0%)", "1 CRS (25.0%), 1 CRES (25.0%)"]
    ]
    assert "pancytopenia" in (table.rows[0].figures["Toxicity"].reason or "")


async def test_summary_after_import_puts_the_published_rate_beside_the_computed(trial: Database) -> None:
    rows = {row.label: row.figures for row in (await table2(trial, FOLDER)).summary}
    score = rows["response-rate"]["score"]
    assert (score.computed, score.published, score.differs) == ("71.4%", "72%", True)
    assert "71.4 %" in (score.reason or "")
    toxicity = rows["toxicity-rate"]["score"]
    assert (toxicity.computed, toxicity.published, toxicity.differs) == ("57.1%", "57%", False)
    lines = rows["prior-lines-of-therapy"]
    assert (lines["median"].computed, lines["median"].published) == ("4", "4")
    assert lines["lines"].computed == "5, 4, 2, 4, 6, 2, 3"


async def test_update_of_a_response_changes_both_tables(trial: Database) -> None:
    await change(trial, "Observation", "responses.response/ISIKOK19-003", valueCodeableConcept=coded("C4870"))
    first, second = await table1(trial, FOLDER), await table2(trial, FOLDER)
    assert computed(first, "3")["Response"] == "CR"
    assert differing(first) - KNOWN_1 == {("3", "Response")}
    assert first.rows[2].figures["Response"].reason == EDITED
    assert computed(second, "ALL")["ORR"] == "100.0%"
    assert computed(second, "ALL")["CR"] == "3 (100.0%)"
    assert computed(second, "ALL")["NR"] == "-"
    assert summary(second, "response-rate")["score"] == "85.7%"


async def test_update_of_a_response_that_keeps_the_old_text_counts_the_code(trial: Database) -> None:
    stable = {**coded("C18213"), "text": "PD"}
    await change(trial, "Observation", "responses.response/ISIKOK19-004", valueCodeableConcept=stable)
    assert computed(await table1(trial, FOLDER), "4")["Response"] == "SD"
    assert computed(await table2(trial, FOLDER), "NHL")["NR"] == "1 (25.0%)"


async def test_entered_in_error_response_is_missing_and_not_counted(trial: Database) -> None:
    await change(trial, "Observation", "responses.response/ISIKOK19-003", status="entered-in-error")
    assert computed(await table1(trial, FOLDER), "3")["Response"] is None
    table = await table2(trial, FOLDER)
    assert computed(table, "ALL")["ORR"] == "100.0%, 1 missing"
    assert computed(table, "ALL")["NR"] == "-, 1 missing"
    assert summary(table, "response-rate") == {"numerator": "5", "denominator": "6", "score": "83.3%", "missing": "1"}


async def test_two_different_responses_count_for_none(trial: Database) -> None:
    stored = await trial.read("Observation", id_of("isikok-19", "responses.response/ISIKOK19-003"))
    second = {**json.decode(stored.content or b""), "id": "second", "valueCodeableConcept": coded("C18058")}
    await trial.write(plan_of(Update(second)))
    assert computed(await table1(trial, FOLDER), "3")["Response"] == "PD or PR"
    assert summary(await table2(trial, FOLDER), "response-rate")["denominator"] == "6"


async def test_delete_of_a_laboratory_value_leaves_it_missing(trial: Database) -> None:
    await trial.write(plan_of(Delete("Observation", id_of("isikok-19", "labs.result/ISIKOK19-002/Ferritin"))))
    assert computed(await table1(trial, FOLDER), "2")["Pre-CAR-T LDH/Ferritin/CRP"] == "207/missing/3.3"


async def test_entered_in_error_infusion_is_not_a_treated_patient(trial: Database) -> None:
    await change(trial, "Procedure", "doses.infusion/ISIKOK19-007", status="entered-in-error")
    table = await table2(trial, FOLDER)
    assert computed(table, "ALL")["Number of treated patients"] == "2"
    assert summary(table, "response-rate")["denominator"] == "6"


async def test_adverse_event_of_another_subject_changes_the_toxicity(trial: Database) -> None:
    stored = await trial.read("AdverseEvent", id_of("isikok-19", "toxicities.event/ISIKOK19-005/CRS"))
    subject = {"reference": f"Patient/{id_of('isikok-19', 'patients.patient/ISIKOK19-006')}"}
    await trial.write(plan_of(Update({**json.decode(stored.content or b""), "id": "new", "subject": subject})))
    assert computed(await table1(trial, FOLDER), "6")["Toxicity"] == "CRS Grade 1"
    assert summary(await table1(trial, FOLDER), "toxicity-rate")["score"] == "71.4%"


async def test_create_of_a_subject_is_another_row_with_nothing_guessed(trial: Database) -> None:
    identifier = [{"system": f"{BASE}/identifier/subject", "value": "ISIKOK19-010"}]
    study = {"reference": f"ResearchStudy/{id_of('isikok-19', 'study.study/')}"}
    await trial.write(
        plan_of(
            Update({"resourceType": "Patient", "id": "ten", "identifier": identifier, "gender": "female"}),
            Update(
                {
                    "resourceType": "ResearchSubject",
                    "id": "ten",
                    "status": "on-study",
                    "study": study,
                    "individual": {"reference": "Patient/ten"},
                }
            ),
        )
    )
    table = await table1(trial, FOLDER)
    assert table.rows[-1].label == "ISIKOK19-010"
    found = computed(table, "ISIKOK19-010")
    assert found.pop("Age/gender") == "missing/F"
    assert set(found.values()) == {None}
    unknown = computed(await table2(trial, FOLDER), "unknown")
    assert (unknown["Number of patients"], unknown["Number of treated patients"], unknown["ORR"]) == ("1", "0", "-")


async def test_patient_without_a_research_subject_is_no_row(trial: Database) -> None:
    await trial.write(plan_of(Update({"resourceType": "Patient", "id": "other", "gender": "male"})))
    assert len((await table1(trial, FOLDER)).rows) == 7


async def test_tables_of_an_empty_store_have_no_figures(database: Database) -> None:
    assert (await table1(database, FOLDER)).rows == ()
    table = await table2(database, FOLDER)
    assert set(computed(table, "ALL").values()) == {"0", "-"}
    assert summary(table, "response-rate")["score"] == "-"


async def test_table_as_json_is_plain(trial: Database) -> None:
    value = json.decode(json.encode((await table1(trial, FOLDER)).as_json()))
    figure = value["rows"][0]["figures"]["CAR-T dose (total)"]
    assert figure["computed"] == "5x10⁶/kg"
    assert figure["published"] == "5x106/kg"
    assert figure["differs"] is True


async def test_table_as_csv_reads_back(trial: Database) -> None:
    table = await table2(trial, FOLDER)
    rows = list(csv.DictReader(io.StringIO(table.as_csv())))
    assert [row["Diagnosis"] for row in rows] == ["ALL", "NHL"]
    assert rows[0]["ORR"] == "66.7%"
    assert rows[0]["ORR (published)"] == "67%"


async def test_table_as_page_shows_every_figure(trial: Database) -> None:
    for number, table in ((1, await table1(trial, FOLDER)), (2, await table2(trial, FOLDER))):
        text = bytes(page(f"table{number}.html", table=table).body).decode()
        assert text.count("<tr>") == len(table.rows) + 1
        for row in table.rows:
            for figure in row.figures.values():
                assert (figure.computed or "missing") in text
                assert f"published: {figure.published}" in text


async def test_measure_report_counts_and_divides(trial: Database, definitions: Definitions) -> None:
    report = await measure_report(trial, FOLDER, "response-rate")
    group = report["group"][0]
    assert [one["count"] for one in group["population"]] == [7, 7, 5]
    assert group["measureScore"]["value"] == Decimal("0.7143")
    assert group["extension"][0]["valueString"] == "72%"
    strata = {one["value"]["text"]: one["measureScore"]["value"] for one in group["stratifier"][0]["stratum"]}
    assert strata == {"ALL": Decimal("0.6667"), "NHL": Decimal("0.7500")}
    assert len(report["evaluatedResource"]) == 7
    errors = [one for one in Validator(definitions).check(report) if one.severity == "error"]
    assert errors == []


async def test_measure_report_of_toxicity_counts_subjects_not_events(trial: Database, definitions: Definitions) -> None:
    report = await measure_report(trial, FOLDER, "toxicity-rate")
    assert [one["count"] for one in report["group"][0]["population"]] == [7, 7, 4]
    assert report["group"][0]["measureScore"]["value"] == Decimal("0.5714")
    assert [one for one in Validator(definitions).check(report) if one.severity == "error"] == []


async def test_measure_report_of_nobody_has_no_score(database: Database) -> None:
    report = await measure_report(database, FOLDER, "response-rate")
    assert "measureScore" not in report["group"][0]
    assert [one["count"] for one in report["group"][0]["population"]] == [0, 0, 0]


async def test_measure_report_of_an_unknown_measure_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        await measure_report(database, FOLDER, "survival")


async def test_detected_issues_are_found_by_search(trial: Database) -> None:
    code = f"{BASE}/CodeSystem/quality-issue|contradiction"
    pairs = [("code", code)]
    query = search.parse("DetectedIssue", pairs, trial.parameters, zone=trial.zone, handling="strict")
    assert len([one async for one in trial.resources(query)]) == 2
