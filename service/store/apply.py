"""What a plan does, entry by entry: deletes, then creates, then updates, then links, then reads.

The outcome never depends on the order of the operations: https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from service.errors import BadRequest, CartFhirError, Conflict, Gone, Issue, NotFound, PreconditionFailed
from service.fhir import references
from service.fhir.conditions import Query, chained
from service.fhir.operations import Applied, Create, Delete, Patch, Plan, Read, Search, Stored, Update
from service.store.beside import beside
from service.store.drafts import (
    Draft,
    Identity,
    Prepared,
    content,
    finish,
    full_urls,
    link,
    localize,
    new_id,
    placed,
)
from service.store.foresight import patched
from service.store.integrity import check_changeable, check_references, check_referrers, check_version
from service.store.staging import Entity, Staging

ParseQuery = Callable[[str, str], Query]  # (resource type, query string) of a conditional reference


def apply(staging: Staging, prepared: Prepared, parse_query: ParseQuery) -> tuple[Applied, ...]:
    """Resolves the plan against the transaction and stages its changes. Raises a CartFhirError with its place."""
    drafts = prepared.drafts
    results: list[Applied | None] = [None] * len(drafts)
    order = sorted(range(len(drafts)), key=lambda index: _ORDER[type(drafts[index].operation)])
    identities = _identities(staging, drafts, order, results)
    _refuse_overlap(drafts, identities)
    for draft, identity in zip(drafts, identities, strict=True):
        draft.identity = identity
        if isinstance(draft.operation, Patch):
            _at(draft, partial(_patch, prepared.plan), staging)
    writing = [index for index in order if results[index] is None and isinstance(drafts[index].operation, _WRITES)]
    if not prepared.linked:
        _link(staging, [drafts[index] for index in writing], full_urls(drafts), parse_query)
    for index in writing:
        results[index] = _at(drafts[index], _write, staging)
    for draft in (following := beside(staging, prepared, results)):
        _at(draft, _delete if isinstance(draft.operation, Delete) else _write, staging)
    for index in writing:
        _at(drafts[index], check_references, staging)
        _refuse_second_match(staging, drafts[index], drafts)
    for draft in (*drafts, *following):
        if isinstance(draft.operation, Delete):
            _at(draft, check_referrers, staging)
        elif isinstance(draft.operation, Read):
            results[drafts.index(draft)] = _at(draft, _read, staging)
    return _searched(staging, drafts, results)


_ORDER: dict[type, int] = {Delete: 0, Create: 1, Update: 2, Patch: 2, Read: 3, Search: 3}
_WRITES = (Create, Update, Patch, Delete)
_METHODS: dict[type, str] = {Create: "POST", Update: "PUT", Patch: "PATCH"}


def _at(draft: Draft, step: Callable[[Staging, Draft], Any], staging: Staging) -> Any:
    try:
        return step(staging, draft)
    except CartFhirError as error:
        raise placed(error, draft) from None


def _identities(
    staging: Staging, drafts: list[Draft], order: list[int], results: list[Applied | None]
) -> list[Identity | None]:
    """What each operation is about.

    Deletes find what they are about before the first is gone, and are gone before other conditions look.
    """
    identities: list[Identity | None] = [None] * len(drafts)
    deletes = [index for index in order if isinstance(drafts[index].operation, Delete)]
    for index in deletes:
        drafts[index].identity = identities[index] = _at(drafts[index], _resolve_delete, staging)
    for index in deletes:
        results[index] = _at(drafts[index], _delete, staging)
    for index in order[len(deletes) :]:
        identities[index], results[index] = _at(drafts[index], _resolve, staging)
    return identities


def _resolve_delete(staging: Staging, draft: Draft) -> Identity | None:
    operation = draft.operation
    assert isinstance(operation, Delete)
    return draft.identity if operation.where is None else next(iter(_find(staging, operation.where)), None)


def _resolve(staging: Staging, draft: Draft) -> tuple[Identity | None, Applied | None]:
    """The identity that the operation is about, and its result where nothing is to be written."""
    operation = draft.operation
    if isinstance(operation, Create):
        return _resolve_create(staging, draft, operation)
    if isinstance(operation, Update):
        return _resolve_update(staging, draft, operation), None
    if isinstance(operation, Patch) and operation.where is not None:
        found = _find(staging, operation.where)
        if not found:
            raise NotFound("The condition matches no resource to patch")
        return found[0], None
    return draft.identity, None


def _resolve_create(staging: Staging, draft: Draft, operation: Create) -> tuple[Identity | None, Applied | None]:
    if operation.if_none_exist is None:
        return draft.identity, None
    if found := _find(staging, operation.if_none_exist):
        return found[0], Applied("existing", stored(staging, found[0]))
    return (operation.resource["resourceType"], new_id()), None


def _resolve_update(staging: Staging, draft: Draft, operation: Update) -> Identity:
    sent = operation.resource.get("id")
    type_ = operation.resource["resourceType"]
    if operation.where is None:
        return type_, operation.resource["id"]
    found = _find(staging, operation.where)
    if not found:
        if sent and staging.entity((type_, sent)).alive:  # R4 says nothing of this; R5: 409
            text = f"The condition matches no resource, and {type_}/{sent} is another one"
            raise Conflict(text, expression=f"{type_}.id", rule="id-taken")
        return type_, sent or new_id()
    if sent and sent != found[0][1]:
        text = "The resource's id is not that of the one resource that the condition finds"
        raise BadRequest(text, expression=f"{type_}.id", code="value", rule="id-mismatch")
    return found[0]


def _patch(plan: Plan, staging: Staging, draft: Draft) -> None:
    """Makes the new resource from the stored one and finds its links."""
    operation = draft.operation
    assert isinstance(operation, Patch)
    assert draft.identity is not None
    before = stored(staging, draft.identity)
    check_version(staging.entity(draft.identity), operation.if_match)
    done, draft.foreseen = draft.foreseen, None  # linking changes it, so it serves one attempt
    if done is None or not done.is_of(before):
        done = patched(plan, operation, before)
    if done.error is not None:
        raise done.error
    draft.patched, draft.links = done.resource, done.links
    localize(draft, plan.base)


def _find(staging: Staging, query: Query) -> list[Identity]:
    """At most one match of a condition. Deletes of the plan have been seen: hl7.org/fhir/R4/http.html#trules."""
    if not query.conditions:
        raise PreconditionFailed("A condition needs at least one search parameter", rule="empty-condition")
    if any(chained(condition) for condition in query.conditions):
        text = "A condition may not chain through other resources; name an identifier of the resource itself"
        raise BadRequest(text, code="not-supported", rule="chained-condition")
    found = staging.find(query)
    if len(found) > 1:
        text = "The condition matches several resources; it must be selective"
        raise PreconditionFailed(text, code="multiple-matches", rule="multiple-matches")
    return found


