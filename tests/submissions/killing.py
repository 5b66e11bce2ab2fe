"""Workers that are killed at a step: nothing is said to anybody, and after the lease another one goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from service.fhir.json import decode
from service.fhir.ledger import Step
from service.fhir.operations import Plan
from service.jobs import Kind, Parked, Rooms, Run
from service.remote import Remote

LEASE = 0.2


class Killed(BaseException):
    """The process is gone."""


class Killer:
    """Ends the process at the step `at`; `steps` counts those that there were."""

    def __init__(self, at: int) -> None:
        self.at, self.steps = at, 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            raise Killed


@contextmanager
def watched(killer: Killer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counts the writes of runs and the requests to registries, before and after each."""

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **options: Any) -> Any:
            killer.step()
            result = await original(*args, **options)
            killer.step()
            return result

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Run, "write", around(Run.write))
        patch.setattr(Remote, "post", around(Remote.post))
        patch.setattr(Remote, "get", around(Remote.get))
        yield


async def work_off(rooms: Rooms, kinds: tuple[Kind, ...]) -> None:
    """Runs what is due as a worker does, and ends the leases of nobody; a parked job is run at once."""
    works = {kind.name: kind.work for kind in kinds}
    for _ in range(60):
        job = await rooms.database.claim(tuple(works), LEASE)
        if job is None:
            if not await rooms.database.jobs(None, ("waiting", "running")):
                return
            await asyncio.sleep(LEASE / 4)
            continue
        stored = decode((await rooms.database.read("Task", job.id)).content or b"{}", 10_000)
        run = Run(rooms, job, stored)
        try:
            await works[job.kind](run)
        except Parked:
            await asyncio.sleep(LEASE)
            continue
        await run.write(checkpoint={**run.checkpoint, "ended": True})
        await rooms.database.write(Plan((), jobs=(Step(job.lease, "done"),)))
        return
    raise AssertionError("the job does not end")
