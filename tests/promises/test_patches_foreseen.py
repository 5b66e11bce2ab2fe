"""Patches are worked out before their transaction, and what the transaction finds decides."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from service.errors import NotFound, PreconditionFailed, Unprocessable
from service.fhir import json, search
from service.fhir.operations import Create, Delete, Patch, Update, plan_of
from service.fhir.patch import JsonPatch
from service.store.database import Database


def patient(**changes: object) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "a", "name": [{"text": "0"}], **changes}


def adding(text: str) -> JsonPatch:
    return JsonPatch.read([{"op": "add", "path": "/name/-", "value": {"text": text}}])


async def names(database: Database) -> list[str]:
    content = json.decode((await database.read("Patient", "a")).content or b"")
    return [name["text"] for name in content["name"]]


async def test_validation_happens_while_another_write_commits(database: Database) -> None:
    """The check of the patch waits for that write, which would wait for ever were it inside the transaction."""
    await database.write(plan_of(Update(patient())))
    loop, done = asyncio.get_running_loop(), []

    def check(resource: dict[str, Any]) -> None:
        if not done:
            other = database.write(plan_of(Create({"resourceType": "Patient"})))
            done.append(asyncio.run_coroutine_threadsafe(other, loop).result(10))

    large = patient(name=[{"text": "0"}], text={"status": "generated", "div": f"<div>{'x' * 70_000}</div>"})
    await database.write(plan_of(Update(large)))
    await database.write(replace(plan_of(Patch("Patient", adding("1"), "a")), check=check))
    assert done
    assert await names(database) == ["0", "1"]


async def test_patch_is_worked_out_again_on_the_version_that_came_between(database: Database) -> None:
    await database.write(plan_of(Update(patient())))
    plans = [plan_of(Patch("Patient", adding(str(number)), "a")) for number in range(1, 41)]
    await asyncio.gather(*(database.write(plan) for plan in plans))
    assert sorted(await names(database), key=int) == [str(number) for number in range(41)]
    assert (await database.read("Patient", "a")).version == 41


@pytest.mark.parametrize("by", ["id", "condition"])
async def test_patch_refused_by_its_check_writes_nothing(database: Database, by: str) -> None:
    await database.write(plan_of(Update(patient(identifier=[{"system": "urn:x", "value": "1"}]))))
    seen: list[int] = []

    def check(resource: dict[str, Any]) -> None:
        seen.append(len(resource["name"]))
        raise Unprocessable("no", rule="test")

    where = search.parse("Patient", [("identifier", "urn:x|1")], database.parameters, zone=database.zone)
    patch = Patch("Patient", adding("1"), "a") if by == "id" else Patch("Patient", adding("1"), where=where)
    with pytest.raises(Unprocessable):
        await database.write(replace(plan_of(patch), check=check))
    assert seen == [2]
    assert await names(database) == ["0"]


async def test_what_is_foreseen_of_a_patch_that_the_transaction_refuses_does_not_count(database: Database) -> None:
    await database.write(plan_of(Update(patient())))
    with pytest.raises(PreconditionFailed):
        await database.write(plan_of(Patch("Patient", adding("1"), "a", if_match=7)))
    with pytest.raises(NotFound):
        await database.write(plan_of(Patch("Patient", adding("1"), "b")))
    await asyncio.gather(
        database.write(plan_of(Delete("Patient", "a"))),
        database.write(plan_of(Update(patient()))),
        database.write(plan_of(Patch("Patient", adding("1"), "a"))),
    )
    assert (await database.read("Patient", "a")).version == 4
    assert await names(database) == ["0", "1"]
