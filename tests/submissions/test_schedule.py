"""Which reports are owed and when: by the table of due dates, for new, moved, doubled and lost infusions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.errors import PreconditionFailed
from service.fhir import search
from service.fhir.operations import Plan, Update
from service.store.database import Database
from service.submissions.plan_definitions import CIBMTR, known_plans, reports
from service.submissions.schedule import (
    STATUS,
    in_state,
    infused_on,
    infusion_of,
    input_of,
    obligation_id,
    obligations,
    plan,
    state_of,
)
from tests.submissions.records import infusion, stored

PLAN = known_plans()[CIBMTR]
DAY = date(2026, 1, 10)
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
# The reference's due dates, in days after the infusion.
DUE = {
    ("4000", "day-0"): 30,
    ("4003", "day-0"): 45,
    ("4006", "day-0"): 45,
    ("4100", "day-100"): 130,
    ("4100", "month-6"): 225,
}

Resource = dict[str, Any]


def named(tasks: list[Resource]) -> dict[tuple[str, str], Resource]:
    return {(input_of(task, "form"), input_of(task, "time-point")): task for task in tasks}


def owed(day: str | None = "2026-01-10", today: date = date(2026, 5, 1)) -> dict[tuple[str, str], Resource]:
    return named(obligations(PLAN, "Patient/p", infusion(day), today))


def test_plan_is_valid_and_has_a_report_a_year_for_fifteen_years(definitions: Definitions) -> None:
    assert Validator(definitions).check(PLAN) == []
    points = [one.point for one in reports(PLAN) if one.form == "4100"]
    assert points == ["day-100", "month-6", *(f"year-{year}" for year in range(1, 16))]


def test_due_dates_are_those_of_cibmtr() -> None:
    for name, days in DUE.items():
        assert owed()[name]["restriction"]["period"]["end"] == (DAY + timedelta(days)).isoformat()
    year = owed()["4100", "year-1"]["restriction"]["period"]
    assert year == {"start": "2027-01-10", "end": "2027-03-11"}


@pytest.mark.parametrize(
    ("today", "state"), [(date(2026, 4, 19), "NOTDUE"), (date(2026, 4, 20), "DUE"), (date(2026, 9, 1), "DUE")]
)
def test_report_is_due_from_its_time_point_on(today: date, state: str) -> None:
    task = owed(today=today)["4100", "day-100"]
    assert (state_of(task), task["status"]) == (state, STATUS[state])


def test_report_speaks_of_the_time_since_the_one_before() -> None:
    periods = [input_of(owed()["4100", point], "period") for point in ("day-100", "month-6", "year-1")]
    assert [one["start"] for one in periods] == ["2026-01-10", "2026-04-20", "2026-07-09"]
    assert [one["end"] for one in periods] == ["2026-05-20", "2026-08-23", "2027-03-11"]


@pytest.mark.parametrize("day", [None, "2026", "2026-01"])
def test_infusion_without_a_whole_date_gives_reports_without_due_dates(day: str | None) -> None:
    tasks = owed(day)
    assert len(tasks) == len(owed())
    assert {state_of(task) for task in tasks.values()} == {"NOTDUE"}
    assert all("restriction" not in task and "statusReason" in task for task in tasks.values())


def test_obligations_are_valid_and_have_ids_of_their_own(definitions: Definitions) -> None:
    validator = Validator(definitions)
    tasks = [*owed().values(), *owed(None).values()]
    assert [issue for task in tasks for issue in validator.check(task)] == []
    ids = {task["id"] for task in tasks}
    assert len(ids) == len(reports(PLAN))
    assert owed()["4100", "day-100"]["id"] == obligation_id("Patient/p", "4100", "day-100")
    assert not ids & {task["id"] for task in obligations(PLAN, "Patient/q", infusion(), DAY)}


@pytest.mark.parametrize("state", sorted(STATUS))
def test_states_have_the_status_of_the_table(definitions: Definitions, state: str) -> None:
    task = in_state(owed()["4100", "day-100"], state, "for a reason")
    assert Validator(definitions).check(task) == []
    wrong = {**task, "status": "in-progress"}
    assert [issue.rule for issue in Validator(definitions).check(wrong)] == ["cf-submission-state"]


@given(st.dates(date(2019, 1, 1), date(2040, 1, 1)), st.integers(-400, 7000))
def test_windows_follow_the_infusion_and_open_once(day: date, offset: int) -> None:
    today = day + timedelta(offset)
    for task in obligations(PLAN, "Patient/p", infusion(day.isoformat()), today):
        window = task["restriction"]["period"]
        assert day.isoformat() <= window["start"] < window["end"]
        assert (state_of(task) == "DUE") == (window["start"] <= today.isoformat())


def test_first_infusion_counts() -> None:
    several = [infusion("2026-03-01", id="b"), infusion("2026-01-10", id="a"), infusion(None, id="c")]
    first = infusion_of([*several, infusion("2020-01-01", id="d", status="not-done")])
    assert first is not None
    assert first["id"] == "a"
    assert infusion_of([]) is None
    spread = infusion(None, performedPeriod={"start": "2026-01-10T09:00:00+03:00", "end": "2026-01-12"})
    assert infused_on(spread) == DAY


async def put(database: Database, *resources: Resource) -> None:
    await database.write(Plan(tuple(map(Update, resources))))


async def tasks_of(database: Database) -> dict[tuple[str, str], Resource]:
    query = search.parse("Task", [("_count", "1000")], database.parameters, zone=database.zone, max_count=1000)
    return named([one async for one in database.resources(query)])


async def provenances_of(database: Database, task: Resource) -> list[Resource]:
    pairs = [("target", f"Task/{task['id']}")]
    query = search.parse("Provenance", pairs, database.parameters, zone=database.zone)
    return [one async for one in database.resources(query)]


async def scheduled(database: Database, now: datetime = NOW) -> int:
    """Plans and writes; how many Tasks and Provenances were written."""
    found = await plan(database, now)
    if found is None:
        return 0
    return len(await database.write(found))


async def test_plan_writes_what_is_owed_once(database: Database) -> None:
    assert await plan(database, NOW) is None
    await put(database, *stored())
    assert await scheduled(database) == len(reports(PLAN))
    assert await scheduled(database) == 0
    found = await tasks_of(database)
    states = {name: state_of(task) for name, task in found.items()}
    assert states["4100", "day-100"] == "DUE"
    assert states["4100", "month-6"] == "NOTDUE"


async def test_window_that_opens_makes_a_report_due_and_nothing_else(database: Database) -> None:
    await put(database, *stored())
    await scheduled(database)
    assert await scheduled(database, NOW + timedelta(days=90)) == 1
    task = (await tasks_of(database))["4100", "month-6"]
    assert (state_of(task), task["meta"]["versionId"]) == ("DUE", "2")
    assert await provenances_of(database, task) == []


async def test_moved_infusion_moves_due_dates_with_provenance(database: Database, definitions: Definitions) -> None:
    await put(database, *stored())
    await scheduled(database)
    before = await tasks_of(database)
    sent = in_state(before["4000", "day-0"], "RCV")
    asked = in_state(before["4003", "day-0"], "QRY", "a question")
    await put(database, sent, asked, infusion("2026-03-15"))
    written = await scheduled(database)
    after = await tasks_of(database)
    assert written == 2 * (len(before) - 1)
    assert await scheduled(database) == 0
    assert after["4100", "day-100"]["restriction"]["period"]["end"] == "2026-07-23"
    assert state_of(after["4100", "day-100"]) == "NOTDUE"
    kept = after["4000", "day-0"]
    assert kept["restriction"] == before["4000", "day-0"]["restriction"]
    assert state_of(kept) == "RCV"
    assert after["4003", "day-0"]["statusReason"] == {"text": "a question"}
    assert after["4003", "day-0"]["restriction"]["period"]["end"] == "2026-04-29"
    (told,) = await provenances_of(database, after["4100", "day-100"])
    assert Validator(definitions).check(told) == []
    assert [one["what"]["reference"] for one in told["entity"]] == [
        f"Task/{after['4100', 'day-100']['id']}/_history/1",
        "Procedure/infusion/_history/2",
    ]
    assert await provenances_of(database, kept) == []


async def test_infusion_moved_twice_has_a_provenance_each_time(database: Database) -> None:
    await put(database, *stored())
    await scheduled(database)
    for day in ("2026-03-15", "2026-01-10"):
        await put(database, infusion(day))
        assert await scheduled(database) > 0
    task = (await tasks_of(database))["4100", "day-100"]
    assert len(await provenances_of(database, task)) == 2


async def test_infusion_that_gets_its_date_gets_due_dates(database: Database) -> None:
    await put(database, *stored(day=None))
    await scheduled(database)
    assert all("restriction" not in task for task in (await tasks_of(database)).values())
    await put(database, infusion())
    await scheduled(database)
    task = (await tasks_of(database))["4100", "day-100"]
    assert (state_of(task), "statusReason" in task) == ("DUE", False)


async def test_infusion_that_is_gone_voids_what_was_not_sent_until_it_is_back(database: Database) -> None:
    await put(database, *stored())
    await scheduled(database)
    sent = in_state((await tasks_of(database))["4000", "day-0"], "CMP")
    await put(database, sent, infusion(status="entered-in-error"))
    await scheduled(database)
    states = {name: state_of(task) for name, task in (await tasks_of(database)).items()}
    assert states.pop(("4000", "day-0")) == "CMP"
    assert set(states.values()) == {"VOID"}
    assert await scheduled(database) == 0
    await put(database, infusion())
    await scheduled(database)
    states = {name: state_of(task) for name, task in (await tasks_of(database)).items()}
    assert states["4100", "day-100"] == "DUE"
    assert states["4000", "day-0"] == "CMP"
    assert await scheduled(database) == 0


async def test_what_others_put_into_a_task_stays(database: Database) -> None:
    await put(database, *stored())
    await scheduled(database)
    task = (await tasks_of(database))["4100", "day-100"]
    extra = {"type": {"text": "remark"}, "valueString": "x"}
    note = [{"text": "call the registry"}]
    await put(database, {**task, "note": note, "input": [*task["input"], extra]}, infusion("2026-01-11"))
    await scheduled(database)
    after = (await tasks_of(database))["4100", "day-100"]
    assert after["note"] == note
    assert after["input"][-1] == extra
    assert after["restriction"]["period"]["end"] == "2026-05-21"


async def test_plan_of_a_store_that_changed_meanwhile_is_refused(database: Database) -> None:
    await put(database, *stored())
    await scheduled(database)
    await put(database, infusion("2026-02-01"))
    first = await plan(database, NOW)
    assert first is not None
    await database.write(first)
    with pytest.raises(PreconditionFailed):
        await database.write(first)
    assert await plan(database, NOW) is None


async def test_patient_of_a_waived_report_is_left_alone(database: Database) -> None:
    await put(database, *stored())
    await scheduled(database)
    waived = in_state((await tasks_of(database))["4100", "year-1"], "LTF", "moved abroad")
    await put(database, waived)
    await put(database, infusion("2026-02-01"))
    await scheduled(database)
    task = (await tasks_of(database))["4100", "year-1"]
    assert (state_of(task), task["statusReason"]) == ("LTF", {"text": "moved abroad"})
    assert task["status"] == "cancelled"
