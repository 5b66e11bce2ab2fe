"""A running service over a real store of each kind, and messages of a hospital."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.conformance.definitions import Definitions
from service.settings import Settings
from service.submissions.envelope import EVENTS, REPLACES

FHIR = {"content-type": "application/fhir+json"}
NDJSON = {"content-type": "application/fhir+ndjson"}
HOSPITAL = "https://hospital.example/fhir"

Resource = dict[str, Any]


@pytest.fixture
async def application(settings: Settings, definitions: Definitions) -> AsyncIterator[FastAPI]:
    """The application with its lifespan, and with it the runner of its jobs."""
    app = create_app(settings, definitions)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service, over real HTTP on loopback."""
    config = uvicorn.Config(application, port=0, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=base, headers=FHIR, timeout=30) as opened:
            yield opened
        server.should_exit = True
        await serving


def entry(resource: Resource) -> Resource:
    """An entry with the resource's address at the hospital."""
    return {"fullUrl": f"{HOSPITAL}/{resource['resourceType']}/{resource['id']}", "resource": resource}


def report(name: str = "1", **changes: Any) -> list[Resource]:
    """A Task, the patient it is about and a ferritin value; `changes` are of the value."""
    who = {"resourceType": "Patient", "id": f"p{name}", "gender": "female"}
    task = {
        "resourceType": "Task",
        "id": f"t{name}",
        "identifier": [{"system": f"{HOSPITAL}/report", "value": name}],
        "status": "requested",
        "intent": "order",
        "for": {"reference": f"Patient/p{name}"},
    }
    lab = {
        "resourceType": "Observation",
        "id": f"o{name}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2276-4"}]},
        "subject": {"reference": f"Patient/p{name}"},
    } | changes
    return [entry(task), entry(who), entry(lab)]


def message(
    id_: str = "m1", entries: list[Resource] | None = None, at: str = "2021-03-04T08:00:00+03:00", **header: Any
) -> Resource:
    """A submission; `header` changes its MessageHeader, with `replaces` as the id of a message."""
    replaces, kind = header.pop("replaces", None), header.pop("kind", "submission")
    entries = report() if entries is None else entries
    first = {
        "resourceType": "MessageHeader",
        "id": id_,
        "eventCoding": {"system": EVENTS, "code": kind},
        "source": {"name": "Hospital", "endpoint": HOSPITAL},
    } | header
    if replaces:
        first["extension"] = [{"url": REPLACES, "valueId": replaces}]
    if entries:
        first["focus"] = [{"reference": entries[0]["fullUrl"]}]
    whole = [
        {"fullUrl": f"urn:uuid:0b7e4c52-8a3e-4d0c-9a4e-{abs(hash(id_)) % 16**12:012x}", "resource": first},
        *entries,
    ]
    return {"resourceType": "Bundle", "type": "message", "timestamp": at, "entry": whole}


def parts(answer: httpx.Response) -> tuple[Resource, list[Resource], Resource | None]:
    """MessageHeader, issues and receipt of a response message."""
    sent = answer.json()
    assert (sent["resourceType"], sent["type"]) == ("Bundle", "message"), answer.text
    header, outcome, *rest = (one["resource"] for one in sent["entry"])
    return header, outcome["issue"], rest[0] if rest else None


def receipt_of(answer: httpx.Response) -> Resource:
    """The receipt in the answer to a message that was taken."""
    assert answer.status_code == 200, answer.text
    header, _, receipt = parts(answer)
    assert header["response"]["code"] == "ok"
    assert receipt is not None
    return receipt


def rules(issues: list[Resource]) -> set[str]:
    """The machine codes of issues."""
    return {issue["details"]["coding"][0]["code"] for issue in issues}


async def send(client: httpx.AsyncClient, sent: Resource, **headers: str) -> httpx.Response:
    """Sends a message to the service."""
    return await client.post("/fhir/$process-message", json=sent, headers=headers)


async def total(client: httpx.AsyncClient, type_: str = "") -> int:
    """How many versions there are of anything but the Tasks and jobs."""
    return (await client.get(f"/fhir/{type_}/_history".replace("//", "/"))).json()["total"]


async def found(client: httpx.AsyncClient, type_: str) -> list[Resource]:
    """The living resources of a type."""
    answer = (await client.get(f"/fhir/{type_}")).json()
    return [one["resource"] for one in answer.get("entry", []) if one["search"]["mode"] == "match"]


async def done(client: httpx.AsyncClient, place: str) -> httpx.Response:
    """The answer at a status address, once it is there."""
    for _ in range(400):
        answer = await client.get(place)
        if answer.status_code != 202:
            return answer
        assert answer.headers["retry-after"]
        await asyncio.sleep(0.05)
    raise AssertionError("the job does not end")
