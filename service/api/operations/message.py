"""A message Bundle taken apart, and the message that answers it.

Source: https://hl7.org/fhir/R4/messageheader.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from starlette.responses import Response

from service.api import replies
from service.errors import BadRequest, CartFhirError, Issue, operation_outcome
from service.fhir import r4
from service.fhir.operations import Applied

HEADER = "Bundle.entry[0].resource"
TEXTS = {"created": "created", "updated": "updated", "unchanged": "stored already, nothing was changed"}


@dataclass(frozen=True, slots=True)
class Message:
    """`event` is (system, code), or ("", uri) for an eventUri; `entries` are those behind the header, with places."""

    header: dict[str, Any]
    event: tuple[str, str]
    entries: tuple[tuple[str, dict[str, Any]], ...]

    @property
    def event_place(self) -> str:
        return f"{HEADER}.eventCoding" if "eventCoding" in self.header else f"{HEADER}.eventUri"


def read(bundle: dict[str, Any]) -> Message:
    """The message. Raises BadRequest where a MessageHeader with an id and an event does not come first."""
    entries = bundle.get("entry")
    first = entries[0] if isinstance(entries, list) and entries else None
    header = first.get("resource") if isinstance(first, dict) else None
    if not isinstance(header, dict) or header.get("resourceType") != "MessageHeader":
        text = "The first entry of a message is its MessageHeader"
        raise BadRequest(text, expression="Bundle.entry[0].resource", code="structure", rule="message-header-first")
    if not isinstance(header.get("id"), str):
        text = "The MessageHeader needs an id: the answer refers to it"
        raise BadRequest(text, expression=f"{HEADER}.id", code="required", rule="id-missing")
    coding, uri = header.get("eventCoding"), header.get("eventUri")
    if isinstance(coding, dict):
        event = (str(coding.get("system", "")), str(coding.get("code", "")))
    elif isinstance(uri, str):
        event = ("", uri)
    else:
        text = "The MessageHeader needs an eventCoding or an eventUri"
        raise BadRequest(text, expression=f"{HEADER}.eventCoding", code="required", rule="required-element")
    rest = entries[1:] if isinstance(entries, list) else []
    return Message(header, event, tuple((f"Bundle.entry[{number}]", entry) for number, entry in enumerate(rest, 1)))


def answer(
    message: Message, base: str, result: Sequence[Applied] | CartFhirError, notes: Sequence[Issue] = ()
) -> Response:
    """The response message. It is the same for the same result, so that a replayed request sees no difference.

    `notes` are told besides what was done.
    """
    identifier = message.header["id"]
    header_url, outcome_url = (f"urn:uuid:{uuid5(NAMESPACE_URL, f'{base}/{identifier}/{n}')}" for n in ("h", "o"))
    event = {name: message.header[name] for name in ("eventCoding", "eventUri") if name in message.header}
    header = r4.make(
        "MessageHeader",
        id=header_url.removeprefix("urn:uuid:"),
        **event,
        destination=_back(message.header),
        source={"name": "cart-fhir", "endpoint": base},
        response={"identifier": identifier, "code": _code(result), "details": {"reference": outcome_url}},
        focus=_focus(result, base) or None,
    )
    outcome = (
        result.outcome() if isinstance(result, CartFhirError) else operation_outcome([*_done(message, result), *notes])
    )
    outcome = {
        "resourceType": "OperationOutcome",
        "id": outcome_url.removeprefix("urn:uuid:"),
        "issue": outcome["issue"],
    }
    entries = [{"fullUrl": header_url, "resource": header}, {"fullUrl": outcome_url, "resource": outcome}]
    moment = _moment(result).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    bundle = {"resourceType": "Bundle", "type": "message", "timestamp": moment, "entry": entries}
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


def _back(header: dict[str, Any]) -> list[dict[str, Any]]:
    source = header.get("source", {})
    return [{name: source[name] for name in ("name", "endpoint") if isinstance(source.get(name), str)}]


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
