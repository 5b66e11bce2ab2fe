"""What a person does with connections: keep, end, run, look at, link by hand. The API and the commands share it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import msgspec

from service.errors import BadRequest, Conflict, Gone, NotFound
from service.fhir.json import decode
from service.fhir.ledger import Command
from service.fhir.operations import Plan
from service.jobs import enqueue, enqueue_quiet
from service.store.database import Database
from service.sync import connections, linking, streams, worklist
from service.sync.connections import Connection
from service.sync.cycle import CYCLE
from service.sync.linking import Link, Linker
from service.sync.pull import KIND, LAST_ROOM

RUNS = 5
LIVING = ("waiting", "running")


async def save(database: Database, connection: Connection) -> None:
    """Keeps a connection; one with `every` gets its cycle."""
    plan = connections.saved(connection)
    if connection.every is None:
        await database.write(plan)
        return
    alone = f"{CYCLE}/{connection.name}"
    cycle = enqueue_quiet(CYCLE, {"connection": connection.name}, alone=alone)
    try:
        await database.write(replace(plan, jobs=(cycle,)))
    except Conflict as error:
        if error.issues[0].rule != "job-under-way":
            raise
        await database.write(plan)  # its cycle reads the connection anew each time


async def remove(database: Database, name: str) -> None:
    """Ends a connection; what was pulled stays. Nothing happens where there is none."""
    try:
        connection = await connections.find(database, name)
    except NotFound:
        return
    living = await _living(database, name)
    plan = connections.removed(connection)
    await database.write(replace(plan, jobs=tuple(Command(id_, "cancel") for id_ in living)))


async def order(database: Database, name: str, wishes: Mapping[str, bool] | None = None) -> str:
    """Orders a run; the id of its job and Task, or of the one that is under way. Raises NotFound."""
    connection = await connections.find(database, name)
    task = {
        "description": f"Synchronisation with {connection.label or name}",
        "focus": {"reference": f"Endpoint/{connections.endpoint_id(name)}"},
    }
    update, job = enqueue(KIND, {"connection": name, **(wishes or {})}, alone=f"{KIND}/{name}", task=task)
    try:
        await database.write(Plan((update,), jobs=(job,)))
    except Conflict as error:
        living = await _living(database, name, KIND)
        if error.issues[0].rule != "job-under-way" or not living:
            raise
        return living[0]
    return job.id


async def _living(database: Database, name: str, *kinds: str) -> list[str]:
    found = []
    for kind in kinds or (KIND, CYCLE):
        for job in await database.jobs(kind, LIVING, None, 1000):
            if decode(job.input).get("connection") == name:
                found.append(job.id)
    return found


async def status(database: Database, name: str) -> dict[str, Any]:
    """A connection with its watermarks, links, last runs and what waits for a person. Raises NotFound."""
    connection = await connections.find(database, name)
    marks = await database.notes(streams.room(name), count=1000)
    last = await database.note(LAST_ROOM, name)
    work = [worklist.shown(task) for _, task in await worklist.listed(database, name)]
    return {
        **connection.shown(),
        "endpoint": f"Endpoint/{connections.endpoint_id(name)}",
        "watermarks": {key: content.decode() for key, content in marks},
        "last": decode(last) if last is not None else None,
        "runs": await _runs(database, name),
        "patients": Counter(link.state for _, link in await _links(database, name)),
        "work": work,
    }


async def _runs(database: Database, name: str) -> list[dict[str, Any]]:
    focus = quote(f"Endpoint/{connections.endpoint_id(name)}", safe="")
    query = database.parse_condition("Task", f"focus={focus}&_sort=-_lastUpdated&_count={RUNS}")
    page = await database.search(query)
    tasks = [decode(match.content or b"{}", 10_000) for match in page.matches]
    return [run_of(task) for task in tasks]


def run_of(task: dict[str, Any]) -> dict[str, Any]:
    """The Task of a run, as it is shown: status, times, counts."""
    outputs = task.get("output", [])
    found = {
        "task": f"Task/{task['id']}",
        "status": task["status"],
        "begun": task.get("executionPeriod", {}).get("start"),
        "ended": task.get("executionPeriod", {}).get("end"),
        "result": task.get("businessStatus", {}).get("text"),
        "why": task.get("statusReason", {}).get("text"),
        "counts": {one["type"]["text"]: one["valueUnsignedInt"] for one in outputs if "valueUnsignedInt" in one},
    }
    return {key: value for key, value in found.items() if value is not None}


async def _links(database: Database, name: str) -> list[tuple[str, Link]]:
    found: list[tuple[str, Link]] = []
    after = ""
    while page := await database.notes(linking.room(name), after=after, count=1000):
        found += [(key, msgspec.json.decode(content, type=Link)) for key, content in page]
        after = page[-1][0]
    return found


async def links(database: Database, name: str, state: str = "") -> list[dict[str, Any]]:
    """The patients that are known there, all or in one state. Raises NotFound."""
    await connections.find(database, name)
    return [
        {"remote": key, **msgspec.to_builtins(link)}
        for key, link in await _links(database, name)
        if not state or link.state == state
    ]


async def link(database: Database, name: str, remote: str, local: str | None) -> None:
    """Links a patient there (`Patient/id`) with one here as a person says, or ends that with `local` None.

    What is there of the patient is pulled, or taken away, by the next run. Raises NotFound, BadRequest.
    """
    connection = await connections.find(database, name)
    for reference in (remote, *([local] if local else [])):
        type_, _, id_ = reference.partition("/")
        if type_ != "Patient" or not connections.ID.fullmatch(id_):
            raise BadRequest("Patients are linked: Patient/id on both sides", code="value", rule="link-malformed")
    if local is not None:
        try:
            await database.read("Patient", local.partition("/")[2])
        except (NotFound, Gone) as error:
            raise type(error)("There is no such patient here", rule="unknown-resource") from None
    client = connection.remote()
    try:
        linker = Linker(database, connection, client)
        await linker.load()
        linker.begun = connection.searches()
        await database.write((await linker.by_hand(remote, local)).plan())
    finally:
        await client.close()
