"""The message that answers a message, as a reply over HTTP.

Source: https://hl7.org/fhir/R4/messageheader.html
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.responses import Response

from service.api import replies
from service.errors import CartFhirError, Issue, operation_outcome
from service.fhir.message import Message, response
from service.fhir.operations import Applied

TEXTS = {"created": "created", "updated": "updated", "unchanged": "stored already, nothing was changed"}


def answer(
    message: Message, base: str, result: Sequence[Applied] | CartFhirError, notes: Sequence[Issue] = ()
) -> Response:
    """The response message. It is the same for the same result, so that a replayed request sees no difference.

    `notes` are told besides what was done.
    """
    outcome = (
        result.outcome() if isinstance(result, CartFhirError) else operation_outcome([*_done(message, result), *notes])
    )
    bundle = response(message.header, base, _code(result), outcome, _moment(result), _focus(result, base))
    if not isinstance(result, CartFhirError):
        return replies.json(bundle)
    reply = replies.failure(result)  # its headers: Retry-After
    headers = [pair for pair in reply.raw_headers if pair[0] in (b"retry-after", b"etag")]
    again = replies.json(bundle, result.status)
    again.raw_headers += headers
    return again


def _code(result: Sequence[Applied] | CartFhirError) -> str:
    if not isinstance(result, CartFhirError):
        return "ok"
    return "transient-error" if result.status >= 500 else "fatal-error"


def _focus(result: Sequence[Applied] | CartFhirError, base: str) -> list[dict[str, str]]:
    if isinstance(result, CartFhirError):
        return []
    stored = [one.stored for one in result if one.stored is not None]
    return [{"reference": f"{base}/{one.type}/{one.id}/_history/{one.version}"} for one in stored]


def _done(message: Message, result: Sequence[Applied]) -> list[Issue]:
    return [
        Issue(
            "informational",
            f"The resource was {TEXTS.get(one.outcome, one.outcome)}",
            place,
            one.outcome,
            "information",
        )
        for (place, _), one in zip(message.entries, result, strict=True)
    ]


def _moment(result: Sequence[Applied] | CartFhirError) -> datetime:
    if isinstance(result, CartFhirError):
        return datetime.now(UTC)
    return max((one.stored.updated for one in result if one.stored is not None), default=datetime.now(UTC))
