"""An entry of a batch that asks for what has an address of its own: the service asks itself.

So a history, an operation or a part of a resource is answered in a batch as it is alone.
"""

from __future__ import annotations

from email.utils import format_datetime
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.routing import Match
from starlette.types import Message, Scope

from service.api import idempotency
from service.api.formats import FHIR_JSON
from service.errors import NotFound
from service.fhir.bundle import Entry
from service.fhir.json import encode
from service.fhir.operations import Answer, Result

PASSED = (b"host", b"prefer")
CARRIED = ("type", "asgi", "http_version", "scheme", "server", "client", "root_path", "app", "state", "extensions")


async def forward(request: Request, entry: Entry) -> Result:
    """What the address of `entry` answers. A key of the batch stands for each entry with its place."""
    scope, content = _scope(request, entry)
    for route in request.scope["app"].router.routes:
        matched, found = route.matches(scope)
        if matched is Match.FULL and scope["path"].startswith("/fhir/"):
            return await _ask(route, {**scope, **found}, content, entry)
    return NotFound("There is nothing at this address", expression=f"{entry.place}.request.url")


def _scope(request: Request, entry: Entry) -> tuple[Scope, bytes]:
    path, _, query = (entry.forward or "").partition("?")
    content = encode(entry.resource) if entry.resource is not None else b""
    headers = [pair for pair in request.scope["headers"] if pair[0] in PASSED]
    headers += [(b"accept", FHIR_JSON.encode()), (b"content-type", FHIR_JSON.encode())]
    if entry.known.tags is not None:
        headers.append((b"if-none-match", entry.known.tags.encode()))
    if entry.known.since is not None:
        headers.append((b"if-modified-since", format_datetime(entry.known.since, usegmt=True).encode()))
    keyed = idempotency.keyed_of(request)
    if keyed is not None and entry.method == "POST":
        key = sha256(f"{keyed.once.key}#{entry.place}".encode()).hexdigest()
        headers.append((b"idempotency-key", key.encode()))
    scope = {name: request.scope[name] for name in CARRIED if name in request.scope}
    address = f"/fhir/{path}"
    scope |= {"method": entry.method, "path": address, "raw_path": address.encode(), "query_string": query.encode()}
    return {**scope, "headers": headers}, content


async def _ask(route: Any, scope: Scope, content: bytes, entry: Entry) -> Result:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await route.endpoint(scope, receive, send)
    etag = dict(sent[0]["headers"]).get(b"etag")
    answer = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], answer, etag.decode() if etag else None)
