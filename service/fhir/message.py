"""A message Bundle taken apart, and the message that answers one.

Source: https://hl7.org/fhir/R4/messageheader.html and https://hl7.org/fhir/R4/messaging.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from service.errors import BadRequest
from service.fhir import r4

HEADER = "Bundle.entry[0].resource"


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


def response(
    asked: dict[str, Any],
    base: str,
    code: str,
    outcome: dict[str, Any],
    moment: datetime,
    focus: Iterable[dict[str, str]] = (),
    more: Iterable[dict[str, Any]] = (),
) -> dict[str, Any]:
    """The message that answers the MessageHeader `asked`: header, OperationOutcome, and the entries `more`.

    `code` is that of response-code: ok, transient-error or fatal-error. The same input gives the same message.
    """
    identifier = asked["id"]
    header_url, outcome_url = (f"urn:uuid:{uuid5(NAMESPACE_URL, f'{base}/{identifier}/{n}')}" for n in ("h", "o"))
    event = {name: asked[name] for name in ("eventCoding", "eventUri") if name in asked}
    header = r4.make(
        "MessageHeader",
        id=header_url.removeprefix("urn:uuid:"),
        **event,
        destination=_back(asked),
        source={"name": "cart-fhir", "endpoint": base},
        response={"identifier": identifier, "code": code, "details": {"reference": outcome_url}},
        focus=list(focus) or None,
    )
    told = {
        "resourceType": "OperationOutcome",
        "id": outcome_url.removeprefix("urn:uuid:"),
        "issue": outcome["issue"],
    }
    entries = [{"fullUrl": header_url, "resource": header}, {"fullUrl": outcome_url, "resource": told}, *more]
    at = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"resourceType": "Bundle", "type": "message", "timestamp": at, "entry": entries}


def _back(header: dict[str, Any]) -> list[dict[str, Any]]:
    source = header.get("source", {})
    return [{name: source[name] for name in ("name", "endpoint") if isinstance(source.get(name), str)}]
