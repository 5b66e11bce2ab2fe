"""What leaves the house: a deterministic message, complete and of one subject, and everything that keeps it back."""

from __future__ import annotations

import csv
import io
from copy import deepcopy
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.errors import Unprocessable
from service.fhir.json import decode, encode
from service.submissions.envelope import digest
from service.submissions.laboratory import CENTRES, bundles, lab_refusals
from service.submissions.package import as_csv, make, refusals, sources
from service.submissions.plan_definitions import CIBMTR, known_plans
from service.submissions.populate import ANSWER_SOURCE, Occasion, populate
from service.submissions.record import Held, Record
from service.submissions.schedule import obligations
from tests.submissions.records import (
    CONCEPT,
    NOW,
    RESTRICTED,
    SCT,
    UNKNOWN,
    ZONE,
    concept,
    crs,
    form,
    observation,
    result,
    stored,
)

SENDER = {"name": "TEST", "endpoint": "https://site.example/fhir"}
REGISTRY = "https://registry.example/fhir"
ONGOING = concept("http://terminology.hl7.org/CodeSystem/adverse-event-outcome", "ongoing")
ALIVE = observation(
    "alive",
    CONCEPT,
    "vital-status",
    "2026-04-20",
    meta=RESTRICTED,
    category=[{"text": "Survival"}],
    valueCodeableConcept=concept(SCT, "438949009"),
)
FERRITIN = result(
    "ferritin",
    "2276-4",
    Decimal("900.50"),
    "ng/mL",
    "2026-01-15",
    meta=RESTRICTED,
    category=[concept("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory")],
)
PROFILE = "https://cart-fhir.example/fhir/StructureDefinition/trial-adverse-event"
TOXIC = crs(meta=RESTRICTED | {"profile": [PROFILE]}, outcome=ONGOING)

Resource = dict[str, Any]


@pytest.fixture(scope="module")
def validator(definitions: Definitions) -> Validator:
    return Validator(definitions)


def parts(version: str = "3") -> tuple[Resource, Resource, Resource, dict[str, Held]]:
    """Response, obligation, patient and record of a report at day 100."""
    resources = stored(ALIVE, FERRITIN, TOXIC)
    held = {f"{one['resourceType']}/{one['id']}": Held(one, version) for one in resources}
    record = Record(held.values(), ZONE)
    infused = held["Procedure/infusion"]
    occasion = Occasion(NOW, infused, date(2026, 1, 10), date(2026, 5, 20))
    response = populate(form(), resources[0], record, occasion, ZONE).response
    task = obligations(known_plans()[CIBMTR], "Patient/p", infused.resource, date(2026, 5, 1))[3]
    return response, task, resources[0], held


def package(made: datetime = NOW, **changes: Any) -> Resource:
    response, task, patient, held = parts()
    return make(changes.get("response", response), task, patient, held, sender=SENDER, to=REGISTRY, made=made)


def entry(bundle: Resource, type_: str) -> Resource:
    return next(one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == type_)


def asked(bundle: Resource, number: str) -> Resource:
    groups = entry(bundle, "QuestionnaireResponse")["item"]
    return next(item for group in groups for item in group["item"] if item["linkId"] == number)


def test_package_may_leave(validator: Validator) -> None:
    made = package()
    assert refusals(made, validator) == ()
    types = [one["resource"]["resourceType"] for one in made["entry"]]
    assert types[:4] == ["MessageHeader", "QuestionnaireResponse", "Task", "Patient"]
    assert sorted(types[4:]) == [
        "AdverseEvent",
        "BiologicallyDerivedProduct",
        "Observation",
        "Observation",
        "Procedure",
    ]
    assert entry(made, "QuestionnaireResponse")["status"] == "completed"


def test_package_brings_every_source_in_its_version() -> None:
    made = package()
    brought = {
        f"{one['resource']['resourceType']}/{one['resource']['id']}/_history/{one['resource']['meta']['versionId']}"
        for one in made["entry"][4:]
    }
    assert set(sources(entry(made, "QuestionnaireResponse"))) == brought - {"Procedure/infusion/_history/3"}


def test_package_is_deterministic_but_for_its_time() -> None:
    first, later = package(), package(NOW + timedelta(days=1))
    assert first == package()
    assert digest(first) == digest(later)
    assert first["id"] == later["id"]
    assert first["timestamp"] != later["timestamp"]
    reread = decode(encode(first))
    assert digest(reread) == digest(first)


def test_hash_counts_decimals_as_they_are_written() -> None:
    made = package()
    changed = deepcopy(made)
    (ferritin,) = [one["resource"] for one in changed["entry"] if one["resource"]["id"] == "ferritin"]
    ferritin["valueQuantity"]["value"] = Decimal("900.5")
    assert digest(changed) != digest(made)


def test_record_that_changed_since_is_not_sent() -> None:
    response, task, patient, _ = parts()
    *_, newer = parts("4")
    with pytest.raises(Unprocessable) as refused:
        make(response, task, patient, newer, sender=SENDER, to=REGISTRY, made=NOW)
    assert refused.value.issues[0].rule == "answer-source-missing"


def broken(change: Any) -> Resource:
    made = deepcopy(package())
    change(made)
    return made


def _gap(made: Resource) -> None:
    del asked(made, "4")["extension"]
    asked(made, "4")["text"] = "x"


def _option(made: Resource) -> None:
    asked(made, "76")["answer"][0]["valueCoding"] = {"system": "urn:x", "code": "yes"}


def _kind(made: Resource) -> None:
    asked(made, "2")["answer"][0]["valueString"] = asked(made, "2")["answer"][0].pop("valueDate")


def _twice(made: Resource) -> None:
    asked(made, "2")["answer"] *= 2


