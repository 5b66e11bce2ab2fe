"""What the registry has received, its receipts, and the hash by which it knows the same message again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from service.fhir import json
from service.simulators.wire import Resource

MESSAGE = "https://registry.example/message"
RECEIPT = "https://registry.example/receipt"
SHA256 = "https://registry.example/sha256"
_NAMESPACE = UUID("5b1c0f6e-7a0d-5c0e-9a35-2f9d1c4f7a11")
_ENVELOPE = ("id", "meta", "timestamp")


def payload_hash(bundle: Resource) -> str:
    """SHA-256, in hexadecimal, of the bundle's canonical JSON.

    Canonical: UTF-8 without white space, keys sorted, numbers as they were written. The id, meta and timestamp of the
    Bundle are left out: they are the envelope's, and may change when the same message is sent again.
    """
    payload = {name: value for name, value in bundle.items() if name not in _ENVELOPE}
    return hashlib.sha256(json.encode(_sorted(payload))).hexdigest()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def receipt_id(sender: str, message_id: str) -> str:
    """The id of the receipt: the same for the same sender and message id."""
    return str(uuid5(_NAMESPACE, f"{sender}|{message_id}"))


@dataclass(slots=True)
class Received:
    """A message, or a bundle posted to the base, that was taken. `times` counts how often it came."""

    receipt: str
    number: int
    sender: str
    message_id: str
    event: str
    sha256: str
    at: str
    bundle: Resource
    times: int = 1

    def as_receipt(self) -> Resource:
        """The receipt, a Basic that never changes."""
        identifiers = ((RECEIPT, f"R-{self.number:06d}"), (MESSAGE, self.message_id), (SHA256, self.sha256))
        return {
            "resourceType": "Basic",
            "id": self.receipt,
            "meta": {"versionId": "1", "lastUpdated": self.at},
            "identifier": [{"system": system, "value": value} for system, value in identifiers],
            "code": {"text": "Receipt"},
            "created": self.at[:10],
        }


def now() -> str:
    """The instant of now, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
