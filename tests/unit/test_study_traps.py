"""The fourteen places where the paper contradicts itself: what is stored, and its DetectedIssue."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.settings import shipped
from service.trial import quality
from service.trial.importer import read_study

FOLDER = shipped("mappings", "isikok-19")


@pytest.fixture(scope="module")
def resources(definitions: Definitions) -> dict[str, dict[str, Any]]:
    """The mapped resources by their names."""
    return {one.name: one.resource for one in read_study(definitions, FOLDER)[1]}


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
