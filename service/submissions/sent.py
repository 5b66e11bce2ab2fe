"""What is noted of the messages that we send: the intent before, the answer after, the bytes for good.

A message that was intended is sent with the same bytes as often as it takes, so that a registry that has seen it
gives the same receipt again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from service.errors import NotFound
from service.fhir.json import decode, encode
from service.fhir.ledger import Note
from service.store.database import Database

SENT, PAYLOAD, OF_TASK = "submission-sent", "submission-payload", "submission-of-task"

Resource = dict[str, Any]


class Sent(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message. `state`: intended · received · queried · accepted · rejected · superseded · voided.

    `task` and `response` are ids of ours; `receipt` is the registry's reference, `receipt_hash` the hash that it
    states. `replaces` is the message that this one stands in for or takes back, and `before` the Task of that.
    """

    message: str
    task: str
    destination: str
    kind: str
    digest: str
    made: str
    state: str = "intended"
    response: str | None = None
    replaces: str | None = None
    before: str | None = None
    receipt: str | None = None
    receipt_hash: str | None = None
    answered: str | None = None
    job: str | None = None
    reason: str | None = None

    def note(self, before: bytes | None) -> Note:
        """Its note, where `before` is there now."""
        return Note(SENT, self.message, msgspec.json.encode(self), before)


async def find(database: Database, message: str) -> tuple[Sent, bytes]:
    """A message that we sent or mean to send, with its note's content. Raises NotFound."""
    content = await database.note(SENT, message)
    if content is None:
        raise NotFound(f"No message {message} was made here", rule="unknown-message")
    return msgspec.json.decode(content, type=Sent), content


async def of_task(database: Database, task: str) -> Sent | None:
    """The latest message of an obligation; None where there was none."""
    message = await database.note(OF_TASK, task)
    return (await find(database, message.decode()))[0] if message is not None else None


def payload_note(bundle: Resource) -> Note:
    """The bytes of a message, which never change."""
    return Note(PAYLOAD, bundle["entry"][0]["resource"]["id"], encode(bundle), None)


async def payload(database: Database, message: str) -> bytes:
    """The bytes of a message. Raises NotFound."""
    content = await database.note(PAYLOAD, message)
    if content is None:
        raise NotFound(f"No message {message} was made here", rule="unknown-message")
    return content


async def bundle_of(database: Database, message: str) -> Resource:
    """The message itself. Raises NotFound."""
    return decode(await payload(database, message), 10_000)
