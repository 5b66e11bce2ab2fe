"""What the client hands out: single answers and pages of a search."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from service.remote.calls import Answer, Call
from service.remote.failures import Resource
from service.remote.waiting import retry_at

# https://hl7.org/fhir/R4/http.html#create: [base]/[type]/[id]/_history/[vid]
_LOCATION = re.compile(r"(?:^|/)(?P<type>[A-Z][A-Za-z]+)/(?P<id>[^/?#]+)(?:/_history/(?P<version>[^/?#]+))?$")
_ETAG = re.compile(r'(?:W/)?"(?P<version>[^"]+)"$')


@dataclass(frozen=True)
class Got:
    """One good answer. `resource` is None where the body is empty, or an OperationOutcome that a write brought.

    `raw` is the body as it came, `headers` have names in lower case, `outcome` is that OperationOutcome, and
    `doubtful` is true where an earlier attempt may have arrived as well.
    """

    resource: Resource | None
    raw: bytes
    status: int
    headers: Mapping[str, str]
    request_id: str
    url: str
    outcome: Resource | None = None
    doubtful: bool = False

    @classmethod
    def of(cls, call: Call, answer: Answer, resource: Resource | None, outcome: Resource | None = None) -> Got:
        """The answer to a call with what its body holds."""
        return cls(resource, answer.body, answer.status, answer.headers, call.id, answer.url, outcome, answer.doubtful)

    @property
    def etag(self) -> str | None:
        """The ETag as it came, to be sent in If-Match."""
        return self.headers.get("etag")

    @property
    def location(self) -> str | None:
        """Location, or Content-Location of an asynchronous answer."""
        return self.headers.get("location") or self.headers.get("content-location")

    @cached_property
    def id(self) -> str | None:
        """The logical id, from Location or else the resource."""
        match = _LOCATION.search(self.location or "")
        return match["id"] if match else _text(self.resource, "id")

    @cached_property
    def version(self) -> str | None:
        """The version id, from Location, the ETag or else the resource."""
        match = _LOCATION.search(self.location or "")
        if match and match["version"]:
            return match["version"]
        match = _ETAG.match(self.etag or "")
        return match["version"] if match else _text((self.resource or {}).get("meta"), "versionId")

    @property
    def retry_at(self) -> datetime | None:
        """When the server wants to be polled again, in UTC."""
        return retry_at(self.headers)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search or history: its `entries` but for OperationOutcomes, which stand in `outcomes`.

    `url` is its own address and `next` that of the one behind it, as the server wrote it; `raw` the body as it came.
    """

    entries: list[Resource]
    outcomes: list[Resource]
    url: str
    next: str | None
    request_id: str
    raw: bytes = b""


def _text(value: object, name: str) -> str | None:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