def _refuse_overlap(drafts: list[Draft], identities: list[Identity | None]) -> None:
    seen: dict[Identity, Draft] = {}
    for draft, identity in zip(drafts, identities, strict=True):
        if identity is None or not isinstance(draft.operation, _WRITES):
            continue
        other = seen.setdefault(identity, draft)
        if other is not draft:
            text = f"{other.place} and {draft.place} are about the same resource"
            raise BadRequest(issues=[Issue("duplicate", text, draft.place, "identity-overlap")])


def _link(staging: Staging, drafts: list[Draft], targets: dict[str, str], parse_query: ParseQuery) -> None:
    """Links of a plan whose identities were not all known beforehand; conditional references come last."""
    for draft in drafts:
        link(draft, targets)
        finish(draft, staging.indexer)
        assert draft.identity is not None
        assert draft.values is not None
        if any(other.links and other.links.conditional for other in drafts):
            key = staging.entity(draft.identity).key or staging.new_key()
            staging.plan.put(draft.identity, Entity(key, 1, False, staging.now, b"", draft.values))
    for draft in drafts:
        assert draft.links is not None
        if draft.links.conditional:
            for container, key, text in draft.links.conditional:
                container[key] = _conditional_target(staging, draft, container, key, text, parse_query)
                draft.local.append((container, key, container[key]))
            finish(draft, staging.indexer)
    for draft in drafts:
        staging.plan.entities.pop(draft.identity, None)  # type: ignore[arg-type]


