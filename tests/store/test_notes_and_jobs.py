"""Notes and jobs: written with their plan or not at all, leased by one worker at a time."""

from __future__ import annotations

import asyncio
import time

import pytest

from service.errors import CartFhirError, Conflict, NotFound
from service.fhir.ledger import Command, Enqueue, Note, Step
from service.fhir.operations import Create, Delete, Plan, Read, Update
from service.settings import Settings
from service.store.database import Database

PATIENT = {"resourceType": "Patient", "id": "p", "active": True}


def note(key: str, content: bytes | None, **condition: bytes | None) -> Plan:
    return Plan((), notes=(Note("room", key, content, **condition),))


async def enqueue(database: Database, id_: str, **more: object) -> None:
    await database.write(Plan((), jobs=(Enqueue(id_, "kind", b"{}", **more),)))


async def test_note_is_read_replaced_and_taken_away(database: Database) -> None:
    await database.write(note("a", b"1"))
    await database.write(note("a", b"2", if_is=b"1"))
    assert await database.note("room", "a") == b"2"
    await database.write(note("a", None))
    assert await database.note("room", "a") is None


async def test_note_that_is_not_as_expected_fails_its_plan(database: Database) -> None:
    await database.write(note("a", b"1"))
    plan = Plan((Update(PATIENT),), notes=(Note("room", "a", b"3", b"2"), Note("room", "b", b"3")))
    with pytest.raises(Conflict) as caught:
        await database.write(plan)
    assert caught.value.issues[0].rule == "note-changed"
    assert await database.notes("room") == [("a", b"1")]
    with pytest.raises(NotFound):
        await database.read("Patient", "p")


async def test_failing_plan_keeps_neither_notes_nor_jobs(database: Database) -> None:
    plan = Plan((Read("Patient", "none"),), notes=(Note("room", "a", b"1"),), jobs=(Enqueue("j", "kind", b"{}"),))
    with pytest.raises(NotFound):
        await database.write(plan)
    assert await database.note("room", "a") is None
    assert await database.jobs() == []


async def test_one_of_many_that_expect_the_same_note_wins(database: Database) -> None:
    plans = [note("a", str(number).encode(), if_is=None) for number in range(30)]
    done = await asyncio.gather(*map(database.write, plans), return_exceptions=True)
    assert sum(not isinstance(one, CartFhirError) for one in done) == 1


async def test_notes_are_listed_by_key(database: Database) -> None:
    keys = ["b/2", "a/1", "b/1", "b/10", "c"]
    await database.write(Plan((), notes=tuple(Note("room", key, key.encode()) for key in keys)))
    assert [key for key, _ in await database.notes("room", "b/")] == ["b/1", "b/10", "b/2"]
    assert [key for key, _ in await database.notes("room", after="b/10", count=1)] == ["b/2"]
    assert await database.notes("other") == []
    assert await database.notes_of("room", ["c", "none", "a/1"]) == {"c": b"c", "a/1": b"a/1"}


async def test_job_is_claimed_once_and_done(database: Database) -> None:
    await enqueue(database, "j")
    claimed = await asyncio.gather(*(database.claim(["kind"], 60) for _ in range(8)))
    (job,) = [one for one in claimed if one is not None]
    assert (job.state, job.input, job.checkpoint) == ("running", b"{}", None)
    await database.write(Plan((Create(PATIENT),), jobs=(Step(job.lease, checkpoint=b"1"),)))
    await database.write(Plan((), jobs=(Step(job.lease, "done"),)))
    found = await database.job("j")
    assert (found.state, found.checkpoint) == ("done", b"1")
    assert await database.claim(["kind"], 60) is None


async def test_step_of_a_worker_that_lost_its_lease_fails_with_its_data(database: Database) -> None:
    await enqueue(database, "j")
    first = await database.claim(["kind"], 0)
    await asyncio.sleep(0.01)
    second = await database.claim(["kind"], 60)
    assert first is not None
    assert second is not None
    assert first.token < second.token
    with pytest.raises(Conflict) as caught:
        await database.write(Plan((Update(PATIENT),), jobs=(Step(first.lease, checkpoint=b"x"),)))
    assert caught.value.issues[0].rule == "lease-lost"
    with pytest.raises(NotFound):
        await database.read("Patient", "p")
    assert not await database.renew(first.lease, 60)
    assert await database.renew(second.lease, 60)
    await database.write(Plan((Update(PATIENT),), jobs=(Step(second.lease, "done"),)))


