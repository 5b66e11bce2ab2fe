"""A plan made ready outside the transaction: links found, search values extracted, JSON encoded.

What depends on the outcome of a condition (an id that If-None-Exist may find) is left to the transaction.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import Any

from service.errors import BadRequest, CartFhirError, Issue, Unprocessable
from service.fhir import json, references
from service.fhir.dates import instant
from service.fhir.operations import Create, Delete, Operation, Patch, Plan, Read, Stored, Update
from service.store.index import Indexer, Values

Identity = tuple[str, str]  # resource type, id
SUBSETTED_SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"


@dataclass(frozen=True, slots=True)
class Patched:
    """What a patch makes of the version `before`: a resource and its links, or the `error` that refuses it."""

    before: Stored
    resource: dict[str, Any] = field(default_factory=dict)
    links: references.Links | None = None
    error: CartFhirError | None = None

    def is_of(self, version: Stored) -> bool:
        """Whether this is the version that was patched."""
        mine = self.before
        return (mine.type, mine.id, mine.version) == (version.type, version.id, version.version)


@dataclass(slots=True)
class Draft:
    """One operation of a plan on its way. `identity`, `values` and `patched` are None until they are known.

    `foreseen` is what a patch made of the version that was current before the transaction.
    """

    operation: Operation
    place: str | None
    identity: Identity | None = None
    links: references.Links | None = None
    local: list[references.Link] = field(default_factory=list)
    values: Values | None = None
    meta: bytes = b""
    tail: bytes = b""
    patched: dict[str, Any] | None = None
    foreseen: Patched | None = None

    @property
    def resource(self) -> dict[str, Any]:
        if self.patched is not None:
            return self.patched
        return self.operation.resource  # type: ignore[union-attr]


@dataclass(slots=True)
class Prepared:
    """A plan and its drafts; `linked` where every link is final already."""

    plan: Plan
    drafts: list[Draft]
    linked: bool


def new_id() -> str:
    """A UUIDv7: ids made one after the other stand side by side in the index (RFC 9562, 5.7)."""
    raw = int(time.time() * 1000).to_bytes(6, "big") + _drawn()
    text = (raw[:6] + bytes((raw[6] & 0x0F | 0x70, raw[7], raw[8] & 0x3F | 0x80)) + raw[9:]).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_supply: list[bytes] = []
os.register_at_fork(after_in_child=_supply.clear)


def _drawn() -> bytes:
    """Ten random bytes. The system is asked for many at once: each time another thread may take the interpreter."""
    try:
        return _supply.pop()
    except IndexError:
        many = os.urandom(2560)
        _supply.extend(many[start : start + 10] for start in range(10, 2560, 10))
        return many[:10]


def prepare(plan: Plan, indexer: Indexer) -> Prepared:
    """Everything about the plan that needs no database. Raises BadRequest for links that lead nowhere."""
    places = plan.places or (None,) * len(plan.operations)
    drafts = [_draft(operation, place) for operation, place in zip(plan.operations, places, strict=True)]
    for draft in drafts:
        localize(draft, plan.base)
    linked = not any(_depends(draft) for draft in drafts)
    if linked:
        targets = full_urls(drafts)
        for draft in drafts:
            if draft.links is not None:
                link(draft, targets)
                finish(draft, indexer)
    return Prepared(plan, drafts, linked)


def localize(draft: Draft, base: str) -> None:
    """Absolute references to our own `base` become relative ones."""
    if base and draft.links is not None and draft.links.absolute:
        references.localize(draft.links, base)


def refuse_subset(resource: dict[str, Any]) -> None:
    """Raises Unprocessable for a resource that says that it is only a part of itself: the rest would be lost."""
    meta = resource.get("meta")
    for tag in meta.get("tag", ()) if isinstance(meta, dict) else ():
        if isinstance(tag, dict) and tag.get("code") == "SUBSETTED" and tag.get("system") == SUBSETTED_SYSTEM:
            text = "The resource is tagged SUBSETTED: it was read in part, and writing it would lose the rest"
            expression = f"{resource['resourceType']}.meta.tag"
            raise Unprocessable(text, expression=expression, rule="subsetted")


def _draft(operation: Operation, place: str | None) -> Draft:
    draft = Draft(operation, place)
    if isinstance(operation, (Create, Update)):
        draft.links = references.find(operation.resource)
        if isinstance(operation, Create):
            if operation.if_none_exist is None:
                draft.identity = (operation.resource["resourceType"], new_id())
            return draft
        try:
            refuse_subset(operation.resource)
        except Unprocessable as error:
            raise placed(error, draft) from None
        if operation.where is None:
            draft.identity = (operation.resource["resourceType"], operation.resource["id"])
    elif isinstance(operation, (Patch, Delete, Read)) and operation.id is not None:
        draft.identity = (operation.type, operation.id)
    return draft


def _depends(draft: Draft) -> bool:
    operation = draft.operation
    if isinstance(operation, Create):
        return operation.if_none_exist is not None or bool(draft.links and draft.links.conditional)
    if isinstance(operation, Update):
        return operation.where is not None or bool(draft.links and draft.links.conditional)
    return isinstance(operation, Patch)


def full_urls(drafts: list[Draft]) -> dict[str, str]:
    """fullUrl → `Type/id` of every entry whose identity is known."""
    return {
        draft.operation.full_url: "/".join(draft.identity)
        for draft in drafts
        if isinstance(draft.operation, (Create, Update)) and draft.operation.full_url and draft.identity
    }


def link(draft: Draft, targets: dict[str, str]) -> None:
    """Rewrites the draft's links; a `urn:` reference that no entry has is a BadRequest with its place."""
    assert draft.links is not None
    draft.local, left = references.relink(draft.links, targets, getattr(draft.operation, "full_url", None))
    if left:
        container, key, _ = left[0]
        error = BadRequest(
            "The reference is to a urn that no entry of the bundle has as its fullUrl",
            expression=references.path_of(draft.resource, container, key),
            code="not-found",
            rule="unresolved-urn",
        )
        raise placed(error, draft)