def _conditional_target(
    staging: Staging, draft: Draft, container: Any, key: Any, text: str, parse_query: ParseQuery
) -> str:
    type_, condition = references.conditional(text) or ("", "")
    path = references.path_of(draft.resource, container, key)
    try:
        found = _find(staging, parse_query(type_, condition))
        if not found:
            raise PreconditionFailed("The conditional reference matches no resource", code="not-found")
    except CartFhirError as error:
        issues = [Issue(i.code, f"Conditional reference to {type_}: {i.text}", path, i.rule) for i in error.issues]
        raise placed(PreconditionFailed(issues=issues), draft) from None
    return "/".join(found[0])


def _delete(staging: Staging, draft: Draft) -> Applied:
    operation, identity = draft.operation, draft.identity
    assert isinstance(operation, Delete)
    if identity is None:
        return Applied("absent")
    before = staging.entity(identity)
    check_version(before, operation.if_match)
    if not before.alive:
        return Applied("absent")
    after = Entity(before.key, before.version + 1, True, staging.now, None, None, "DELETE")
    _put(staging, identity, after)
    return Applied("deleted", _stored(identity, after))


def _write(staging: Staging, draft: Draft) -> Applied:
    """Stages the new version of a created or updated resource, unless nothing of it changed."""
    assert draft.identity is not None
    update = isinstance(draft.operation, (Update, Patch))
    before = staging.entity(draft.identity, with_content=True) if update else None
    if isinstance(draft.operation, (Update, Patch)):
        check_version(before, draft.operation.if_match)
    if before is not None and before.alive and content(draft, before.version, before.updated) == before.content:
        return Applied("unchanged", _stored(draft.identity, before))
    version = before.version + 1 if before is not None else 1
    body = content(draft, version, staging.now)
    key = before.key if before is not None and before.key else staging.new_key()
    after = Entity(key, version, False, staging.now, body, draft.values, _METHODS[type(draft.operation)])
    _put(staging, draft.identity, after)
    return Applied("updated" if before is not None and before.alive else "created", _stored(draft.identity, after))


def _put(staging: Staging, identity: Identity, after: Entity) -> None:
    if after.version > 1:
        check_changeable(staging, identity)
    staging.plan.put(identity, after)
    row = (after.key, staging.numbers[identity[0]], after.version, after.updated, after.method, after.content)
    staging.plan.versions.append(row)


def _refuse_second_match(staging: Staging, draft: Draft, drafts: list[Draft]) -> None:
    """What a condition did not find must not be made twice by one plan."""
    operation = draft.operation
    query = operation.if_none_exist if isinstance(operation, Create) else operation.where  # type: ignore[union-attr]
    if query is None:
        return
    changed = {identity for identity in staging.pending(query) if identity in staging.plan.entities}
    other = next((one for one in drafts if one.identity in changed and one.identity != draft.identity), None)
    if other is not None:
        text = f"{other.place} meets the condition of {draft.place}: both are about the same resource"
        raise placed(BadRequest(text, code="duplicate", rule="identity-overlap"), draft)


def _searched(staging: Staging, drafts: list[Draft], results: list[Applied | None]) -> tuple[Applied, ...]:
    """Fills in the searches, which see the plan's writes. Nothing can fail after the flush that they need."""
    for index, draft in enumerate(drafts):
        if isinstance(draft.operation, Search):
            staging.accept()
            staging.flush()
            results[index] = Applied("found", page=staging.reader.page(draft.operation.query))
    return tuple(result for result in results if result is not None)


def _read(staging: Staging, draft: Draft) -> Applied:
    operation = draft.operation
    assert isinstance(operation, Read)
    identity = (operation.type, operation.id)
    if operation.version is None:
        return Applied("read", stored(staging, identity))
    for layer in (staging.plan, staging.group):
        for key, _, version, updated, method, body in layer.versions:
            if (key, version) == (staging.entity(identity).key, operation.version):
                return Applied("read", Stored(*identity, version, updated, body, method))
    return Applied("read", staging.reader.version(*identity, operation.version))


def stored(staging: Staging, identity: Identity) -> Stored:
    """The current version. Raises NotFound or Gone."""
    entity = staging.entity(identity, with_content=True)
    if not entity.version:
        raise NotFound(f"There is no {'/'.join(identity)}")
    if entity.deleted:
        raise Gone(f"{'/'.join(identity)} was deleted", headers={"ETag": f'W/"{entity.version}"'})
    return _stored(identity, entity)


def _stored(identity: Identity, entity: Entity) -> Stored:
    return Stored(*identity, entity.version, entity.updated, entity.content, entity.method)
