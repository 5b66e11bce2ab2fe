"""Jobs of the kind `work`, a runner that works on them, and what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from service.fhir.json import decode
from service.fhir.operations import Plan
from service.jobs import Kind, Rooms, Run, Runner, enqueue

DEVICE = {"resourceType": "Device", "status": "active"}
SECONDS = 20


async def add(rooms: Rooms, **more: Any) -> str:
    update, job = enqueue("work", {"n": 3}, **more)
    await rooms.database.write(Plan((update,), jobs=(job,)))
    return job.id


async def state(rooms: Rooms, id_: str, *wanted: str) -> str:
    """The state of the job when it is one of `wanted`."""
    async with asyncio.timeout(SECONDS):
        while (job := await rooms.database.job(id_)).state not in wanted:
            await asyncio.sleep(0.02)
    return job.state


async def task(rooms: Rooms, id_: str) -> dict[str, Any]:
    found = decode((await rooms.database.read("Task", id_)).content or b"")
    assert [issue for issue in rooms.validator.check(found) if issue.severity == "error"] == []
    return found


def counts(task: dict[str, Any]) -> dict[str, int]:
    outputs = task.get("output", [])
    return {one["type"]["text"]: one["valueUnsignedInt"] for one in outputs if "valueUnsignedInt" in one}


def runner_of(rooms: Rooms, work: Callable[[Run], Awaitable[None]], **kind: Any) -> Runner:
    runner = Runner(rooms, [Kind("work", work, **kind)])
    runner.start()
    return runner
