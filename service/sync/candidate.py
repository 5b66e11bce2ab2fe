"""One resource of theirs on its way here, and a page of them: values that the intake fills in step by step."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.errors import Issue
from service.fhir import references
from service.fhir.ledger import Note
from service.fhir.operations import ABSENT, Delete, Plan, Resource, Update
from service.sync import peers
from service.sync.harmonise import Told
from service.sync.links import Decided
from service.sync.originals import original
from service.sync.peers import Peer, canonical_hash
from service.trial.flags import Flags

OWNERS = ("subject", "patient", "individual", "beneficiary")
PEOPLE = frozenset({"Patient", "Person", "RelatedPerson"})
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(slots=True)
class Candidate:
    """One resource of theirs on its way: `remote` is its Type/id there, `hash` of what they said."""

    remote: str
    resource: Resource
    hash: str
    version: str | None
    links: list[tuple[references.Container, Any, str]] = field(default_factory=list)
    owner: str | None = None
    before: Peer | None = None
    errors: list[Issue] = field(default_factory=list)
    told: Told = field(default_factory=Told)
    peer: Peer | None = None
    operation: Update | Delete | None = None
    dangling: list[str] = field(default_factory=list)  # what it refers to and may come yet

    def notes(self, connection: str) -> tuple[Note, ...]:
        """What is kept of it together with it."""
        assert self.peer is not None
        waiting = [Note(dangling_room(connection), f"{target}|{self.remote}", b"") for target in self.dangling]
        kept = peers.notes(connection, self.remote, self.peer)
        return (*kept, Note(refused_room(connection), self.remote, None), *waiting)


@dataclass(slots=True)
class Batch:
    """What a page comes to: `candidates` are written, `decided` goes with them.

    `diverged` were made here, or changed here and there, and are settled one by one.
    """

    candidates: list[Candidate] = field(default_factory=list)
    diverged: list[Candidate] = field(default_factory=list)
    decided: Decided = field(default_factory=Decided)
    counts: dict[str, int] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)

    def count(self, name: str, more: int = 1) -> None:
        """Counts, unless nothing."""
        if more:
            self.counts[name] = self.counts.get(name, 0) + more

    def written(self) -> list[str]:
        """Type/id of ours that are written or deleted."""
        return [one.peer.local for one in self.candidates if one.peer is not None and one.operation is not None]


def dangling_room(connection: str) -> str:
    """The room of references that wait for their target: `target|referrer`, both Type/id of theirs."""
    return f"dangling/{connection}"


def refused_room(connection: str) -> str:
    """The room of what became a dead letter: reference of theirs → hash, so that it does so once."""
    return f"refused/{connection}"


def plan_of(connection: str, candidates: Sequence[Candidate]) -> Plan:
    """The plan that writes these candidates, their peers and what their profiles find wrong."""
    writing = [one for one in candidates if one.operation is not None]
    flags = {number: one.errors for number, one in enumerate(writing) if one.errors}
    beside = Flags(flags) if flags or any(one.before is not None for one in writing) else None
    notes = tuple(note for one in candidates for note in one.notes(connection))
    return Plan(tuple(one.operation for one in writing if one.operation), beside=beside, notes=notes)


def agree(one: Candidate, local: str) -> None:
    """What is written of the resource, and what both sides are agreed on then."""
    hash_, before = canonical_hash(one.resource), one.before
    version = 1 if before is None else before.local_version + 1
    one.operation = Update(one.resource, if_match=ABSENT)
    if before is not None and not before.deleted:
        one.operation = Update(one.resource, if_match=before.local_version)
        if hash_ == before.local_hash:
            version, one.operation = before.local_version, None
    origin = before.origin if before is not None else "pull"
    one.peer = Peer(local, one.version, one.hash, version, origin, hash_)


def as_sent(one: Candidate, raw: bytes) -> bytes:
    """The bytes of a resource in the page that brought it."""

    def is_it(sent: Any) -> bool:
        return wrong(sent) is None and reference(sent) == one.remote and canonical_hash(sent) == one.hash

    return original(raw, is_it, one.resource)


def hash_all(candidates: Iterable[Candidate]) -> None:
    for one in candidates:
        one.hash = canonical_hash(one.resource)


def wrong(sent: Any) -> Issue | None:
    """Why this is nothing that could be taken at all."""
    if not isinstance(sent, dict) or not isinstance(sent.get("resourceType"), str):
        return Issue("structure", "An entry of the answer is no resource", None, "entry-malformed")
    if not isinstance(sent.get("id"), str) or not _ID.fullmatch(sent["id"]):
        return Issue("structure", "A resource of the answer has no id, or none that R4 allows", None, "entry-malformed")
    return None


def reference(sent: Resource) -> str:
    return f"{sent['resourceType']}/{sent['id']}"


def age(sent: Resource) -> tuple[str, int]:
    """Orders versions of one resource: by lastUpdated, then by a version that is a number."""
    meta = sent.get("meta")
    values = [meta.get(name) if isinstance(meta, dict) else None for name in ("lastUpdated", "versionId")]
    updated, version = (value if isinstance(value, str) else "" for value in values)
    return updated, int(version) if version.isdigit() and version.isascii() else 0


def owners(resource: Resource) -> Iterable[str]:
    """The references that say about whom a resource is."""
    for name in OWNERS:
        value = resource.get(name)
        if isinstance(value, dict) and isinstance(value.get("reference"), str):
            yield value["reference"]


def strip(resource: Resource) -> None:
    """Takes off the narrative, and everything of contained people."""
    resource.pop("text", None)
    contained = resource.get("contained")
    for number, one in enumerate(contained if isinstance(contained, list) else []):
        if isinstance(one, dict) and one.get("resourceType") in PEOPLE:
            contained[number] = {name: one[name] for name in ("resourceType", "id") if name in one}
