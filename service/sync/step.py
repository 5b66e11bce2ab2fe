"""One step of a push: what is written of which version, and how that is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from service.errors import Issue
from service.fhir.operations import Resource, Stored
from service.remote import Got
from service.sync.outgoing import Outgoing
from service.sync.peers import Peer


@dataclass(frozen=True, slots=True)
class Item:
    """A version of ours that shall be there, and its `peer` under `remote` (`Type/id` of theirs), if it has one."""

    local: str
    stored: Stored
    resource: Resource
    remote: str | None = None
    peer: Peer | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """What is about to be made; `query` is a condition that the other side understands."""

    item: Item
    query: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What is about to be changed: theirs as it was read, and our form of it."""

    item: Item
    got: Got
    base: Resource

    @property
    def if_match(self) -> str | None:
        version = self.got.version
        return self.got.etag or (f'W/"{version}"' if version else None)


Step = Create | Change


def condition(out: Outgoing) -> str:
    """The criterion that finds a resource of ours there."""
    return f"identifier={quote(out.identifier['system'] + '|' + out.identifier['value'], safe='')}"


def told(local: str, missing: Sequence[str], unlinked: Sequence[str]) -> Iterator[Issue]:
    """What the Task says of elements (FHIRPaths) that the other side did not keep, and of references that it lacks."""
    for path in missing:
        yield Issue("incomplete", f"{local}: the other side did not keep {path}", path, "push-dropped", "warning")
    for path in unlinked:
        text = f"{local}: {path} names what the other side does not have; sent as a logical reference"
        yield Issue("informational", text, path, "push-unlinked", "information")
