"""`_filter`: R4's grammar to the same conditions, in both databases and in memory."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.conformance.definitions import Definitions
from service.errors import BadRequest
from service.fhir import filter
from service.fhir.conditions import chained
from service.fhir.criteria import Reading
from service.fhir.operations import Plan, Update
from service.store.database import Database
from tests.store.asking import ask, found
from tests.store.test_search import LABS, PATIENTS, UCUM, lab

CASES = [
    ("Patient", "gender eq female", "p1"),
    ("Patient", "gender ne female", "p2 p3"),
    ("Patient", 'family eq "isik"', "p1"),
    ("Patient", 'family sw "isik"', "p1 p2"),
    ("Patient", 'family co "hara"', "p3"),
    ("Patient", 'family ew "kci"', "p2"),
    ("Patient", 'family ne "isik"', "p2 p3"),
    ("Patient", "gender pr true", "p1 p2"),
    ("Patient", "gender pr false", "p3"),
    ("Patient", "birthdate ge 1999-05-05 and birthdate lt 2000", "p1 p2"),  # p1 was born some day of 1999
    ("Patient", "birthdate po 1999-05", "p1 p2"),
    ("Patient", "gender eq male or gender eq female", "p1 p2"),
    ("Patient", "gender eq male or gender eq female and birthdate eq 1999-05-05", "p2"),  # left to right
    ("Patient", "gender eq male or (gender eq female and birthdate eq 1999-05-05)", "p2"),
    ("Patient", "not (gender eq male)", "p1 p3"),
    ("Patient", "not (gender eq male or gender eq female)", "p3"),
    ("Patient", 'not(gender eq male) and family sw "i"', "p1"),
    ("Patient", "_id eq p2", "p2"),
    ("Patient", 'family eq "say \\"no\\""', ""),
    ("Observation", "code eq http://loinc.org|2276-4 and value-quantity gt 1000", "o1 o5"),
    ("Observation", f"value-quantity gt 600|{UCUM}|ng/mL", "o1 o2 o5"),
    ("Observation", "value-quantity ne 600", "o1 o2 o4 o5"),
    ("Observation", "combo-code eq 2276-4 and not (status eq final)", "o3 o5"),
    ("Observation", "subject eq Patient/p1", "o1 o2"),
    ("Observation", "patient re p2", "o3 o4 o5"),
    ("Observation", 'patient.family sw "isikci"', "o3 o4 o5"),
    ("Observation", 'subject.family eq "isik" and code eq 1988-5', "o2"),
    ("Observation", "not (patient.gender eq female)", "o3 o4 o5"),
    ("Observation", "status in http://hl7.org/fhir/ValueSet/observation-status", ""),  # a code without a system
    ("Observation", "date po 2021-03-05", "o3"),
]


@pytest.fixture
async def filled(database: Database) -> Database:
    people = [{"resourceType": "Patient", **one} for one in PATIENTS]
    await database.write(Plan(tuple(Update(resource) for resource in [*people, *(lab(*row) for row in LABS)])))
    return database


@pytest.mark.parametrize(("type_", "text", "expected"), CASES, ids=[q for _, q, _ in CASES])
async def test_filter_finds(filled: Database, type_: str, text: str, expected: str) -> None:
    assert await found(filled, type_, f"_filter={text}") == expected


async def test_filter_goes_with_other_parameters_and_paging(filled: Database) -> None:
    assert await found(filled, "Observation", "_filter=value-quantity gt 0&code=2276-4&_sort=-date") == "o1 o3 o5"
    query = ask(filled, "Observation", "_filter=value-quantity gt 0 or code eq x&_count=2")
    first = await filled.search(query)
    second = await filled.search(query, first.next)
    assert [one.id for one in (*first.matches, *second.matches)] == ["o1", "o2", "o3", "o4"]


REFUSED = [
    "gender", "gender eq", "gender is male", "gender eq male and", "(gender eq male", "gender eq male)",
    'family eq "x', "nope eq 1", "gender gt 3", "birthdate eq yesterday", "gender.family eq x", "not gender eq male",
    "gender pr perhaps", "link[type eq seealso].other eq Patient/1", "and", "()", "gender eq male gender eq female",
    "(" * 40 + "gender eq male" + ")" * 40, " or ".join(["gender eq male"] * 51), "_has:Observation:subject:code eq x",
    "near eq 1", "general-practitioner.nope eq 1",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED, ids=[text[:40] for text in REFUSED])
async def test_filter_that_is_malformed_is_refused(database: Database, text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        ask(database, "Patient", f"_filter={text}")
    assert refused.value.issues[0].rule == "invalid-parameter"
    assert "_filter" in refused.value.issues[0].text


WORDS = st.sampled_from(["gender", "eq", "male", "and", "or", "not", "(", ")", '"a"', "birthdate", "gt", "2021", "["])


@given(st.lists(WORDS, max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_filter_is_read_or_refused(definitions: Definitions, words: list[str]) -> None:
    text = " ".join(words)
    try:
        condition = filter.parse("Patient", text, Reading(definitions.search_parameters, UTC))
    except BadRequest:
        return
    assert not chained(condition)
    assert text.count("(") == text.count(")")
