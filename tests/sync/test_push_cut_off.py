"""A push that is cut off at any step, on either end, and begun anew: each resource is there once, and the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.errors import Upstream
from service.fhir.operations import Applied, Plan
from service.simulators.ehr import HOSTILE, Quirks
from service.store.database import Database
from tests.sync.pushing import Ward, observation, ward

WAYS = {
    "transaction": Quirks(),
    "single": Quirks(transactions="absent"),
    "broken-transaction": Quirks(transactions="fails"),
    "ignored-condition": Quirks(transactions="absent", ignores_if_none_exist=True),
}
COUNT = 3


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


class Dying:
    """A store whose process dies before or after the commit of the n-th plan from now on."""

    def __init__(self, database: Database, at: int, after: bool) -> None:
        self._database, self._left, self._after = database, at, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def write(self, plan: Plan) -> tuple[Applied, ...]:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Killed
        applied = await self._database.write(plan)
        if self._left == 0:
            raise Killed
        return applied


async def killed(one: Ward, at: int, after: bool) -> bool:
    """A push whose process dies at its n-th plan; False where it ended before. The first plan makes the job."""
    rooms = one.rooms
    one.rooms = replace(rooms, database=Dying(rooms.database, at + 1, after))  # type: ignore[arg-type]
    try:
        await one.push()
    except Killed:
        return True
    finally:
        one.rooms = rooms
    return False


async def settled(one: Ward) -> None:
    """Pushes until there is nothing to do, as the runner would after each failure."""
    for _ in range(40):
        try:
            if await one.push() == {}:
                return
        except Upstream:
            continue
    raise AssertionError("the push does not come to rest")


async def work(one: Ward) -> AsyncIterator[None]:
    """Two rounds: resources are made, then changed."""
    first = [observation(f"o{number}") for number in range(COUNT - 1)]
    await one.put(*first, observation("last", derivedFrom=[{"reference": "Observation/o0"}]))
    yield
    for number in range(COUNT - 1):
        await one.change(f"Observation/o{number}", status="amended", note=[{"text": "changed"}])
    yield


async def check(one: Ward) -> None:
    """Each is there once, as it is here, at its second version at most, and nothing is left to do."""
    ids = [f"o{number}" for number in range(COUNT - 1)] + ["last"]
    for id_ in ids:
        there = one.theirs(f"Observation/{id_}")
        ours = await one.ours(f"Observation/{id_}")
        assert (there["status"], there.get("note")) == (ours["status"], ours.get("note"))
        assert one.ehr.versions(f"Observation/{there['id']}") <= 2
    first = one.theirs("Observation/o0")["id"]
    assert one.theirs("Observation/last")["derivedFrom"] == [{"reference": f"Observation/{first}"}]
    assert await one.tasks("conflict") == []
    assert await one.database.notes("push-intent/ward") == []
    assert {task["status"] for task in await one.tasks("sync-push")} == {"completed"}
    before = len(one.ehr.log)
    assert await one.push() == {}
    assert len(one.ehr.log) == before


@pytest.mark.parametrize(
    ("way", "after"), [*((way, True) for way in WAYS), ("transaction", False), ("ignored-condition", False)]
)
async def test_kill_at_every_commit_makes_nothing_twice(
    database: Database, definitions: Definitions, way: str, after: bool
) -> None:
    async with ward(database, definitions, WAYS[way]) as one:
        async for _ in work(one):
            at, kills = 1, 0
            while await killed(one, at, after):
                kills += 1
                at = at % 6 + 1
                assert kills < 100
            assert kills > 1
            await settled(one)
        await check(one)


@pytest.mark.parametrize(
    ("way", "mode"), [("transaction", "lose"), ("ignored-condition", "lose"), ("ignored-condition", "cut")]
)
async def test_answer_lost_at_every_request_makes_nothing_twice(
    database: Database, definitions: Definitions, way: str, mode: str
) -> None:
    async with ward(database, definitions, WAYS[way]) as one:
        async for _ in work(one):
            for match in ("POST /fhir", "PUT /fhir", "GET /fhir/Observation", "POST /fhir"):
                one.ehr.down(match=match, mode=mode)
            await settled(one)
            one.ehr.outages.clear()
        await check(one)


async def test_hostile_hospital_gets_each_resource_once(database: Database, definitions: Definitions) -> None:
    hostile = replace(HOSTILE, retry_after=0, poison=False, slow_every=0)
    async with ward(database, definitions, hostile, vendor="generic") as one:
        async for _ in work(one):
            await settled(one)
        for id_ in ("o0", "o1", "last"):
            there, ours = one.theirs(f"Observation/{id_}"), await one.ours(f"Observation/{id_}")
            assert there["status"] == ours["status"]
        assert await one.tasks("conflict") == []
        assert {task["status"] for task in await one.tasks("sync-push")} == {"completed"}
        assert await one.database.notes("push-intent/ward") == []