def finish(draft: Draft, indexer: Indexer) -> None:
    """Extracts the search values and encodes the resource, once its links are final."""
    resource = draft.resource
    draft.values = indexer.values(resource, draft.local)
    rest = {key: value for key, value in resource.items() if key not in ("resourceType", "id", "meta")}
    draft.tail = b"," + json.encode(rest)[1:] if rest else b"}"
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")}
    draft.meta = b"," + json.encode(meta)[1:] if meta else b"}"


def content(draft: Draft, version: int, updated: int) -> bytes:
    """The JSON of this version: what the client sent, with id, versionId and lastUpdated."""
    assert draft.identity is not None
    type_, id_ = draft.identity
    head = (
        f'{{"resourceType":"{type_}","id":"{id_}","meta":{{"versionId":"{version}","lastUpdated":"{instant(updated)}"'
    )
    return head.encode() + draft.meta + draft.tail


def placed(error: CartFhirError, draft: Draft) -> CartFhirError:
    """The error as seen from the draft's place in its bundle."""
    if draft.place is None:
        return error
    if isinstance(draft.operation, Patch):
        return type(error)(issues=[_of_patch(issue, draft.place) for issue in error.issues], headers=error.headers)
    inside = any(issue.expression for issue in error.issues) and isinstance(draft.operation, (Create, Update))
    return error.under(f"{draft.place}.resource" if inside else draft.place)


def _of_patch(issue: Issue, place: str) -> Issue:
    """An issue of a PATCH entry: of the operations that it sends, or of what they make, which the text then names."""
    if issue.expression is None or issue.expression.startswith("Parameters."):
        return issue.under(f"{place}.resource" if issue.expression else place)
    text = f"After the patch, {issue.expression}: {issue.text}"
    return replace(issue, text=text, expression=f"{place}.resource")
