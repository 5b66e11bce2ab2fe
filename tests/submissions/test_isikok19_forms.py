"""The form over the ISIKOK-19 records: what the paper states is reported, what it leaves out stays empty."""

from __future__ import annotations

from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.settings import shipped
from service.submissions.populate import Occasion, Population, populate
from service.submissions.record import Held, Record
from service.trial.importer import read_study
from service.trial.quality import examine
from tests.submissions.records import NOW, ZONE, form, items, value

FOLDER = shipped("mappings", "isikok-19")
CR, PR, PD = "Complete response", "Partial response", "Disease progression or worsening of organ function"
NONE = "<no-resource>"

Resource = dict[str, Any]


@pytest.fixture(scope="module")
def populations(definitions: Definitions) -> dict[str, Population]:
    """The form of each treated subject, by identifier."""
    _, mapped, _ = read_study(definitions, FOLDER)
    resources = [one.resource for one in mapped]
    resources += examine(resources, FOLDER)
    found = {}
    for patient in (one for one in resources if one["resourceType"] == "Patient"):
        whom = {"reference": f"Patient/{patient['id']}"}
        mine = [one for one in resources if whom in (one.get("subject"), one.get("patient"))]
        mine += [one for one in resources if one.get("collection", {}).get("source") == whom]
        names = [{"reference": f"{one['resourceType']}/{one['id']}"} for one in mine]
        mine += [one for one in resources if any(name in one.get("implicated", ()) for name in names)]
        record = Record([Held(one, "1") for one in (patient, *mine)], ZONE)
        infusions = [one for one in mine if one["resourceType"] == "Procedure" and _is_infusion(one)]
        infusion = record.held[f"Procedure/{infusions[0]['id']}"] if infusions else None
        name = patient["identifier"][0]["value"]
        found[name] = populate(form(), patient, record, Occasion(NOW, infusion), ZONE)
    return found


def _is_infusion(procedure: Resource) -> bool:
    return any(coding["code"] == "car-t-infusion" for coding in procedure["code"].get("coding", ()))


# Table 1 of the paper: response, CRS, neurotoxicity; therapy of CRS by the text.
@pytest.mark.parametrize(
    ("subject", "response", "crs", "neurotoxicity", "drugs"),
    [
        ("ISIKOK19-001", PR, NONE, "Yes", []),
        ("ISIKOK19-002", CR, "Yes", NONE, ["tocilizumab"]),
        ("ISIKOK19-003", PD, "No", "No", []),
        ("ISIKOK19-004", PD, "No", "No", []),
        ("ISIKOK19-005", PR, "Yes", NONE, []),
        ("ISIKOK19-006", PR, "No", "No", []),
        ("ISIKOK19-007", CR, "Yes", "Yes", ["dexamethasone", "tocilizumab"]),
    ],
)
def test_form_says_what_table_1_says(
    populations: dict[str, Population], subject: str, response: str, crs: str, neurotoxicity: str, drugs: list[str]
) -> None:
    found = populations[subject]
    assert value(found, "1") == "Other product"
    assert (value(found, "9"), value(found, "76"), value(found, "99")) == (response, crs, neurotoxicity)
    given = items(found).get("79", {}).get("answer", [])
    assert sorted(answer["valueString"] for answer in given) == drugs


def test_no_date_is_made_up(populations: dict[str, Population]) -> None:
    assert len(populations) == 7
    for found in populations.values():
        answers = [answer for item in items(found).values() for answer in item.get("answer", [])]
        assert answers
        assert not any("valueDate" in answer for answer in answers)


def test_values_without_unit_and_date_are_no_peak(populations: dict[str, Population]) -> None:
    for found in populations.values():
        assert value(found, "182") == "<not-recorded>"
        assert value(found, "183") is None


def test_contradiction_of_the_paper_is_told(populations: dict[str, Population]) -> None:
    """Patient 6 is a responder without toxicity, although all responders are said to have had adverse events."""
    told = [issue.expression or "" for issue in populations["ISIKOK19-006"].issues if issue.rule == "source-in-doubt"]
    assert {expression.rpartition("linkId = ")[2] for expression in told} == {
        "'9')",
        "'76')",
        "'99')",
        "'131')",
        "'134')",
    }
    assert not [
        one for one in populations["ISIKOK19-001"].issues if one.rule == "source-in-doubt" and "'9'" in str(one)
    ]
