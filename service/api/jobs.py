"""Jobs and dead letters: what the service does by itself, how far it has come, and what it could not take."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api.health import JSON
from service.api.replies import Reply
from service.api.server import Server, server_of
from service.conformance.capability import Interaction
from service.errors import BadRequest
from service.fhir.dates import instant
from service.fhir.json import encode
from service.fhir.ledger import STATES, Job
from service.jobs import Rooms, letters
from service.jobs.tasks import command

MOST = 200


async def jobs(request: Request) -> Response:
    """GET /jobs: newest first, by `kind` and `state`, in pages of `_count` that `next` leads on from."""
    server = server_of(request)
    asked = request.query_params
    states = [state for state in asked.get("state", "").split(",") if state]
    if not set(states) <= set(STATES):
        raise BadRequest(f"state is one of {', '.join(STATES)}", code="value", rule="invalid-parameter")
    before = tuple(server.cursors.open("jobs", asked["cursor"])) if "cursor" in asked else None
    found = await server.database.jobs(asked.get("kind"), states, before, count := _count(request))
    last = found[-1] if len(found) == count else None
    following = server.cursors.seal("jobs", (last.created, last.id)) if last is not None else None
    return _json({"jobs": await _shown(server, found), "next": following})


async def job(request: Request) -> Response:
    """GET /jobs/[id]: one job; its Task has the counts and the findings."""
    server = server_of(request)
    return await _one(server, await server.database.job(request.path_params["id"]))


async def cancel(request: Request) -> Response:
    """POST /jobs/[id]/cancel: its worker writes no more. 409 for one that has ended."""
    server = server_of(request)
    return await _one(server, await command(server.database, request.path_params["id"], "cancel"))


async def retry(request: Request) -> Response:
    """POST /jobs/[id]/retry: a failed or cancelled job goes on from where it was. 409 for any other."""
    server = server_of(request)
    return await _one(server, await command(server.database, request.path_params["id"], "retry"))


async def dead_letters(request: Request) -> Response:
    """GET /dead-letters: what could not be taken, oldest first, without its content; `next` is the `after` to go on."""
    count = _count(request)
    found = await letters.listed(rooms_of(server_of(request)), request.query_params.get("after", ""), count)
    following = found[-1].id if len(found) == count else None
    return _json({"letters": [one.as_json() for one in found], "next": following})


async def dead_letter(request: Request) -> Response:
    """GET /dead-letters/[id]: one letter, with its content in base64, byte by byte as it came."""
    one = await letters.find(rooms_of(server_of(request)), request.path_params["id"])
    return _json({**one.as_json(), "content": b64encode(one.content).decode()})


async def discard(request: Request) -> Response:
    """DELETE /dead-letters/[id]: throws it away."""
    await letters.discard(rooms_of(server_of(request)), request.path_params["id"])
    return Reply(204)


async def replay(request: Request) -> Response:
    """POST /dead-letters/[id]/replay: takes it as if it came now; what is still against it is the answer."""
    server = server_of(request)
    applied = await letters.replay(rooms_of(server), server.replays, request.path_params["id"])
    written = [one.stored for one in applied if one.stored is not None]
    return _json({"written": [f"{one.type}/{one.id}/_history/{one.version}" for one in written]})


def rooms_of(server: Server) -> Rooms:
    """What jobs may use of a running service."""
    return Rooms(server.settings, server.definitions, server.database, server.validator)


def _count(request: Request) -> int:
    text = request.query_params.get("_count", "50")
    if not text.isdecimal() or not 0 < int(text) <= MOST:
        raise BadRequest(f"_count is a number from 1 to {MOST}", code="value", rule="invalid-parameter")
    return int(text)


async def _one(server: Server, job: Job) -> Reply:
    (shown,) = await _shown(server, [job])
    return _json(shown)


async def _shown(server: Server, jobs: Sequence[Job]) -> list[Mapping[str, Any]]:
    """Jobs without their inputs, which may hold a patient's data; a quiet job has no Task."""
    asked = server.database.parse_condition("Task", f"_id={','.join(job.id for job in jobs)}") if jobs else None
    tasks = {one["id"] async for one in server.database.resources(asked)} if asked is not None else set()
    return [_with_task(job, job.id in tasks) for job in jobs]


def _with_task(job: Job, has_task: bool) -> Mapping[str, Any]:
    shown = {name: getattr(job, name) for name in ("id", "kind", "state", "attempts")}
    shown |= {"created": instant(job.created), "changed": instant(job.changed)}
    if has_task:
        shown["task"] = f"Task/{job.id}"
    if job.state == "waiting" and job.due:
        shown["due"] = instant(job.due)
    return shown


def _json(value: Any) -> Reply:
    return Reply(200, encode(value), media=JSON)


ONE = "/jobs/{id:fhir_id}"
LETTER = "/dead-letters/{id:fhir_id}"
TABLE = (
    (Interaction("jobs", "GET", "/jobs"), jobs),
    (Interaction("job", "GET", ONE), job),
    (Interaction("jobCancel", "POST", ONE + "/cancel"), cancel),
    (Interaction("jobRetry", "POST", ONE + "/retry"), retry),
    (Interaction("deadLetters", "GET", "/dead-letters"), dead_letters),
    (Interaction("deadLetter", "GET", LETTER), dead_letter),
    (Interaction("deadLetterDiscard", "DELETE", LETTER), discard),
    (Interaction("deadLetterReplay", "POST", LETTER + "/replay"), replay),
)
