"""What a form says of a record: answers with their sources, gaps with their reasons, and never a guess."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.submissions.expressions import compiled
from service.submissions.populate import Occasion, last_contact, populate
from service.submissions.questionnaire import INITIAL
from service.submissions.record import Held, Record
from tests.submissions.records import (
    CONCEPT,
    FORM_URL,
    NOW,
    SCT,
    UCUM,
    WHOM,
    ZONE,
    concept,
    crs,
    event,
    filled,
    form,
    infusion,
    items,
    observation,
    patient,
    response,
    result,
    sources,
    value,
)

FIRST, LAST = date(2026, 1, 10), date(2026, 5, 20)
OURS = "https://cart-fhir.example/fhir/StructureDefinition"


def during(*resources: dict[str, Any], **changes: Any) -> Any:
    """The form of day 100."""
    return filled(*resources, start=FIRST, end=LAST, **changes)


def vital(id_: str, code: str, day: str) -> dict[str, Any]:
    return observation(id_, CONCEPT, "vital-status", day, valueCodeableConcept=concept(SCT, code))


def test_empty_record_answers_nothing_and_says_why() -> None:
    found = during()
    assert {number for number, item in items(found).items() if "answer" in item} == {"1"}  # the product
    assert (value(found, "1"), sources(found, "1")) == (
        "Other product",
        ["BiologicallyDerivedProduct/product/_history/3"],
    )
    required = {one.link_id for one in form().questions.values() if one.required and one.gate is None}
    assert required <= items(found).keys()
    assert len(found.issues) == len(required)
    assert {issue.rule for issue in found.issues} == {"answer-missing"}
    assert value(found, "76") == "<no-resource>"
    assert value(found, "56") == "<unmapped>"
    expressions = [issue.expression for issue in found.issues]
    assert "QuestionnaireResponse.item.where(linkId = 'survival').item.where(linkId = '2')" in expressions


def test_response_is_valid(definitions: Definitions) -> None:
    found = during(vital("v", "438949009", "2026-04-20"), crs(), result("f", "2276-4", 900, "ng/mL", "2026-01-15"))
    assert Validator(definitions).check(found.response) == []


def test_survival_is_that_of_the_last_contact() -> None:
    found = during(vital("b", "438949009", "2026-03-01"), vital("a", "419099009", "2026-04-20T10:00:00+03:00"))
    assert (value(found, "2"), value(found, "3")) == ("2026-04-20", "Dead")
    assert sources(found, "3") == ["Observation/a/_history/3"]


def test_two_different_answers_are_not_chosen_from() -> None:
    found = during(vital("a", "438949009", "2026-04-20"), vital("b", "419099009", "2026-04-20"))
    assert value(found, "2") == "2026-04-20"
    assert sources(found, "2") == ["Observation/a/_history/3", "Observation/b/_history/3"]
    assert value(found, "3") == "<ambiguous>"
    assert [issue.code for issue in found.issues if "'3'" in (issue.expression or "")] == ["multiple-matches"]


def test_value_without_a_place_in_the_form_is_unmapped() -> None:
    found = during(response("r", "C18213", "2026-02-01"))  # stable disease: the form has no such option
    assert value(found, "9") == "<unmapped>"
    assert all("C18213" not in issue.text for issue in found.issues)


def test_best_response_is_the_best_and_its_date_the_first() -> None:
    found = during(
        response("a", "C18058", "2026-02-01"),
        response("b", "C4870", "2026-03-01"),
        response("c", "C4870", "2026-04-01"),
        response("d", "C35571", "2026-05-01"),
    )
    assert (value(found, "9"), value(found, "11")) == ("Complete response", "2026-03-01")
    assert sources(found, "9") == ["Observation/b/_history/3", "Observation/c/_history/3"]
    assert (value(found, "12"), value(found, "13")) == ("Yes", "2026-05-01")


def test_response_before_the_infusion_does_not_count() -> None:
    found = during(response("a", "C4870", "2025-12-01"), response("b", "C18058", "2026-03-01"))
    assert value(found, "9") == "Partial response"


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-01-14", "Yes"),
        ("2026-01-10", "Yes"),
        ("2026-05-20", "Yes"),
        ("2026-01-09", "<outside-window>"),
        ("2026-05-21", "<outside-window>"),
        ("2026", "<outside-window>"),  # not precise enough to be sure
        (None, "<not-recorded>"),
    ],
)
def test_only_what_happened_in_the_period_counts(day: str | None, expected: str) -> None:
    assert value(during(crs(day=day)), "76") == expected


def test_without_a_period_the_undated_counts_and_its_date_is_a_gap() -> None:
    found = filled(crs(day=None), day=None)
    assert (value(found, "76"), value(found, "77")) == ("Yes", "<not-recorded>")


def test_no_is_only_said_where_the_record_says_it() -> None:
    none = observation("t", CONCEPT, "toxicity", "2026-04-01", valueCodeableConcept=concept(SCT, "2667000"))
    found = during(none)
    assert [value(found, number) for number in ("76", "99", "131", "134")] == ["No"] * 4
    assert sources(found, "76") == ["Observation/t/_history/3"]
    assert value(found, "77") is None  # switched off
    assert value(during(none, crs()), "76") == "<ambiguous>"


def test_therapy_of_crs_is_found_by_what_it_was_given_for() -> None:
    grade = observation("grade", CONCEPT, "crs-grade", "2026-01-15", focus=[{"reference": "AdverseEvent/crs"}])
    given = {
        "resourceType": "MedicationAdministration",
        "status": "completed",
        "subject": WHOM,
        "effectiveDateTime": "2026-01-15",
    }
    tocilizumab = given | {
        "id": "a",
        "medicationCodeableConcept": {"text": "tocilizumab"},
        "reasonReference": [{"reference": "Observation/grade"}],
    }
    steroid = given | {"id": "b", "medicationCodeableConcept": {"text": "dexamethasone"}}
    other = given | {"id": "c", "medicationCodeableConcept": {"text": "paracetamol"}}
    action = {"url": f"{OURS}/mitigating-action", "valueReference": {"reference": "MedicationAdministration/b"}}
    ended = {"url": f"{OURS}/adverse-event-resolved", "valueDateTime": "2026-01-20"}
    outcome = concept("http://terminology.hl7.org/CodeSystem/adverse-event-outcome", "resolved")
    found = during(crs(extension=[action, ended], outcome=outcome), grade, tocilizumab, steroid, other)
    assert (value(found, "77"), value(found, "78"), value(found, "97")) == ("2026-01-14", "Yes", "Yes")
    assert [answer["valueString"] for answer in items(found)["79"]["answer"]] == ["tocilizumab", "dexamethasone"]
    assert sources(found, "79") == ["MedicationAdministration/a/_history/3", "MedicationAdministration/b/_history/3"]
    assert value(found, "98") == "2026-01-20"


def test_fever_of_crs_is_one_from_which_its_grade_was_derived() -> None:
    hot = result("hot", "8310-5", Decimal("39.1"), "Cel", "2026-01-14T08:00:00+03:00")
    later = result("later", "8310-5", Decimal("38.5"), "Cel", "2026-04-01")
    grade = observation("grade", CONCEPT, "crs-grade", "2026-01-15", derivedFrom=[{"reference": "Observation/hot"}])
    found = during(crs(), hot, later, grade)
    assert (value(found, "81"), value(found, "82")) == ("Yes", "2026-01-14")
    assert value(during(crs(), later, grade), "81") == "<no-resource>"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("2 0.4 0.1 0.6 0.7 0.8 1.2", "2026-01-14"),
        ("2 0.4 0.6 0.7 0.3 0.5 0.7 1.2", "2026-01-16"),
        ("2 3 3 3", "<no-resource>"),  # never low: no recovery
        ("0.4 0.6 0.7", "<no-resource>"),  # two values only
    ],
)
def test_neutrophil_recovery_is_the_first_of_three(values: str, expected: str) -> None:
    counts = [
        result(f"n{n}", "751-8", Decimal(one), "10*3/uL", f"2026-01-{11 + n}T09:00:00+03:00")
        for n, one in enumerate(values.split())
    ]
    assert value(during(*counts), "15" if expected.startswith("2") else "14") == expected


def test_current_findings_are_those_of_the_last_count() -> None:
    found = during(
        result("w", "6690-2", Decimal("4.10"), "10*3/uL", "2026-05-01"),
        result("h", "718-7", Decimal("112"), "g/L", "2026-05-01"),
        result("old", "777-3", 90, "10*3/uL", "2026-04-01"),
    )
    assert value(found, "18") == "2026-05-01"
    counted = {"value": Decimal("4.10"), "unit": "10*3/uL", "system": UCUM, "code": "10*3/uL"}
    assert value(found, "20") == counted
    assert value(found, "26")["value"] == 112
    assert value(found, "30") == "<no-resource>"


def test_peak_of_crp_is_turned_into_the_unit_of_the_form() -> None:
    days = ((12, "25.0"), (14, "183.0"))
    crp = [result(f"c{day}", "1988-5", Decimal(one), "mg/L", f"2026-01-{day}") for day, one in days]
    found = during(*crp)
    assert (value(found, "186")["value"], value(found, "186")["code"]) == (Decimal("18.30"), "mg/dL")
    assert value(found, "187") == "2026-01-14"
    mixed = during(*crp, result("x", "1988-5", 30, "mg/dL", "2026-01-16"))
    assert value(mixed, "186") == "<ambiguous>"


def test_measurement_without_a_unit_is_no_answer() -> None:
    bare = observation("f", "http://loinc.org", "2276-4", "2026-01-14", valueQuantity={"value": 1536})
    found = during(bare)
    assert value(found, "182") == "Known"
    assert value(found, "183") == "<unmapped>"


def test_baseline_and_undated_values_are_no_peak() -> None:
    assert value(during(result("a", "2276-4", 2000, "ng/mL", "2026-01-01")), "182") == "<outside-window>"
    assert value(during(result("a", "2276-4", 2000, "ng/mL", None)), "182") == "<not-recorded>"
    assert value(filled(result("a", "2276-4", 2000, "ng/mL", None), day=None), "182") == "<not-recorded>"


def test_transplantation_before_the_trial_is_not_reported() -> None:
    earlier = {
        "resourceType": "Procedure",
        "id": "hsct",
        "status": "completed",
        "category": concept(CONCEPT, "prior-therapy"),
        "code": concept(SCT, "425843001"),
        "subject": WHOM,
    }
    assert value(filled(earlier), "7") == "<no-resource>"
    later = earlier | {"id": "later", "category": {"text": "Therapy"}, "performedDateTime": "2026-03-03"}
    found = during(earlier, later)
    assert (value(found, "7"), value(found, "8")) == ("Yes", "2026-03-03")


def test_further_infusion_is_reported_and_the_first_is_not() -> None:
    assert value(during(), "4") == "<no-resource>"
    found = during(infusion("2026-04-02") | {"id": "second"})
    assert (value(found, "4"), value(found, "6")) == ("Yes", "2026-04-02")


def test_what_was_entered_in_error_does_not_count() -> None:
    assert value(during(vital("v", "438949009", "2026-04-20") | {"status": "entered-in-error"}), "3") == "<no-resource>"


def test_doubt_about_a_source_is_told() -> None:
    doubt = {
        "resourceType": "DetectedIssue",
        "id": "d",
        "status": "final",
        "implicated": [{"reference": "AdverseEvent/crs"}],
    }
    found = during(crs(), doubt)
    told = [issue for issue in found.issues if issue.rule == "source-in-doubt"]
    assert value(found, "76") == "Yes"
    assert ["DetectedIssue/d/_history/3" in issue.text for issue in told] == [True] * len(told) != []


def test_broken_data_breaks_no_form() -> None:
    odd = crs(extension="x", outcome=7) | {"date": ["a"]}
    found = during(odd, observation("v", CONCEPT, "vital-status", "soon", valueCodeableConcept=[1]))
    assert (value(found, "76"), value(found, "77"), value(found, "3")) == ("<not-recorded>", None, "<not-recorded>")


def test_same_record_gives_the_same_response_whatever_its_order() -> None:
    resources = [crs(), vital("v", "438949009", "2026-04-20"), response("r", "C4870", "2026-03-01")]
    assert during(*resources) == during(*reversed(resources))


def test_initial_expressions_give_what_the_form_says() -> None:
    """A server that runs the standard expressions alone comes to the same answers."""
    resources = [crs(), vital("v", "438949009", "2026-04-20"), response("r", "C4870", "2026-03-01")]
    held = [Held(one, "3") for one in (patient(), infusion(), *resources)]
    record = Record(held, ZONE)
    variables: dict[str, Any] = {"patient": patient(), "infusion": [infusion()]}
    for name, query in form().queries:
        variables[name] = record.find(query, None)
    for name, path in form().paths:
        variables[name] = path(None, variables)
    found = populate(form(), patient(), record, Occasion(NOW, held[1]), ZONE)
    expected = {"2": ["2026-04-20"], "3": ["Alive"], "9": ["Complete response"], "76": ["Yes"], "77": ["2026-01-14"]}
    texts = {
        item["linkId"]: one["valueExpression"]["expression"]
        for group in form().questionnaire["item"]
        for item in group["item"]
        for one in item.get("extension", [])
        if one["url"] == INITIAL
    }
    for number, answer in expected.items():
        assert compiled(texts[number])(None, variables) == answer == [value(found, number)]


def test_next_period_begins_with_the_last_contact_that_was_reported() -> None:
    def reported(id_: str, day: str, status: str) -> dict[str, Any]:
        item = {"linkId": "survival", "item": [{"linkId": "2", "answer": [{"valueDate": day}]}]}
        return {
            "resourceType": "QuestionnaireResponse",
            "id": id_,
            "questionnaire": f"{FORM_URL}|0.0.9",
            "status": status,
            "item": [item],
        }

    responses = [
        reported("a", "2026-04-22", "completed"),
        reported("b", "2026-04-30", "in-progress"),
        reported("c", "2026-03-01", "amended"),
    ]
    record = Record([Held(one) for one in responses], ZONE)
    assert last_contact(record, form()) == date(2026, 4, 22)
    assert last_contact(record, form(), date(2026, 4, 22)) == date(2026, 3, 1)


def test_neurotoxicity_knows_its_events() -> None:
    other = event("p", SCT, "127034005", "2026-02-01", text="pancytopenia")
    found = during(event("n", CONCEPT, "icans", "2026-01-16"), other)
    assert (value(found, "99"), value(found, "100")) == ("Yes", "2026-01-16")
    assert (value(found, "134"), value(found, "135")) == ("Yes", "pancytopenia")
