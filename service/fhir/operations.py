"""The vocabulary of the write door: a Plan of operations goes in, Applied values come out. All are values.

Those that a bundle has thousands of are Structs, which are made in a third of the time of a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec

from service.errors import CartFhirError
from service.fhir.dates import moment
from service.fhir.ledger import JobStep, Note
from service.fhir.patch import Document
from service.fhir.search import Query

Resource = dict[str, Any]
ABSENT = 0  # as the `if_match` of an Update: the resource must not exist


class Create(msgspec.Struct, frozen=True):
    """POST. With `if_none_exist`, one match makes it a no-op and several a PreconditionFailed.

    `full_url` is the entry's `urn:uuid:…`, to which other operations of the plan may refer.
    """

    resource: Resource
    if_none_exist: Query | None = None
    full_url: str | None = None


class Update(msgspec.Struct, frozen=True):
    """PUT: `resource["id"]` names the target, or `where` (conditional update) finds it.

    `if_match` is the version that must be current, or ABSENT. An unknown id is created. Nothing changed: no new
    version.
    """

    resource: Resource
    where: Query | None = None
    if_match: int | None = None
    full_url: str | None = None


class Patch(msgspec.Struct, frozen=True):
    """PATCH by type and id, or by `where` with exactly one match; `document` is applied to what is stored then.

    Nothing changed: no new version.
    """

    type: str
    document: Document
    id: str | None = None
    where: Query | None = None
    if_match: int | None = None


class Delete(msgspec.Struct, frozen=True):
    """DELETE by type and id, or by `where` with at most one match. Idempotent."""

    type: str
    id: str | None = None
    where: Query | None = None
    if_match: int | None = None


class Read(msgspec.Struct, frozen=True):
    """GET of one resource inside the plan's transaction, after its writes."""

    type: str
    id: str
    version: int | None = None


class Search(msgspec.Struct, frozen=True):
    """GET of a search inside the plan's transaction, after its writes."""

    query: Query


Operation = Create | Update | Patch | Delete | Read | Search


@dataclass(frozen=True, slots=True)
class Once:
    """An idempotency key: digests of the `key` and of the `request` that it stands for.

    Of one key the plan is applied once; the second time its results are given back. `results` are kept instead of
    the plan's own where they are given (a batch, whose entries are plans of their own).
    """

    key: str
    request: str
    results: tuple[Result, ...] | None = None


class Beside(Protocol):
    """What is kept beside the resources that a plan writes: for each at most one, under an id that follows from its
    own. It is asked in the transaction, perhaps more than once; when a resource is deleted, so is what is beside it.
    """

    def identity(self, type_: str, id_: str) -> tuple[str, str]:
        """Type and id of what stands beside `type_/id_`."""
        ...

    def wanted(self, number: int, reference: str, resource: Resource, known: Resource | None) -> Resource | None:
        """What shall stand beside the resource of the plan's operation `number`; None: what stands there, may stay.

        `reference` is its `Type/id`, `known` what stands beside it now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """Operations that succeed or fail together, whatever their order (hl7.org/fhir/R4/http.html#trules).

    `places` names each operation in errors (`Bundle.entry[3]`); empty for a single interaction.
    `base` is our own FHIR base: absolute references to it are kept as relative ones.
    A `rehearsal` is resolved and checked like any other plan, and then nothing of it is kept.
    `check` raises a CartFhirError for a patched resource that may not be stored; it is called in the transaction.
    `beside` is kept beside the resources in the same transaction; it has no results of its own.
    `notes` and `jobs` are written in the same transaction, or the plan fails with them.
    """

    operations: tuple[Operation, ...]
    places: tuple[str, ...] = ()
    base: str = ""
    once: Once | None = None
    rehearsal: bool = False
    check: Callable[[Resource], None] | None = None
    beside: Beside | None = None
    notes: tuple[Note, ...] = ()
    jobs: tuple[JobStep, ...] = ()

    def about(self, type_: str, id_: str) -> tuple[tuple[str, str], ...]:
        """The resource, and what may stand beside it: type and id of each."""
        return ((type_, id_),) if self.beside is None else ((type_, id_), self.beside.identity(type_, id_))


class Stored(msgspec.Struct, frozen=True):
    """One version as it is stored. `content` is its JSON; None where this version is a deletion.

    `at` is when it was written, in microseconds since 1970. A search makes hundreds of these, hence a Struct.
    """

    type: str
    id: str
    version: int
    at: int
    content: bytes | None
    method: str = "PUT"

    @property
    def updated(self) -> datetime:
        """When it was written, in UTC."""
        return moment(self.at)

    @property
    def etag(self) -> str:
        return f'W/"{self.version}"'


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page: matches in order, what was included, the exact total where asked, the cursor of the next page."""

    matches: tuple[Stored, ...]
    included: tuple[Stored, ...] = ()
    total: int | None = None
    next: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page of versions, newest first."""

    versions: tuple[Stored, ...]
    total: int | None = None
    next: int | None = None


class Applied(msgspec.Struct, frozen=True):
    """What one operation did.

    outcome: created · updated · unchanged · existing (If-None-Exist matched) · deleted · absent (nothing to
    delete) · read · found. `stored` is the resulting version (for deleted: the deletion; absent: None).
    `replayed`: not now, but when the request with this idempotency key came first.
    """

    outcome: str
    stored: Stored | None = None
    page: SearchPage | None = None
    replayed: bool = False

    @property
    def status(self) -> int:
        """HTTP status of the interaction."""
        return {"created": 201, "deleted": 204, "absent": 204}.get(self.outcome, 200)


class Answer(msgspec.Struct, frozen=True):
    """What an entry was answered that is no operation of a plan: the HTTP status, and the JSON of a resource or b""."""

    status: int
    content: bytes
    etag: str | None = None


Result = Applied | Answer | CartFhirError


def plan_of(*operations: Operation, places: Sequence[str] = ()) -> Plan:
    """A plan of these operations."""
    return Plan(operations, tuple(places))
