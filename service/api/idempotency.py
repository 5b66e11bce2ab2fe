"""Idempotency-Key: a POST that is sent again with its key has no second effect and gets the first answer.

What a keyed request did is written in the transaction of its effect (service.store.idempotency); here its answer is
made from that by the same code as the first time. A request that was refused has written nothing and leaves no key.
Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from service.api import body
from service.api.server import server_of
from service.errors import BadRequest, Conflict
from service.fhir.operations import Applied, Once, Plan, Result

KEY = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?\Z')  # the draft quotes it, most clients do not
STATE = "cart_fhir.keyed"


@dataclass(slots=True)
class Keyed:
    """The key of one request, and what a request with it did before."""

    once: Once
    before: tuple[Result, ...] | None
    replayed: bool


async def guarded(request: Request, handler: Callable[[Request], Awaitable[Response]]) -> Response:
    """The answer of `handler` to a POST. Raises Conflict while a request with its key is on its way,
    Unprocessable where the key was that of another request."""
    text = request.headers.get("idempotency-key")
    if text is None:
        return await handler(request)
    server = server_of(request)
    once = _once(request, text, await body.raw(request))
    if once.key in server.in_flight:
        text = "A request with this Idempotency-Key is on its way; ask again for its answer"
        raise Conflict(text, code="lock-error", rule="idempotency-key-in-flight", headers={"Retry-After": "1"})
    server.in_flight.add(once.key)
    try:
        before = await server.database.kept(once)
        keyed = Keyed(once, before, before is not None)
        request.scope[STATE] = keyed
        response = await handler(request)
    finally:
        server.in_flight.discard(once.key)
    if keyed.replayed:
        response.raw_headers.append((b"idempotent-replayed", b"true"))
    return response


def _once(request: Request, text: str, content: bytes) -> Once:
    match = KEY.match(text.strip())
    if match is None:
        text = "Idempotency-Key is 1 to 255 visible ASCII characters, such as a UUID"
        raise BadRequest(text, code="value", rule="malformed-idempotency-key")
    scope = request.scope
    condition = request.headers.get("if-none-exist", "").encode("latin-1")
    parts = (scope["method"].encode(), scope["path"].encode(), scope["query_string"], condition, content)
    request_digest = sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()
    return Once(sha256(match[1].encode()).hexdigest(), request_digest)


def keyed_of(request: Request) -> Keyed | None:
    """The key that the request came with."""
    return request.scope.get(STATE)


async def write(request: Request, plan: Plan, part: str = "") -> tuple[Applied, ...]:
    """Puts the plan through the write door under the request's key; `part` names one of several plans of a request."""
    keyed = keyed_of(request)
    database = server_of(request).database
    if keyed is None:
        return await database.write(plan)
    once = keyed.once
    if part:
        once = Once(sha256(f"{once.key}#{part}".encode()).hexdigest(), once.request)
    applied = await database.write(replace(plan, once=once))
    keyed.replayed = keyed.replayed or (not part and any(one.replayed for one in applied))
    return applied
