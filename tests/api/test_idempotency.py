"""Idempotency-Key: the second time there is no second effect, and the first answer comes again."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.conformance.definitions import Definitions
from service.settings import Settings
from service.store.engine import connect
from tests.api.conftest import FHIR, issues, observation, patient, rules
from tests.api.test_bundles import URN, bundle, get, post

KEY = {"idempotency-key": "6f0f2c1e-6d0a-4f0e-9d68-0d6f5f6b1c01"}
TOLD = ("etag", "last-modified", "location", "content-type")


async def written(client: httpx.AsyncClient) -> int:
    return (await client.get("/_history")).json()["total"]


def same(first: httpx.Response, second: httpx.Response) -> None:
    """Status, headers and body of the second answer are those of the first, and it says that it is a replay."""
    assert second.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert [second.headers.get(name) for name in TOLD] == [first.headers.get(name) for name in TOLD]


async def test_create_with_the_same_key_answers_the_same_and_writes_once(client: httpx.AsyncClient) -> None:
    first, second = [await client.post("/Patient", json=patient(), headers=KEY) for _ in range(2)]
    assert first.status_code == 201
    same(first, second)
    assert await written(client) == 1


async def test_create_replayed_after_an_update_answers_with_the_version_of_then(client: httpx.AsyncClient) -> None:
    first = await client.post("/Patient", json=patient(), headers=KEY)
    id_ = first.json()["id"]
    assert (await client.put(f"/Patient/{id_}", json=patient(id=id_, gender="male"))).status_code == 200
    assert (await client.delete(f"/Patient/{id_}")).status_code == 204
    same(first, await client.post("/Patient", json=patient(), headers=KEY))


@pytest.mark.parametrize("change", ["body", "path", "query", "condition"])
async def test_key_of_another_request_is_refused(client: httpx.AsyncClient, change: str) -> None:
    assert (await client.post("/Patient", json=patient(), headers=KEY)).status_code == 201
    sent = patient(gender="male") if change == "body" else patient()
    path = {"path": "", "query": "/Patient?_format=json"}.get(change, "/Patient")
    headers = KEY | ({"if-none-exist": "identifier=b"} if change == "condition" else {})
    answer = await client.post(path, json=sent, headers=headers)
    assert answer.status_code == 422
    assert rules(answer) == {"idempotency-key-reused"}
    assert await written(client) == 1


async def test_twenty_identical_posts_at_once_have_one_effect(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post("/Patient", json=patient(), headers=KEY) for _ in range(20)))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409}
    assert await written(client) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert answer.headers["retry-after"] == "1"
            assert issues(answer)[0]["code"] == "lock-error"
    first = next(a for a in answers if a.status_code == 201 and "idempotent-replayed" not in a.headers)
    same(first, await client.post("/Patient", json=patient(), headers=KEY))


async def test_two_services_over_one_store_have_one_effect(settings: Settings, definitions: Definitions) -> None:
    """Neither knows what the other is about: the write door alone decides."""
    apps = [create_app(settings, definitions) for _ in range(2)]
    async with apps[0].router.lifespan_context(apps[0]), apps[1].router.lifespan_context(apps[1]):
        clients = [
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test/fhir", headers=FHIR)
            for app in apps
        ]
        for number in range(8):
            key = {"idempotency-key": f"key-{number}"}
            first, second = await asyncio.gather(*(c.post("/Patient", json=patient(), headers=key) for c in clients))
            assert (first.status_code, second.status_code) == (201, 201)
            assert first.content == second.content
            assert ("idempotent-replayed" in first.headers) != ("idempotent-replayed" in second.headers)
        assert await written(clients[0]) == 8
        for client in clients:
            await client.aclose()


async def test_transaction_replays_writes_reads_and_searches(client: httpx.AsyncClient) -> None:
    sent = bundle(
        "transaction",
        post(observation(URN)),
        post(patient(), URN, ifNoneExist="identifier=a"),
        get("Patient?identifier=a&_include=Patient:organization"),
        {"request": {"method": "DELETE", "url": "Patient/nobody"}},
    )
    headers = KEY | {"prefer": "return=representation"}
    first = await client.post("", json=sent, headers=headers)
    assert first.status_code == 200
    assert (await client.post("/Patient", json=patient())).status_code == 201  # found by a search of now
    same(first, await client.post("", json=sent, headers=headers))
    assert await written(client) == 3


async def test_key_survives_a_restart(settings: Settings, definitions: Definitions) -> None:
    answers = []
    for _ in range(2):
        app = create_app(settings, definitions)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test/fhir", headers=FHIR) as client,
        ):
            answers.append(await client.post("", json=bundle("transaction", post(patient())), headers=KEY))
            assert await written(client) == 1
    same(*answers)


async def test_refused_request_leaves_no_key(client: httpx.AsyncClient) -> None:
    bad = bundle("transaction", post(observation("Patient/p1")))
    assert (await client.post("", json=bad, headers=KEY)).status_code == 409
    assert (await client.put("/Patient/p1", json=patient(id="p1"))).status_code == 201
    again = await client.post("", json=bad, headers=KEY)
    assert (again.status_code, "idempotent-replayed" in again.headers) == (200, False)


async def test_batch_replays_every_answer_errors_included(client: httpx.AsyncClient) -> None:
    sent = bundle("batch", post(patient()), post(observation("Patient/p1")), get("Patient/nobody"), get("Patient"))
    first = await client.post("", json=sent, headers=KEY)
    assert [entry["response"]["status"][:3] for entry in first.json()["entry"]] == ["201", "409", "404", "200"]
    assert (await client.put("/Patient/p1", json=patient(id="p1"))).status_code == 201
    same(first, await client.post("", json=sent, headers=KEY))
    assert await written(client) == 2


async def test_batch_that_died_half_way_writes_only_the_rest(client: httpx.AsyncClient, settings: Settings) -> None:
    sent = bundle("batch", post(patient()), post(patient(gender="male")), post(patient(gender="female")))
    first = await client.post("", json=sent, headers=KEY)
    # As a kill between two commits leaves it: two entries are done, neither the third nor the batch is.
    lose(settings, 2)
    again = await client.post("", json=sent, headers=KEY)
    places = [[entry["response"]["location"] for entry in answer.json()["entry"]] for answer in (first, again)]
    assert len(set(places[0]) & set(places[1])) == 2
    assert await written(client) == 4
    other = await client.post("", json=bundle("batch", post(patient())), headers=KEY)
    assert rules(other) == {"idempotency-key-reused"}


def lose(settings: Settings, count: int) -> None:
    """Takes away the newest keys: that of the batch, whose results are the longest, and that of one entry."""
    engine = connect(settings.url())
    with engine.begin() as connection:
        order = "created DESC, length(result) DESC"
        keys = connection.exec_driver_sql(f"SELECT key FROM idempotency ORDER BY {order}").scalars().all()
        for key in keys[:count]:
            connection.exec_driver_sql(f"DELETE FROM idempotency WHERE key = '{key}'")
    engine.dispose()


async def test_old_keys_are_forgotten_and_removed(settings: Settings, definitions: Definitions) -> None:
    brief = settings.model_copy(update={"idempotency_hours": 0.3 / 3600})
    app = create_app(brief, definitions)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test/fhir", headers=FHIR) as client,
    ):
        for number in range(3):
            await client.post("/Patient", json=patient(), headers={"idempotency-key": f"{number}"})
        await client.post("/Patient", json=patient(), headers=KEY)
        await asyncio.sleep(0.4)
        answer = await client.post("/Patient", json=patient(gender="male"), headers=KEY)
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, False)
        assert await written(client) == 5
    engine = connect(settings.url())
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM idempotency").scalar_one() == 1
    engine.dispose()


@pytest.mark.parametrize("key", ["", "a b", "ü", "x" * 256, '"'])
async def test_malformed_key_is_refused(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.post("/Patient", json=patient(), headers={"idempotency-key": key.encode()})
    assert answer.status_code == 400
    assert rules(answer) == {"malformed-idempotency-key"}


async def test_key_is_kept_as_a_digest(client: httpx.AsyncClient, settings: Settings) -> None:
    await client.post("/Patient", json=patient(), headers={"idempotency-key": "Kanarya-7431"})
    engine = connect(settings.url())
    with engine.connect() as connection:
        rows: list[Any] = [tuple(row) for row in connection.exec_driver_sql("SELECT * FROM idempotency")]
    engine.dispose()
    assert len(rows) == 1
    assert "Kanarya" not in str(rows)
