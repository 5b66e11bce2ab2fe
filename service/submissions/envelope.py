"""The message of a submission: what it says of itself, the hash of its payload, the ids that follow from it.

Sender: `MessageHeader.source.endpoint`; message id: `MessageHeader.id`; when it was made: `Bundle.timestamp`. The
payload is the Bundle without id, meta and timestamp: a message that is sent again in another envelope is the same.
Source: https://hl7.org/fhir/R4/messaging.html#dupl
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from service.errors import Issue, Unprocessable
from service.fhir import r4
from service.fhir.message import HEADER, Message
from service.trial.mapping.identity import BASE, content_hash

EVENTS = f"{BASE}/CodeSystem/message-event"
SUBMISSION, VOID = "submission", "submission-void"
REPLACES = f"{BASE}/StructureDefinition/replaces-message"
ENVELOPE = frozenset({"id", "meta", "timestamp"})
MESSAGE_ID = f"{BASE}/identifier/message"

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Submission:
    """A message with the event `submission` or `submission-void`; `replaces` is the id of the message it is about.

    `digest` is `sha256:` and the hex digest of the canonical payload; `obligation` names the Task of the sender that
    it answers, "" where it brings none.
    """

    message: Message
    kind: str
    sender: str
    id: str
    sent: datetime
    digest: str
    replaces: str | None
    obligation: str

    @property
    def receipt_id(self) -> str:
        """The id of the receipt: of the same sender and message always the same."""
        return receipt_id(self.sender, self.id)


def receipt_id(sender: str, message_id: str) -> str:
    """UUIDv5 of sender and message id."""
    return str(uuid5(uuid5(NAMESPACE_URL, sender), message_id))


def digest(bundle: Resource) -> str:
    """The hash of the payload of a message Bundle, whatever the order of keys: of all but its envelope."""
    return content_hash({name: value for name, value in bundle.items() if name not in ENVELOPE})


def is_submission(message: Message) -> bool:
    """Whether the message has an event of this room."""
    return message.event in ((EVENTS, SUBMISSION), (EVENTS, VOID))


def opened(message: Message, bundle: Resource) -> Submission:
    """The submission in a valid message Bundle. Raises Unprocessable with everything that it lacks."""
    issues = list(_lacking(message, bundle))
    if issues:
        raise Unprocessable(issues=issues)
    sent = datetime.fromisoformat(bundle["timestamp"])
    task = task_of(message)
    return Submission(
        message,
        message.event[1],
        message.header["source"]["endpoint"],
        message.header["id"],
        sent,
        digest(bundle),
        replaced(message.header),
        _name_of(task) if task is not None else "",
    )


def replaced(header: Resource) -> str | None:
    """The id of the message that a MessageHeader says it replaces, or takes back."""
    found = (one.get("valueId") for one in header.get("extension", []) if one.get("url") == REPLACES)
    return next(found, None)


def task_of(message: Message) -> Resource | None:
    """The Task among the entries: the obligation that the message answers."""
    resources = (entry.get("resource", {}) for _, entry in message.entries)
    return next((one for one in resources if one.get("resourceType") == "Task"), None)


def _name_of(task: Resource) -> str:
    """The Task by its identifier, else by its id."""
    for one in task.get("identifier", []):
        if one.get("system") and one.get("value"):
            return f"{one['system']}|{one['value']}"
    return task.get("id", "")


def _lacking(message: Message, bundle: Resource) -> Iterator[Issue]:
    if "timestamp" not in bundle:
        text = "A submission says when it was made: of two about one obligation the newer counts"
        yield Issue("required", text, "Bundle.timestamp", "submission-time")
    names = [entry.get("resource", {}).get("resourceType") for _, entry in message.entries]
    if message.event[1] == VOID:
        if replaced(message.header) is None:
            text = "A void names the message that it takes back, in the extension replaces-message"
            yield Issue("required", text, f"{HEADER}.extension", "submission-replaces")
        if names not in ([], ["Task"]):
            text = "A void brings nothing but its header, and the Task that it is about"
            yield Issue("business-rule", text, "Bundle.entry[1]", "submission-entries")
        return
    if not names:
        yield Issue("required", "A submission brings at least one resource", "Bundle.entry", "submission-entries")
    if names.count("Task") > 1:
        second = [place for (place, _), name in zip(message.entries, names, strict=True) if name == "Task"][1]
        text = "A submission answers one obligation, so it has one Task"
        yield Issue("business-rule", text, f"{second}.resource", "submission-entries")
    yield from _entry_issues(message)


def _entry_issues(message: Message) -> Iterator[Issue]:
    seen: dict[str, str] = {}
    known = set()
    for place, entry in message.entries:
        resource = entry.get("resource")
        if resource is None:
            yield Issue("required", "The entry has no resource", f"{place}.resource", "submission-entries")
            continue
        key = f"{resource['resourceType']}/{resource.get('id') or entry.get('fullUrl')}"
        known |= {entry.get("fullUrl"), key}
        other = seen.setdefault(key, place)
        if other != place:
            text = f"The resource stands in {other} already"
            yield Issue("duplicate", text, f"{place}.resource.id", "identity-overlap")
        if resource["resourceType"] in ("MessageHeader", "Bundle"):
            text = "A message inside of a submission is not taken"
            yield Issue("not-supported", text, f"{place}.resource", "submission-entries")
    for number, one in enumerate(message.header.get("focus", [])):
        if one.get("reference") not in known:
            place = f"{HEADER}.focus[{number}].reference"
            yield Issue("not-found", "The focus is not in the message", place, "focus-not-in-message")


def enclosed(
    kind: str,
    message_id: str,
    sender: Resource,
    to: str,
    made: str,
    entries: list[Resource],
    replaces: str | None = None,
) -> Resource:
    """A message Bundle to send: `sender` is MessageHeader.source, `made` an instant, `to` the address it goes to.

    `entries` have fullUrl and resource; the first is the focus. Raises Internal where the header is malformed.
    """
    extension = [{"url": REPLACES, "valueId": replaces}] if replaces else None
    header = r4.make(
        "MessageHeader",
        id=message_id,
        extension=extension,
        eventCoding={"system": EVENTS, "code": kind},
        destination=[{"endpoint": to}],
        source=sender,
        focus=[{"reference": entries[0]["fullUrl"]}] if entries else None,
    )
    first = {"fullUrl": f"urn:uuid:{message_id}", "resource": header}
    bundle = {"resourceType": "Bundle", "id": message_id, "type": "message", "timestamp": made}
    return {**bundle, "entry": [first, *entries]}
