"""/jobs and /dead-letters: paged, cancelled, tried again, replayed; nothing of an input is shown."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.errors import Issue
from service.fhir.json import encode
from service.fhir.ledger import Enqueue, Step
from service.fhir.operations import Plan
from service.jobs import enqueue, letter
from service.store.database import Database
from tests.api.conftest import FHIR, rules
from tests.sync.pulling import LAB_SEARCH, SUBJECT, hospital, person, subject, value

KIND = "of-tomorrow"  # nobody here works on it
NAME = "Ayşe"


@pytest.fixture
def store(application: FastAPI) -> Database:
    database: Database = application.state.server.database
    return database


@pytest.fixture
async def jobs(store: Database) -> list[str]:
    """Seven waiting jobs, the newest first; the even ones have a Task."""
    for number in range(7):
        update, job = enqueue(KIND, {"name": NAME}, id=f"job-{number}")
        await store.write(Plan((update,) if number % 2 == 0 else (), jobs=(job,)))
    return [f"job-{number}" for number in reversed(range(7))]


@pytest.fixture
async def api(application: FastAPI, client: httpx.AsyncClient) -> Any:
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=FHIR) as opened:
        yield opened


async def state(store: Database, id_: str, end: str) -> None:
    """Lets a worker end the job."""
    await store.write(Plan((), jobs=(Enqueue(f"{id_}-first", f"{KIND}-{id_}", b"{}"),)))
    job = await store.claim([f"{KIND}-{id_}"], 60)
    assert job is not None
    await store.write(Plan((), jobs=(Step(job.lease, end),)))


async def test_jobs_are_paged_newest_first(api: httpx.AsyncClient, jobs: list[str]) -> None:
    found: list[str] = []
    url: dict[str, Any] = {"_count": 3, "kind": KIND}
    for expected in (3, 3, 1):
        answer = await api.get("/jobs", params=url)
        assert answer.status_code == 200
        assert NAME not in answer.text
        page = answer.json()
        assert len(page["jobs"]) == expected
        found += [one["id"] for one in page["jobs"]]
        if page["next"]:
            url = {**url, "cursor": page["next"]}
    assert found == jobs
    assert page["next"] is None


async def test_job_is_shown_without_its_input_and_with_the_task_that_it_has(
    api: httpx.AsyncClient, jobs: list[str]
) -> None:
    listed = {one["id"]: one for one in (await api.get("/jobs")).json()["jobs"]}
    for number, id_ in enumerate(reversed(jobs)):
        one = (await api.get(f"/jobs/{id_}")).json()
        assert one == listed[id_]
        assert (one["kind"], one["state"], one["attempts"]) == (KIND, "waiting", 0)
        assert one.get("task") == (f"Task/{id_}" if number % 2 == 0 else None)
        assert "input" not in one


async def test_every_job_of_a_long_list_has_its_task(api: httpx.AsyncClient, store: Database) -> None:
    made = [enqueue(KIND, {}) for _ in range(120)]
    await store.write(Plan(tuple(update for update, _ in made), jobs=tuple(job for _, job in made)))
    listed = (await api.get("/jobs?_count=200")).json()["jobs"]
    assert {one["task"] for one in listed} == {f"Task/{job.id}" for _, job in made}


async def test_jobs_are_found_by_state(api: httpx.AsyncClient, store: Database, jobs: list[str]) -> None:
    await state(store, "x", "failed")
    await api.post("/jobs/job-3/cancel")

    async def found(states: str) -> set[str]:
        return {one["id"] for one in (await api.get("/jobs", params={"state": states})).json()["jobs"]}

    assert await found("failed") == {"x-first"}
    assert await found("failed,cancelled") == {"x-first", "job-3"}
    assert await found("waiting") == set(jobs) - {"job-3"}
    assert await found("done") == set()


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("state=asleep", "invalid-parameter"),
        ("state=waiting,asleep", "invalid-parameter"),
        ("_count=0", "invalid-parameter"),
        ("_count=201", "invalid-parameter"),
        ("_count=x", "invalid-parameter"),
        ("_count=²", "invalid-parameter"),
        ("cursor=x", "unknown-cursor"),
        ("cursor=", "unknown-cursor"),
    ],
)
async def test_malformed_list_is_refused(api: httpx.AsyncClient, query: str, rule: str) -> None:
    answer = await api.get(f"/jobs?{query}")
    assert (answer.status_code, rules(answer)) == (400, {rule})


async def test_cancelled_job_is_tried_again_and_its_task_tells(api: httpx.AsyncClient, jobs: list[str]) -> None:
    for action, here, there in (("cancel", "cancelled", "cancelled"), ("retry", "waiting", "requested")):
        answer = await api.post(f"/jobs/job-2/{action}")
        assert (answer.status_code, answer.json()["state"]) == (200, here)
        task = (await api.get("/fhir/Task/job-2")).json()
        assert (task["status"], "person" in task["statusReason"]["text"]) == (there, True)
    quiet = await api.post("/jobs/job-1/cancel")
    assert (quiet.status_code, quiet.json()["state"]) == (200, "cancelled")
    assert (await api.get("/fhir/Task/job-1")).status_code == 404


@pytest.mark.parametrize(
    ("end", "action", "status"),
    [("done", "cancel", 409), ("done", "retry", 409), ("failed", "cancel", 409), ("failed", "retry", 200)],
)
async def test_job_that_has_ended_is_only_tried_again_where_it_failed(
    api: httpx.AsyncClient, store: Database, end: str, action: str, status: int
) -> None:
    await state(store, "x", end)
    answer = await api.post(f"/jobs/x-first/{action}")
    assert answer.status_code == status
    if status == 409:
        assert rules(answer) == {"job-state"}
        assert (await api.get("/jobs/x-first")).json()["state"] == end


async def test_job_that_waits_or_runs_is_not_tried_again(
    api: httpx.AsyncClient, store: Database, jobs: list[str]
) -> None:
    assert rules(await api.post("/jobs/job-2/retry")) == {"job-state"}
    assert await store.claim([KIND], 60) is not None
    assert rules(await api.post("/jobs/job-0/retry")) == {"job-state"}
    task = (await api.get("/fhir/Task/job-0")).json()
    assert task["meta"]["versionId"] == "1"


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "/jobs/none"),
        ("POST", "/jobs/none/cancel"),
        ("POST", "/jobs/none/retry"),
        ("GET", "/dead-letters/none"),
        ("DELETE", "/dead-letters/none"),
        ("POST", "/dead-letters/none/replay"),
    ],
)
async def test_unknown_job_or_letter_is_404(api: httpx.AsyncClient, method: str, url: str) -> None:
    answer = await api.request(method, url)
    assert answer.status_code == 404
    assert rules(answer) in ({"unknown-job"}, {"unknown-letter"})


async def keep(store: Database, *contents: dict[str, Any], kind: str = "sync-pull") -> list[str]:
    issue = Issue("structure", "It has no status", "Observation.status", "required-missing")
    notes = [letter(kind, "north", f"Observation/{one['id']}", encode(one), [issue]) for one in contents]
    await store.write(Plan((), notes=tuple(notes)))
    return [note.key for note in notes]


async def test_dead_letters_are_paged_oldest_first_without_their_content(
    api: httpx.AsyncClient, store: Database
) -> None:
    ids = [id_ for number in range(5) for id_ in await keep(store, value(f"o{number}", note=[{"text": NAME}]))]
    found: list[str] = []
    after = ""
    for expected in (2, 2, 1):
        answer = await api.get("/dead-letters", params={"_count": 2, "after": after})
        assert NAME not in answer.text
        page = answer.json()
        assert len(page["letters"]) == expected
        found += [one["id"] for one in page["letters"]]
        after = page["next"] or ""
    assert (found, after) == (sorted(ids), "")  # an id begins with the millisecond
    assert page["letters"][0]["issues"][0]["expression"] == ["Observation.status"]


async def test_dead_letter_has_its_content_byte_by_byte_until_it_is_discarded(
    api: httpx.AsyncClient, store: Database
) -> None:
    from base64 import b64decode

    sent = value("o1", number="4.250")
    (id_,) = await keep(store, sent)
    one = (await api.get(f"/dead-letters/{id_}")).json()
    assert b64decode(one["content"]) == encode(sent)
    assert (one["source"], one["place"], one["kind"]) == ("north", "Observation/o1", "sync-pull")
    assert [(await api.delete(f"/dead-letters/{id_}")).status_code for _ in range(2)] == [204, 404]
    assert (await api.get("/dead-letters")).json() == {"letters": [], "next": None}


async def test_letter_that_nobody_can_replay_stays(api: httpx.AsyncClient, store: Database) -> None:
    (id_,) = await keep(store, value("o1"), kind=KIND)
    assert rules(await api.post(f"/dead-letters/{id_}/replay")) == {"unknown-letter"}
    assert (await api.get(f"/dead-letters/{id_}")).status_code == 200


async def test_replay_that_fails_keeps_the_letter_and_says_why_and_one_that_does_not_takes_it(
    api: httpx.AsyncClient, store: Database
) -> None:
    with hospital([person("p1", "ISIKOK19-001")]) as (_, base):
        given = {"base": base, "patient_systems": [SUBJECT], "pull": [LAB_SEARCH]}
        assert (await api.put("/sync/connections/north", json=given)).status_code == 200
        (id_,) = await keep(store, value("o1"))
        refused = await api.post(f"/dead-letters/{id_}/replay")
        assert (refused.status_code, rules(refused)) == (409, {"patient-not-linked"})
        kept = (await api.get(f"/dead-letters/{id_}")).json()
        assert kept["issues"] == refused.json()["issue"]

        one = subject("ISIKOK19-001")
        assert (await api.put(f"/fhir/Patient/{one['id']}", json=one)).status_code == 201
        taken = await api.post(f"/dead-letters/{id_}/replay")
        assert taken.status_code == 200, taken.text
        (written,) = [one for one in taken.json()["written"] if one.startswith("Observation/")]
        assert (await api.get(f"/fhir/{written}")).json()["valueQuantity"]["value"] == 255
        assert (await api.get(f"/dead-letters/{id_}")).status_code == 404
        assert rules(await api.post(f"/dead-letters/{id_}/replay")) == {"unknown-letter"}


async def test_replay_while_the_other_side_is_away_leaves_the_reasons_as_they_were(
    api: httpx.AsyncClient, store: Database
) -> None:
    with hospital([person("p1", "ISIKOK19-001")]) as (_, base):
        given = {"base": base, "patient_systems": [SUBJECT], "pull": [LAB_SEARCH]}
        assert (await api.put("/sync/connections/north", json=given)).status_code == 200
    (id_,) = await keep(store, value("o1"))
    before = (await api.get(f"/dead-letters/{id_}")).json()
    assert (await api.post(f"/dead-letters/{id_}/replay")).status_code == 502
    assert (await api.get(f"/dead-letters/{id_}")).json() == before
