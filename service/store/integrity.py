"""What must hold when a plan is done: the version that was asked for, references that lead somewhere.

Source: https://hl7.org/fhir/R4/http.html#concurrency and the referencePolicy `enforced` of our CapabilityStatement
"""

from __future__ import annotations

from service.errors import Conflict, PreconditionFailed
from service.fhir import json, references
from service.fhir.operations import ABSENT
from service.store.drafts import Draft, Identity
from service.store.staging import Entity, Staging

# They tell what happened to a resource and outlive it; what they point at may be deleted.
RECORDS = frozenset({"Provenance", "AuditEvent"})
# A Provenance with an activity of this system is the receipt of a submission.
RECEIPTS = "https://cart-fhir.example/fhir/CodeSystem/message-event"


def check_changeable(staging: Staging, identity: Identity) -> None:
    """Raises Conflict for the receipt of a submission: it says for ever what was taken."""
    if identity[0] != "Provenance":
        return
    before = staging.entity(identity, with_content=True)
    if not before.alive or RECEIPTS.encode() not in (before.content or b""):
        return
    codings = json.decode(before.content or b"{}", 10_000).get("activity", {}).get("coding", [])
    if any(coding.get("system") == RECEIPTS for coding in codings):
        text = "A receipt of a submission is never changed nor deleted"
        raise Conflict(text, expression="Provenance", code="business-rule", rule="receipt-immutable")


def check_version(before: Entity | None, if_match: int | None) -> None:
    """Raises PreconditionFailed, with the current ETag, unless the version asked for is current."""
    if if_match is None:
        return
    if if_match == ABSENT:
        if before is not None and before.alive:
            text, headers = "If-None-Match is *, and the resource exists", {"ETag": f'W/"{before.version}"'}
            raise PreconditionFailed(text, rule="version-mismatch", headers=headers)
        return
    current = before.version if before is not None else 0
    if current != if_match or (before is not None and before.deleted):
        headers = {"ETag": f'W/"{current}"'} if current else {}
        text = (
            f"If-Match names version {if_match}, the current version is {current}"
            if current
            else (f"If-Match names version {if_match}, but there is no such resource")
        )
        raise PreconditionFailed(text, rule="version-mismatch", headers=headers)


def check_references(staging: Staging, draft: Draft) -> None:
    """Every relative reference must lead to a living resource."""
    for container, key, text in draft.local:
        target = references.local(text)
        assert target is not None
        identity = (target.type, target.id)
        entity = staging.entity(identity)
        if not (entity.alive or (entity.version and draft.resource["resourceType"] in RECORDS)):
            known = target.type in staging.numbers
            text = (
                f"There is no {target.type} with the id referred to" if known else "The type referred to is not in R4"
            )
            path = references.path_of(draft.resource, container, key)
            raise Conflict(text, expression=path, code="not-found", rule="unresolved-reference")


def check_referrers(staging: Staging, draft: Draft) -> None:
    """A resource that others refer to is not deleted; a record of what happened to it does not count."""
    if draft.identity is None or staging.entity(draft.identity).alive:
        return
    found = staging.referrers(draft.identity)
    referrers = sorted("/".join(identity) for identity in found if identity[0] not in RECORDS)
    if referrers:
        more = f" and {len(referrers) - 10} more" if len(referrers) > 10 else ""
        text = f"The resource is referred to by {', '.join(referrers[:10])}{more}"
        raise Conflict(text, rule="referenced")
