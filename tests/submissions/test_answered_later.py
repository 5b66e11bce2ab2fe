"""Submissions that are answered later: 202, a poll that survives a restart, an answer that stays."""

from __future__ import annotations

import httpx

from service.app import create_app
from service.conformance.definitions import Definitions
from service.settings import Settings
from tests.submissions.conftest import FHIR, NDJSON, done, found, message, parts, receipt_of, report, rules, send
from tests.submissions.test_receiving import counts, lines

LATER = {"prefer": "respond-async"}


async def test_answer_that_comes_later_is_that_of_at_once(client: httpx.AsyncClient) -> None:
    kicked = await send(client, message(), **LATER)
    assert kicked.status_code == 202
    place = kicked.headers["content-location"]
    answers = [await done(client, place) for _ in range(3)]
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].content == (await send(client, message())).content
    assert (await send(client, message(), **LATER)).headers["content-location"] == place
    assert len(await found(client, "Observation")) == 1


async def test_refusal_that_comes_later_has_every_place(client: httpx.AsyncClient) -> None:
    kicked = await send(client, message(entries=report(status="banana")), **LATER)
    answer = await done(client, kicked.headers["content-location"])
    assert answer.status_code == 422
    header, (issue,), _ = parts(answer)
    assert header["response"]["code"] == "fatal-error"
    assert issue["expression"] == ["Bundle.entry[3].resource.status"]
    assert (await client.get(kicked.headers["content-location"])).content == answer.content


async def test_answer_is_forgotten_when_it_is_deleted(client: httpx.AsyncClient) -> None:
    place = (await send(client, message(), **LATER)).headers["content-location"]
    receipt = receipt_of(await done(client, place))
    assert (await client.delete(place)).status_code == 202
    for answer in (await client.get(place), await client.delete(place)):
        assert (answer.status_code, rules(answer.json()["issue"])) == (404, {"unknown-job"})
    assert (await client.get(f"/submissions/receipts/{receipt['id']}")).status_code == 200
    again = (await send(client, message(), **LATER)).headers["content-location"]
    assert again != place
    assert receipt_of(await done(client, again)) == receipt


async def test_bulk_that_is_answered_later_tells_every_line(client: httpx.AsyncClient) -> None:
    content = lines(message(), message("m2", report("2", status="banana")), b"", message("m3", report("3")), b"{")
    place = (await client.post("/submissions/bulk", content=content, headers=NDJSON | LATER)).headers[
        "content-location"
    ]
    answer = await done(client, place)
    assert counts(answer) == {"lines": 5, "accepted": 2, "repeated": 0, "refused": 2, "empty": 1}
    at_once = await client.post("/submissions/bulk", content=content, headers=NDJSON)
    assert counts(at_once) == {"lines": 5, "accepted": 0, "repeated": 2, "refused": 2, "empty": 1}


async def test_poll_survives_a_restart_and_a_cancel_stops(settings: Settings, definitions: Definitions) -> None:
    def client_of(app: object) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=FHIR)  # type: ignore[arg-type]

    idle = create_app(settings.model_copy(update={"workers": 0}), definitions)
    async with idle.router.lifespan_context(idle), client_of(idle) as client:
        place = (await send(client, message(), **LATER)).headers["content-location"]
        other = (await send(client, message("m2", report("2")), **LATER)).headers["content-location"]
        waiting = await client.get(place)
        assert (waiting.status_code, bool(waiting.headers["x-progress"])) == (202, True)
        assert (await client.delete(other)).status_code == 202
    working = create_app(settings, definitions)
    async with working.router.lifespan_context(working), client_of(working) as client:
        receipt_of(await done(client, place))
        assert (await client.get(other)).status_code == 404
        assert len(await found(client, "Observation")) == 1
