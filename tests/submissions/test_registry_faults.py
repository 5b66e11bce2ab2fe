"""Registries that are set up wrong, broken or lying: nothing counts as sent, and the obligation says what and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from service.api.jobs import rooms_of
from service.fhir.json import decode
from service.submissions.envelope import digest
from tests.remote.certificates import Authority
from tests.remote.serving import fhir, free_port, outcome, serve
from tests.submissions.conftest import rules
from tests.submissions.registry import TASK, ended, owe, reached, state, submit, to, until

Resource = dict[str, Any]


@pytest.fixture
async def hospital(application: FastAPI, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a service that owes a report."""
    await owe(rooms_of(application.state.server))
    return client


def reply(sent: Resource, stated: str | None = None, **response: Any) -> Resource:
    """A message that answers the one that was sent, with a receipt that states a hash."""
    asked = sent["entry"][0]["resource"]
    header = {
        "resourceType": "MessageHeader",
        "id": "a",
        "eventCoding": asked["eventCoding"],
        "source": {"endpoint": "https://registry.example"},
        "response": {"identifier": asked["id"], "code": "ok"} | response,
    }
    told = {**outcome(severity="information"), "id": "o"}
    receipt = {"resourceType": "Basic", "id": "r", "identifier": [{"value": stated}], "code": {"text": "Receipt"}}
    resources = [header, told, *([receipt] if stated else [])]
    return {"resourceType": "Bundle", "type": "message", "entry": [{"resource": one} for one in resources]}


async def broken(kind: str, request: Request) -> Response:
    """What such a registry answers."""
    sent = decode(await request.body(), 100)
    own = digest(sent).removeprefix("sha256:")
    if kind == "html":
        return Response("<!doctype html><html>Log in</html>", 200, media_type="text/html")
    if kind == "other hash":
        return fhir(reply(sent, "0" * 64))
    if kind == "other message":
        return fhir(reply(sent, own, identifier="another"))
    if kind == "no message":
        return fhir({"resourceType": "Patient", "id": "1"})
    if kind == "nowhere to ask":
        return Response(status_code=202)
    if kind == "login":
        return fhir(outcome("login"), 401)
    return Response("Not here", 404, media_type="text/plain")


@pytest.mark.parametrize(
    "kind,words",
    [
        ("html", "200: the answer is HTML, not FHIR in JSON"),
        ("other hash", "its receipt states another hash"),
        ("other message", "the answer is to another message"),
        ("no message", "the answer is Patient, not a message"),
        ("nowhere to ask", "did not say where to ask"),
        ("login", "401: the server does not accept the login"),
        ("wrong address", "404: not found, and the answer is no FHIR: is the base address right?"),
    ],
)
async def test_registry_that_cannot_be_believed(hospital: httpx.AsyncClient, kind: str, words: str) -> None:
    with serve(lambda request: broken(kind, request)) as served:
        await to(hospital, served.root)
        job = await ended(hospital, await submit(hospital))
    assert job["status"] == "failed"
    assert words in job["statusReason"]["text"]
    owed = await state(hospital)
    assert (owed["state"], owed["message"]["state"]) == ("DUE", "intended")
    assert owed["reason"].startswith("Not sent to registry: ")
    assert words in owed["reason"]
    assert (await hospital.get("/fhir/QuestionnaireResponse")).json().get("entry") is None


async def test_report_is_sent_under_the_same_id_once_the_registry_is_mended(hospital: httpx.AsyncClient) -> None:
    with serve(lambda request: broken("html", request)) as served:
        await to(hospital, served.root)
        await ended(hospital, await submit(hospital))
    meant = (await state(hospital))["message"]["message"]
    seen = []

    async def mended(request: Request) -> Response:
        seen.append(decode(await request.body(), 100))
        return fhir(reply(seen[-1], digest(seen[-1]).removeprefix("sha256:")))

    with serve(mended) as served:
        await to(hospital, served.root)
        await submit(hospital)
        owed = await reached(hospital, "CMP")
    assert [one["entry"][0]["resource"]["id"] for one in seen] == [meant] == [owed["message"]["message"]]
    assert (owed["reason"], owed["message"]["receipt"]) == (None, "Basic/r")


async def test_registry_without_receipts_is_said_to_have_none(hospital: httpx.AsyncClient) -> None:
    async def bare(request: Request) -> Response:
        return fhir(reply(decode(await request.body(), 100)))

    with serve(bare) as served:
        await to(hospital, served.root)
        await submit(hospital)
        owed = await reached(hospital, "CMP")
    assert owed["reason"] == "registry took it and gave no receipt"


async def test_expired_certificate_is_named(hospital: httpx.AsyncClient, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with serve(lambda request: broken("html", request), authority.signed(days=-1)) as served:
        await to(hospital, served.root, trust=str(authority.trust))
        job = await ended(hospital, await submit(hospital))
    assert job["status"] == "failed"
    assert "expired" in (await state(hospital))["reason"]


async def test_registry_that_is_away_is_waited_for(hospital: httpx.AsyncClient) -> None:
    await to(hospital, f"http://127.0.0.1:{free_port()}")
    queued = await submit(hospital)
    place = f"/fhir/Task/{queued.json()['job']}"

    async def waits() -> bool:
        return (await hospital.get(place)).json()["status"] == "on-hold"

    await until(waits)
    assert "/$process-message" in (await hospital.get(place)).json()["statusReason"]["text"]
    assert (await state(hospital))["state"] == "DUE"
    assert rules((await submit(hospital)).json()["issue"]) == {"job-under-way"}


async def test_destination_that_is_gone_is_named(hospital: httpx.AsyncClient) -> None:
    answer = await submit(hospital, destination="nobody")
    assert (answer.status_code, rules(answer.json()["issue"])) == (404, {"unknown-destination"})
    await to(hospital, f"http://127.0.0.1:{free_port()}")
    queued = await submit(hospital)
    await hospital.delete("/submissions/destinations/registry")
    await ended(hospital, queued)
    assert "There is no destination" in (await state(hospital))["reason"]
    assert (await hospital.get(f"/submissions/{TASK}")).json()["state"] == "DUE"
