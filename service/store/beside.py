"""What a plan keeps beside its resources (service.fhir.operations.Beside), in the same transaction.

It is worked out after the plan's own writes, when every id is known and every link is final.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.fhir import json, references
from service.fhir.operations import Applied, Create, Delete, Update
from service.store.drafts import Draft, Prepared, finish, link
from service.store.staging import Staging

WRITTEN = frozenset({"created", "updated", "unchanged", "deleted"})


def beside(staging: Staging, prepared: Prepared, results: Sequence[Applied | None]) -> list[Draft]:
    """The writes that follow from what the plan's operations did: at most one for each."""
    drafts = [] if prepared.plan.beside is None else prepared.drafts
    pairs = enumerate(zip(drafts, results, strict=False))
    following = (_following(staging, prepared, number, draft, applied) for number, (draft, applied) in pairs)
    return [draft for draft in following if draft is not None]


def _following(
    staging: Staging, prepared: Prepared, number: int, draft: Draft, applied: Applied | None
) -> Draft | None:
    keeper = prepared.plan.beside
    if keeper is None or applied is None or applied.outcome not in WRITTEN or draft.identity is None:
        return None
    identity = keeper.identity(*draft.identity)
    before = None
    if not isinstance(draft.operation, Create):  # there is nothing yet beside what has a new id
        entity = staging.entity(identity, with_content=True)
        before = entity.content if entity.alive else None
    if applied.outcome == "deleted":
        return Draft(Delete(*identity), draft.place, identity) if before is not None else None
    known = json.decode(before, max_depth=10_000) if before is not None else None
    resource = keeper.wanted(number, "/".join(draft.identity), draft.resource, known)
    if resource is None:
        return None
    following = Draft(Update(resource), draft.place, identity, references.find(resource))
    link(following, {})
    finish(following, staging.indexer)
    return following
