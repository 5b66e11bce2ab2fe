"""Receipts: an immutable Provenance for each submission that was taken, and what this room notes of it.

A Provenance, since it says who sent what and when, is not asked whether its targets still live, and so outlives what
a void takes back. The store refuses to change or delete one (service.store.integrity).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from service import __version__
from service.fhir import r4
from service.fhir.ledger import Note
from service.store.database import Database
from service.submissions.envelope import EVENTS, MESSAGE_ID, Submission, receipt_id
from service.trial.mapping.identity import BASE
from service.trial.provenance import AGENT

RECEIVED, CURRENT, HELD = "submission-received", "submission-current", "submission-held"
HASH = f"{BASE}/StructureDefinition/content-hash"

Resource = dict[str, Any]


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is noted of a submission that was taken. `state`: accepted · superseded · voided.

    `resources` are the `Type/id` that it brought, `task` the one among them that is kept by a void; `by` is the
    receipt of what superseded or voided it. Times in ISO 8601.
    """

    sender: str
    message: str
    digest: str
    kind: str
    sent: str
    received: str
    obligation: str
    state: str = "accepted"
    resources: tuple[str, ...] = ()
    task: str | None = None
    replaces: str | None = None
    by: str | None = None

    @property
    def receipt(self) -> str:
        return receipt_id(self.sender, self.message)

    @property
    def made(self) -> datetime:
        """When the sender made it."""
        return datetime.fromisoformat(self.sent)


_decoder = msgspec.json.Decoder(Record)


def record_of(content: bytes) -> Record:
    """The record in a note."""
    return _decoder.decode(content)


def note_of(record: Record, before: bytes | None) -> Note:
    """The note of a record, where `before` is there now."""
    return Note(RECEIVED, record.receipt, msgspec.json.encode(record), before)


async def received(database: Database, sender: str, message_id: str) -> tuple[Record, bytes] | None:
    """What was taken of a sender under a message id, with the note's content; None where nothing was."""
    content = await database.note(RECEIVED, receipt_id(sender, message_id))
    return (record_of(content), content) if content is not None else None


def receipt(submission: Submission, recorded: str, targets: Iterable[str], profiles: Iterable[str]) -> Resource:
    """The receipt: hash, time, sender, message id; `policy` are the profiles, with versions, that were checked.

    Raises Internal where it is malformed.
    """
    sender = {"system": "urn:ietf:rfc:3986", "value": submission.sender}
    what = {"identifier": {"system": MESSAGE_ID, "value": submission.id, "assigner": {"identifier": sender}}}
    ours = AGENT | {"who": AGENT["who"] | {"display": f"cart-fhir {__version__}"}}
    of_message = [{"reference": target} for target in targets] or [what]
    return r4.make(
        "Provenance",
        id=submission.receipt_id,
        extension=[{"url": HASH, "valueString": submission.digest}],
        target=of_message,
        recorded=recorded,
        policy=sorted(profiles) or None,
        activity={"coding": [{"system": EVENTS, "code": submission.kind}]},
        agent=[ours, {"who": {"identifier": sender}}],
        entity=[{"role": "source", "what": what}],
    )


def hash_of(provenance: Resource) -> str | None:
    """The hash of the payload that a receipt states."""
    found = provenance.get("extension", [])
    return next((one.get("valueString") for one in found if one.get("url") == HASH), None)
