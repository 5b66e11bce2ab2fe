"""Patches worked out before their transaction, so that no other writer waits while a large resource is validated.

What the transaction then finds decides: the work counts where the version is still the one that it was done on, and
is done again inside where it is not.
"""

from __future__ import annotations

from contextlib import suppress

from service.errors import CartFhirError
from service.fhir import json, references
from service.fhir.conditions import chained
from service.fhir.operations import Patch, Plan, Stored
from service.fhir.patch import changed
from service.store.drafts import Draft, Patched, Prepared, refuse_subset
from service.store.reading import Reader


def patched(plan: Plan, operation: Patch, before: Stored) -> Patched:
    """Applies the patch to `before` and checks the outcome."""
    try:
        resource = changed(operation.document, json.decode(before.content or b"", max_depth=10_000))
        if plan.check is not None:
            plan.check(resource)
        refuse_subset(resource)
    except CartFhirError as error:
        return Patched(before, error=error)
    return Patched(before, resource, references.find(resource))


def targets(reader: Reader, prepared: Prepared) -> list[tuple[Draft, Stored]]:
    """The patches of the plan and what they are about now; those that the transaction will refuse are left to it."""
    found: list[tuple[Draft, Stored]] = []
    for draft in prepared.drafts:
        if isinstance(draft.operation, Patch):
            with suppress(CartFhirError):
                found += [(draft, before) for before in _targets(reader, draft.operation)]
    return found


def _targets(reader: Reader, operation: Patch) -> list[Stored]:
    if operation.where is None:
        return [reader.current(operation.type, operation.id or "")]
    if any(chained(condition) for condition in operation.where.conditions):
        return []
    matches = reader.page(operation.where).matches
    return list(matches) if len(matches) == 1 else []


def foresee(prepared: Prepared, found: list[tuple[Draft, Stored]]) -> None:
    """Works the patches out and keeps them with their drafts."""
    for draft, before in found:
        if isinstance(draft.operation, Patch):
            draft.foreseen = patched(prepared.plan, draft.operation, before)
