"""Time limits: a search that takes too long is stopped, a write that does is undone, and the service goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from service.app import create_app
from service.conformance.definitions import Definitions
from service.settings import Settings
from tests.api.conftest import FHIR, issues, patient, rules
from tests.api.test_bundles import bundle, post

MANY = 3000


@asynccontextmanager
async def served(settings: Settings, definitions: Definitions, **limits: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings.model_copy(update=limits), definitions)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test/fhir", headers=FHIR) as client,
    ):
        yield client


def named(number: int) -> dict[str, Any]:
    return post(patient(name=[{"family": f"Family {number}", "given": [f"Given {number}"]}]))


async def test_search_that_takes_too_long_is_stopped(settings: Settings, definitions: Definitions) -> None:
    async with served(settings, definitions) as client:
        assert (await client.post("", json=bundle("transaction", *map(named, range(MANY))))).status_code == 200
    async with served(settings, definitions, search_timeout_seconds=0.001) as client:
        nowhere = ",".join(f"x{number}" for number in range(50))
        for _ in range(2):  # the connection that was stopped is of use again, or another is
            answer = await client.get("/Patient", params={"name:contains": nowhere, "_total": "accurate"})
            assert answer.status_code == 503
            assert rules(answer) == {"search-timeout"}
            (issue,) = issues(answer)
            assert issue["code"] == "too-costly"
            assert "narrow" in issue["diagnostics"]
    async with served(settings, definitions) as client:
        answer = await client.get("/Patient", params={"name:contains": "family 17", "_summary": "count"})
        assert answer.json()["total"] > 0


async def test_write_that_takes_too_long_is_undone(settings: Settings, definitions: Definitions) -> None:
    async with served(settings, definitions, write_timeout_seconds=0.05) as client:
        answer = await client.post("", json=bundle("transaction", *map(named, range(MANY))))
        assert answer.status_code == 503
        assert rules(answer) == {"write-timeout"}
        assert issues(answer)[0]["code"] == "timeout"
        assert int(answer.headers["retry-after"]) > 0
        assert (await client.get("/_history")).json()["total"] == 0
    async with served(settings, definitions) as client:
        assert (await client.post("/Patient", json=patient())).status_code == 201
        assert (await client.get("/_history")).json()["total"] == 1


async def test_write_undone_for_its_time_leaves_no_key(settings: Settings, definitions: Definitions) -> None:
    sent, key = bundle("transaction", *map(named, range(MANY))), {"idempotency-key": "k"}
    async with served(settings, definitions, write_timeout_seconds=0.05) as client:
        assert (await client.post("", json=sent, headers=key)).status_code == 503
    async with served(settings, definitions) as client:
        answer = await client.post("", json=sent, headers=key)
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (200, False)
        assert (await client.get("/_history?_count=1")).json()["total"] == MANY


async def test_more_entries_than_allowed_are_refused_before_anything(
    settings: Settings, definitions: Definitions
) -> None:
    async with served(settings, definitions, max_bundle_entries=2) as client:
        answer = await client.post("", json=bundle("transaction", *map(named, range(3))))
        assert (answer.status_code, rules(answer)) == (400, {"too-many-entries"})
        assert issues(answer)[0]["code"] == "too-costly"
        assert (await client.get("/_history")).json()["total"] == 0