def _unasked(made: Resource) -> None:
    asked(made, "4")["linkId"] = "8"


def _off(made: Resource) -> None:
    asked(made, "76")["answer"][0]["valueCoding"] = next(
        one["valueCoding"]
        for group in form().questionnaire["item"]
        for item in group["item"]
        if item["linkId"] == "76"
        for one in item["answerOption"]
        if one["valueCoding"]["code"] == "no"
    )


def _source(made: Resource) -> None:
    made["entry"] = [one for one in made["entry"] if one["resource"]["id"] != "alive"]


def _other_subject(made: Resource) -> None:
    entry(made, "AdverseEvent")["subject"] = {"reference": "Patient/other"}


def _form(made: Resource) -> None:
    entry(made, "QuestionnaireResponse")["questionnaire"] = "urn:x"


def _units(made: Resource) -> None:
    asked(made, "183")["answer"][0]["valueQuantity"]["code"] = "mg/dL"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_gap, "answer-unexplained"),
        (_option, "answer-form"),
        (_kind, "answer-form"),
        (_twice, "answer-form"),
        (_unasked, "answer-unexplained"),
        (_off, "answer-unasked"),
        (_source, "answer-source-missing"),
        (_other_subject, "package-subject"),
        (_form, "form-unknown"),
        (_units, "answer-form"),
    ],
)
def test_package_that_must_not_leave(validator: Validator, change: Any, rule: str) -> None:
    found = refusals(broken(change), validator)
    assert rule in {issue.rule for issue in found}
    assert all((issue.expression or "").startswith("Bundle.entry") for issue in found)


def test_name_of_a_patient_never_leaves(validator: Validator) -> None:
    made = broken(lambda made: entry(made, "Patient").update(name=[{"family": "Somebody"}]))
    assert "package-subject" in {issue.rule for issue in refusals(made, validator)}
    assert all("Somebody" not in issue.text for issue in refusals(made, validator))


def test_violation_of_a_profile_keeps_a_package_back(validator: Validator) -> None:
    made = broken(lambda made: entry(made, "AdverseEvent").pop("outcome"))
    assert [issue.expression for issue in refusals(made, validator)] == ["Bundle.entry[4].resource.outcome"]


def test_csv_has_a_row_for_each_answer_and_each_gap() -> None:
    response = parts()[0]
    rows = {row["linkId"]: row for row in csv.DictReader(io.StringIO(as_csv(response)))}
    assert rows["3"]["answer"] == "Alive"
    assert rows["3"]["source"] == "Observation/alive/_history/3"
    assert (rows["183"]["answer"], rows["183"]["unit"]) == ("900.50", "ng/mL")
    assert (rows["4"]["answer"], rows["4"]["reason"]) == ("", "no-resource")
    asked_ = sum(len(group["item"]) for group in response["item"])
    assert len(rows) == asked_


def test_csv_holds_no_formula() -> None:
    answer = {"extension": [{"url": ANSWER_SOURCE, "valueReference": {"reference": "Observation/x"}}]}
    item = {"linkId": "79", "answer": [answer | {"valueString": "=1+1"}, answer | {"valueString": 'a,"b"'}]}
    rows = list(csv.reader(io.StringIO(as_csv({"item": [{"linkId": "toxicities", "item": [item]}]}))))
    assert [row[2] for row in rows[1:]] == ["'=1+1", 'a,"b"']


def labs(count: int) -> list[Resource]:
    days = [f"2026-01-{number % 28 + 1:02}" for number in range(count)]
    return [{**FERRITIN, "id": f"f{number:03}", "effectiveDateTime": day} for number, day in enumerate(days)]


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (50, [50]), (51, [50, 1]), (120, [50, 50, 20])])
def test_results_go_by_fifty_with_the_label_of_the_centre(validator: Validator, count: int, sizes: list[int]) -> None:
    made = bundles(labs(count), "rc_12345", {"reference": "https://cibmtr.example/Patient/1"})
    assert [len(one["entry"]) for one in made] == sizes
    for bundle in made:
        assert lab_refusals(bundle, validator) == ()
        for one in bundle["entry"]:
            assert {"system": CENTRES, "code": "rc_12345"} in one["resource"]["meta"]["security"]
            assert one["resource"]["subject"] == {"reference": "https://cibmtr.example/Patient/1"}
    values = {one["resource"]["identifier"][0]["value"] for bundle in made for one in bundle["entry"]}
    assert len(values) == count


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda bundle: bundle["entry"].extend(deepcopy(bundle["entry"])), "too-many-results"),
        (lambda bundle: bundle["entry"][0]["resource"]["meta"]["security"].pop(), "centre-label"),
        (lambda bundle: bundle["entry"][0]["resource"]["meta"]["security"][-1].update(code="rc_99999"), "centre-label"),
        (lambda bundle: bundle["entry"][0]["resource"]["meta"]["security"][-1].update(code="12345"), "centre-label"),
        (
            lambda bundle: bundle["entry"][0]["resource"].update(
                valueQuantity={"value": 1, "_unit": {"extension": [UNKNOWN]}}
            ),
            "not-a-result",
        ),
        (lambda bundle: bundle.update(type="batch"), "not-a-result"),
    ],
)
def test_results_that_cibmtr_would_refuse_are_not_sent(validator: Validator, change: Any, rule: str) -> None:
    (bundle,) = bundles(labs(30), "rc_12345")
    change(bundle)
    assert {issue.rule for issue in lab_refusals(bundle, validator)} == {rule}


def test_centre_is_rc_and_five_digits() -> None:
    with pytest.raises(Unprocessable) as refused:
        bundles(labs(1), "12345")
    assert refused.value.issues[0].rule == "centre-label"
