"""A hospital with a report that is due, and a registry to send it to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx

from service.fhir.operations import Plan, Update
from service.jobs import Rooms
from service.submissions import overview
from service.submissions.schedule import obligation_id
from tests.submissions.records import stored
from tests.submissions.test_package import ALIVE, FERRITIN, TOXIC

SENDER = "https://site.example/fhir"
TASK = obligation_id("Patient/p", "4100", "day-100")
ENDED = {"RCV", "QRY", "CMP", "ERR", "VOID", "SUP"}

Resource = dict[str, Any]


async def owe(rooms: Rooms, *changed: Resource) -> None:
    """Stores the record of a treated patient, with what `changed` says instead, and what is owed for it."""
    named = {f"{one['resourceType']}/{one['id']}": one for one in (*stored(ALIVE, FERRITIN, TOXIC), *changed)}
    await rooms.database.write(Plan(tuple(Update(one) for one in named.values())))
    await overview.refresh(rooms, datetime.now(UTC))


async def to(client: httpx.AsyncClient, base: str, **changes: Any) -> None:
    """Sets the registry up as the only destination."""
    given = {"kind": "fhir", "base": f"{base}/fhir", "sender": SENDER} | changes
    answer = await client.put("/submissions/destinations/registry", json=given)
    assert answer.status_code in (200, 201), answer.text


async def submit(client: httpx.AsyncClient, **asked: Any) -> httpx.Response:
    return await client.post("/submissions", json={"obligation": f"Task/{TASK}"} | asked)


async def state(client: httpx.AsyncClient, id_: str = TASK) -> dict[str, Any]:
    answer = await client.get(f"/submissions/{id_}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until(found: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    for _ in range(int(seconds / 0.05)):
        if await found():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it does not come to that")


async def reached(client: httpx.AsyncClient, wanted: str, id_: str = TASK) -> dict[str, Any]:
    """The obligation, once it is in that state."""

    async def is_there() -> bool:
        return (await state(client, id_))["state"] == wanted

    try:
        await until(is_there)
    except AssertionError:
        raise AssertionError(await state(client, id_)) from None
    return await state(client, id_)


async def ended(client: httpx.AsyncClient, queued: httpx.Response) -> Resource:
    """The Task of a queued job, once it has ended."""
    assert queued.status_code == 202, queued.text
    place = f"/fhir/Task/{queued.json()['job']}"

    async def has_ended() -> bool:
        return (await client.get(place)).json()["status"] in ("completed", "failed", "cancelled")

    await until(has_ended)
    return (await client.get(place)).json()


async def living(client: httpx.AsyncClient, type_: str) -> list[Resource]:
    return [one["resource"] for one in (await client.get(f"/fhir/{type_}")).json().get("entry", [])]
