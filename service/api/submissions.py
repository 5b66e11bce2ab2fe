"""What we owe to registries: obligations with their states, sending, taking back, waiving; where submissions go."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from service.api import body
from service.api.health import JSON
from service.api.jobs import rooms_of
from service.api.replies import Reply
from service.api.server import server_of
from service.conformance.capability import Interaction
from service.errors import BadRequest
from service.fhir.json import encode
from service.submissions import destinations, laboratory_job, overview, prepare
from service.submissions.obligation import obligation
from service.submissions.prepare import Queued

MOST = 200
REFERENCE = re.compile(r"(?:[A-Z][A-Za-z]+/)?[A-Za-z0-9\-.]{1,64}\Z")


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request: which obligation, where to, why."""

    obligation: str | None = None
    destination: str | None = None
    response: str | None = None
    reason: str | None = None
    state: str | None = None


class Results(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request to send laboratory results."""

    patient: str
    destination: str | None = None
    subject: dict[str, Any] | None = None


async def submissions(request: Request) -> Response:
    """GET /submissions: obligations by `state`, in pages of `_count` that `next` leads on from."""
    server, asked = server_of(request), request.query_params
    states = [state for state in asked.get("state", "").split(",") if state]
    if not overview.known_states(states):
        raise BadRequest("state is one of NOTDUE, DUE, RCV, QRY, ERR, CMP, SUP, VOID, LTF, NRQ", code="value")
    count = asked.get("_count", "50")
    if not count.isdecimal() or not 0 < int(count) <= MOST:
        raise BadRequest(f"_count is a number from 1 to {MOST}", code="value", rule="invalid-parameter")
    cursor = tuple(server.cursors.open("submissions", asked["cursor"])) if "cursor" in asked else None
    page = await overview.listed(server.database, _today(request), states, int(count), cursor)
    following = server.cursors.seal("submissions", page.next) if page.next is not None else None
    return _json({"submissions": page.obligations, "next": following})


async def submission(request: Request) -> Response:
    """GET /submissions/[id]: one obligation."""
    return await _shown(request, request.path_params["id"])


async def submit(request: Request) -> Response:
    """POST /submissions: the obligation is filled, packed, checked and queued; 422 with every reason if it is not."""
    asked = await _asked(request, Asked)
    if asked.obligation is None:
        raise BadRequest("Name the obligation: Task/[id]", expression="obligation", code="required")
    return await _send(request, _id(asked.obligation), asked)


async def send(request: Request) -> Response:
    """POST /submissions/[id]/send"""
    return await _send(request, request.path_params["id"], await _asked(request, Asked))


async def _send(request: Request, id_: str, asked: Asked) -> Response:
    rooms = rooms_of(server_of(request))
    return _queued(await prepare.submit(rooms, id_, asked.destination, asked.response))


async def supersede(request: Request) -> Response:
    """POST /submissions/[id]/supersede: a corrected report that replaces the one that was sent."""
    asked = await _asked(request, Asked)
    rooms = rooms_of(server_of(request))
    return _queued(await prepare.supersede(rooms, request.path_params["id"], asked.response))


async def void(request: Request) -> Response:
    """POST /submissions/[id]/void: takes back what was sent."""
    asked = await _asked(request, Asked)
    if not asked.reason or not asked.reason.strip():
        raise BadRequest("A void has a reason", expression="reason", code="required", rule="submission-waiver")
    return _queued(await prepare.void(rooms_of(server_of(request)), request.path_params["id"], asked.reason or ""))


async def waive(request: Request) -> Response:
    """POST /submissions/[id]/waive: the report will not be made, for a reason."""
    asked, id_ = await _asked(request, Asked), request.path_params["id"]
    await prepare.waive(rooms_of(server_of(request)), id_, asked.state or "", asked.reason or "")
    return await _shown(request, id_)


async def acknowledge(request: Request) -> Response:
    """POST /submissions/[id]/acknowledge: the registry has it, a person says."""
    asked, id_ = await _asked(request, Asked), request.path_params["id"]
    if not asked.reason or not asked.reason.strip():
        raise BadRequest("Say how it is known", expression="reason", code="required", rule="submission-waiver")
    await prepare.acknowledge(rooms_of(server_of(request)), id_, asked.reason)
    return await _shown(request, id_)


async def laboratory(request: Request) -> Response:
    """POST /submissions/laboratory: the measured results of a patient, in bundles of 50 with the centre's label."""
    asked = await _asked(request, Results)
    rooms = rooms_of(server_of(request))
    job, bundles = await laboratory_job.queue(rooms, _id(asked.patient), asked.destination, asked.subject)
    return _json({"job": job, "bundles": bundles}, 202, ((b"location", f"/jobs/{job}".encode()),))


async def destination_list(request: Request) -> Response:
    """GET /submissions/destinations"""
    found = await destinations.listed(server_of(request).database)
    return _json({"destinations": [_described(one) for one in found]})


async def destination(request: Request) -> Response:
    """GET /submissions/destinations/[name]"""
    return _json(_described(await destinations.find(server_of(request).database, request.path_params["name"])))


async def destination_put(request: Request) -> Response:
    """PUT /submissions/destinations/[name]: 201 for a new one."""
    made = destinations.read(request.path_params["name"], await body.raw(request))
    new = await destinations.save(server_of(request).database, made)
    return _json(_described(made), 201 if new else 200)


async def destination_delete(request: Request) -> Response:
    """DELETE /submissions/destinations/[name]"""
    await destinations.remove(server_of(request).database, request.path_params["name"])
    return Reply(204)


def _described(one: destinations.Destination) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(one).items() if value not in ("", [])}


