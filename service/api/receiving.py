"""Submissions that others send to us: messages, files of messages, answers that come later, receipts.

Source: https://hl7.org/fhir/R4/messaging.html and https://hl7.org/fhir/R4/async.html
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api import body, conditions, formats, places, replies
from service.api.jobs import rooms_of
from service.api.server import server_of
from service.conformance.capability import Interaction
from service.errors import BadRequest, CartFhirError, Issue, NotFound, UnsupportedMediaType, operation_outcome
from service.fhir.json import encode
from service.fhir.ledger import Note
from service.fhir.message import read
from service.fhir.operations import Plan
from service.submissions import asynchronous, bulk, outcomes
from service.submissions.asynchronous import BULK, MESSAGE, Pending
from service.submissions.envelope import is_submission
from service.submissions.outcomes import Outcome
from service.submissions.receipts import RECEIVED
from service.submissions.receive import Desk, accepted, receive, refused

NDJSON = ("application/fhir+ndjson", "application/ndjson", "application/x-ndjson")
REFUSED = "submission-refused"
POLL_SECONDS = b"1"

Resource = dict[str, Any]


def is_for_us(sent: Resource) -> bool:
    """Whether what was sent to $process-message is a submission."""
    with suppress(CartFhirError):
        return sent.get("resourceType") == "Bundle" and sent.get("type") == "message" and is_submission(read(sent))
    return False


async def process(request: Request, sent: Resource) -> Response:
    """A submission by $process-message: 200 with its receipt, 202 where it is to be answered later, else why not."""
    content, desk = await body.raw(request), _desk(request)
    if _wants_later(request):
        return await _later(request, MESSAGE, encode(sent))
    asked = read(sent).header
    try:
        taken = await receive(desk, sent)
    except CartFhirError as error:
        await note_refusal(request, content, error)
        shown = await places.in_error(request, error)
        answer = refused(desk, asked, error.status, shown.outcome(), datetime.now(UTC))
        return _with_headers(replies.json(answer, error.status), error)
    return replies.json(accepted(desk, asked, taken))


def _wants_later(request: Request) -> bool:
    parts = (conditions.header(request, "prefer") or "").replace(";", ",").split(",")
    return any(part.strip().lower() == "respond-async" for part in parts)


def _with_headers(reply: replies.Reply, error: CartFhirError) -> replies.Reply:
    wanted = (b"retry-after", b"etag")
    reply.raw_headers += [pair for pair in replies.failure(error).raw_headers if pair[0] in wanted]
    return reply


async def note_refusal(request: Request, content: bytes, error: CartFhirError) -> None:
    """Notes that something was refused: when, why, and the hash of what it was; of its content nothing."""
    rules = sorted({issue.rule for issue in error.issues if issue.rule})
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    kept = encode({"at": at, "status": error.status, "rules": rules, "bytes": len(content)})
    with suppress(CartFhirError):
        note = Note(REFUSED, sha256(content).hexdigest(), kept)
        await server_of(request).database.write(Plan((), notes=(note,)))


async def bulk_submission(request: Request) -> Response:
    """POST /submissions/bulk: every line of an NDJSON file is a message; 200 with the outcome of each."""
    formats.check_accept(request)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in NDJSON:
        raise UnsupportedMediaType(f"The body must be {NDJSON[0]}: one message Bundle in each line")
    content, desk = await body.raw(request), _desk(request)
    numbered, empty = bulk.lines(content)
    if not numbered:
        raise BadRequest("The body has no lines: one message Bundle in each is needed", rule="body-empty")
    if _wants_later(request):
        return await _later(request, BULK, content)
    found: list[Outcome] = []
    for number, line in numbered:
        found.append(await bulk.take(desk, number, line))
    none = outcomes.all_refused(found)
    return replies.json(none, 422) if none is not None else replies.json(outcomes.told(desk, found, empty))


async def _later(request: Request, kind: str, content: bytes) -> Response:
    """202 with the address to poll, when what was sent is on disk."""
    server = server_of(request)
    id_ = await asynchronous.kick_off(server.database, kind, content, server.base(request))
    place = f"{server.base(request).removesuffix('/fhir')}/submissions/status/{id_}".encode()
    return replies.Reply(202, encode(_told("It is kept, and will be taken")), [(b"content-location", place)])


def _told(text: str) -> Resource:
    return operation_outcome([Issue("informational", text, None, None, "information")])


async def status(request: Request) -> Response:
    """GET /submissions/status/[id]: 202 until it is done, then the answer, as often as it is asked for."""
    formats.check_accept(request)
    found = await asynchronous.polled(_desk(request), request.path_params["id"])
    if isinstance(found, Pending):
        headers = [(b"retry-after", POLL_SECONDS), (b"x-progress", found.progress.encode())]
        return replies.Reply(202, encode(_told(found.progress)), headers)
    return replies.json(found.body, found.status)


async def withdraw(request: Request) -> Response:
    """DELETE /submissions/status/[id]: cancels what is not done and forgets the answer."""
    await asynchronous.withdraw(server_of(request).database, request.path_params["id"])
    return replies.Reply(202, encode(_told("It is cancelled or was done, and its answer is forgotten")))


async def receipt(request: Request) -> Response:
    """GET /submissions/receipts/[id]: the Provenance that says what was taken."""
    formats.check_accept(request)
    database, id_ = server_of(request).database, request.path_params["id"]
    if await database.note(RECEIVED, id_) is None:
        raise NotFound(f"There is no receipt {id_}")
    return replies.resource(request, await database.read("Provenance", id_))


def _desk(request: Request) -> Desk:
    server = server_of(request)
    return asynchronous.desk_of(rooms_of(server), server.base(request))


TABLE = (
    (Interaction("submissionsBulk", "POST", "/submissions/bulk"), bulk_submission),
    (Interaction("submissionStatus", "GET", "/submissions/status/{id:fhir_id}"), status),
    (Interaction("submissionWithdraw", "DELETE", "/submissions/status/{id:fhir_id}"), withdraw),
    (Interaction("receipt", "GET", "/submissions/receipts/{id:fhir_id}"), receipt),
)