async def test_job_that_waits_is_claimed_when_it_is_due(database: Database) -> None:
    due = time.time_ns() // 1000 + 300_000
    await enqueue(database, "j", due=due)
    assert await database.claim(["kind"], 60) is None
    assert not await database.is_due(["kind"])
    await asyncio.sleep(0.35)
    assert await database.is_due(["kind"])
    assert not await database.is_due(["other"])
    assert await database.claim(["kind"], 60) is not None


async def test_job_of_the_same_name_is_refused_while_one_lives(database: Database) -> None:
    await enqueue(database, "a", alone="x")
    await enqueue(database, "a", alone="x")
    with pytest.raises(Conflict) as caught:
        await enqueue(database, "b", alone="x")
    assert caught.value.issues[0].rule == "job-under-way"
    await database.write(Plan((), jobs=(Command("a", "cancel"), Enqueue("b", "kind", b"{}", alone="x"))))
    with pytest.raises(Conflict):
        await database.write(Plan((), jobs=(Command("a", "retry"),)))
    assert {job.id: job.state for job in await database.jobs()} == {"a": "cancelled", "b": "waiting"}


async def test_cancelled_job_stops_its_worker_and_can_be_tried_again(database: Database) -> None:
    await enqueue(database, "j")
    job = await database.claim(["kind"], 60)
    assert job is not None
    await database.write(Plan((), jobs=(Command("j", "cancel"),)))
    with pytest.raises(Conflict) as caught:
        await database.write(Plan((), jobs=(Step(job.lease, "done"),)))
    assert caught.value.issues[0].rule == "job-cancelled"
    with pytest.raises(Conflict):
        await database.write(Plan((), jobs=(Command("j", "cancel"),)))
    await database.write(Plan((), jobs=(Command("j", "retry"),)))
    again = await database.claim(["kind"], 60)
    assert again is not None
    assert again.token == job.token + 1


async def test_unknown_job_is_not_found(database: Database) -> None:
    for plan in (Plan((), jobs=(Command("none", "cancel"),)),):
        with pytest.raises(NotFound):
            await database.write(plan)
    with pytest.raises(NotFound):
        await database.job("none")


async def test_jobs_are_paged_newest_first(database: Database) -> None:
    for number in range(5):
        await enqueue(database, f"j{number}")
    first = await database.jobs(count=3)
    rest = await database.jobs(before=(first[-1].created, first[-1].id))
    assert [job.id for job in first + rest] == ["j4", "j3", "j2", "j1", "j0"]
    assert await database.jobs("other") == []
    assert [job.id for job in await database.jobs(states=("waiting",), count=1)] == ["j4"]


async def test_several_stores_share_the_jobs(database: Database, settings: Settings, definitions: object) -> None:
    other = await Database.open(settings, definitions)  # type: ignore[arg-type]
    try:
        for number in range(20):
            await enqueue(database, f"j{number}")
        taken = await asyncio.gather(*((database, other)[n % 2].claim(["kind"], 60) for n in range(24)))
        ids = [job.id for job in taken if job is not None]
        assert sorted(ids) == sorted({f"j{number}" for number in range(20)})
    finally:
        await other.close()


async def test_changes_come_in_the_order_of_their_commits(database: Database) -> None:
    for number in range(3):
        await database.write(Plan((Update(PATIENT | {"active": bool(number % 2)}),)))
        await database.write(Plan((Create({"resourceType": "Device"}), Create({"resourceType": "Basic", "code": {}}))))
    await database.write(Plan((Delete("Patient", "p"),)))
    first = await database.changes(["Patient", "Device"], 0, 4)
    rest = await database.changes(["Patient", "Device"], first[-1][0], 100)
    assert [seq for seq, _ in first + rest] == sorted(seq for seq, _ in first + rest)
    found = [(one.type, one.version, one.content is None) for _, one in first + rest]
    patients = [("Patient", version, False) for version in (1, 2, 3)]
    assert found == [pair for one in patients for pair in (one, ("Device", 1, False))] + [("Patient", 4, True)]
    assert await database.changes(["Patient"], rest[-1][0], 10) == []