async def _asked(request: Request, kind: type[Any]) -> Any:
    content = await body.raw(request)
    try:
        return msgspec.json.decode(content or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The body is malformed: {error}", code="value", rule="malformed") from None
    except msgspec.DecodeError:
        raise BadRequest("The body is not JSON", rule="not-json") from None


def _id(reference: str) -> str:
    if not REFERENCE.match(reference):
        raise BadRequest("A reference is Type/[id]", code="value", rule="malformed-reference")
    return reference.rpartition("/")[2]


def _queued(queued: Queued) -> Response:
    return _json(asdict(queued), 202, ((b"location", f"/jobs/{queued.job}".encode()),))


async def _shown(request: Request, id_: str) -> Response:
    database = server_of(request).database
    owed = await obligation(database, id_)
    return _json(await overview.shown(database, owed.task, _today(request)))


def _today(request: Request) -> Any:
    return datetime.now(server_of(request).database.zone).date()


def _json(value: Any, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Reply:
    return Reply(status, encode(value), headers, JSON)


ONE, TO = "/submissions/{id:fhir_id}", "/submissions/destinations/{name:fhir_id}"
TABLE = (
    (Interaction("destinations", "GET", "/submissions/destinations"), destination_list),
    (Interaction("destinationPut", "PUT", TO), destination_put),
    (Interaction("destination", "GET", TO), destination),
    (Interaction("destinationDelete", "DELETE", TO), destination_delete),
    (Interaction("submissionsLaboratory", "POST", "/submissions/laboratory"), laboratory),
    (Interaction("submissions", "GET", "/submissions"), submissions),
    (Interaction("submit", "POST", "/submissions"), submit),
    (Interaction("submission", "GET", ONE), submission),
    (Interaction("submissionSend", "POST", f"{ONE}/send"), send),
    (Interaction("submissionSupersede", "POST", f"{ONE}/supersede"), supersede),
    (Interaction("submissionVoid", "POST", f"{ONE}/void"), void),
    (Interaction("submissionAcknowledge", "POST", f"{ONE}/acknowledge"), acknowledge),
    (Interaction("submissionWaive", "POST", f"{ONE}/waive"), waive),
)
