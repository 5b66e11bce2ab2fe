"""What both sides changed: merged where they changed different elements, else a Task for a person.

An open conflict is a note (room `conflict`, key: id of its Task) with both versions; the Task points at our version
and at a Binary with theirs. Until it is resolved the agreement stays what it was, and nothing of the resource is
written on either side by sync.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid5

from service.errors import Conflict, Gone, NotFound, Unprocessable
from service.fhir.json import decode, encode
from service.fhir.ledger import Note
from service.fhir.operations import Operation, Plan, Resource, Stored, Update
from service.jobs import Rooms
from service.sync import agreements, peers
from service.sync.agreements import DEPTH, Agreement
from service.sync.conflict_task import opened, resolved
from service.sync.echo import version_of
from service.sync.merge import changed, element, elements_of, merge, put
from service.sync.outgoing import outgoing, targets_of, without_own
from service.sync.peers import Peer, canonical_hash
from service.trial.mapping.identity import NAMESPACE

ROOM = "conflict"
Side = Literal["ours", "theirs"]


@dataclass(frozen=True, slots=True)
class Settled:
    """What a divergence comes to, to be written in one plan: `merged`, `conflict`, or `same` (nothing to write here).

    `elements` are FHIRPaths of what both changed.
    """

    operations: tuple[Operation, ...]
    notes: tuple[Note, ...]
    outcome: Literal["merged", "conflict", "same"]
    elements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Divergence:
    """A resource of ours (`stored`, `ours`) and its peer `remote`, which now says `raw`, in our form `theirs`.

    Where they did not change an element, `theirs` has what `base` had; where they say what we say, what `ours` has.
    `back` says that changes of ours are written there.
    """

    connection: str
    remote: str
    peer: Peer
    stored: Stored
    base: Resource
    ours: Resource
    raw: Resource
    theirs: Resource
    back: bool


async def settle(
    rooms: Rooms,
    connection: str,
    remote: str,
    peer: Peer,
    raw: Resource,
    ours_form: Resource,
    corrections: bool = False,
) -> Settled:
    """Settles what `remote` (`Type/id` of theirs) says now, as `raw`, with what its peer here has become.

    `ours_form` is `raw` in our form: our ids, codes and units. `corrections` says that changes of ours of what was
    made there are written back. What was deleted here stays deleted.
    """
    try:
        found = await _divergence(rooms, connection, remote, peer, raw, ours_form, corrections)
    except Gone:
        return Settled((), peers.notes(connection, remote, _agreed_peer(peer, raw)), "same")
    merged = merge(found.base, found.ours, found.theirs)
    elements = merged.elements
    if not elements and (issues := rooms.validator.errors(merged.resource)):
        elements = tuple(sorted({issue.expression or peer.local for issue in issues}))
    if elements:
        return await _open(rooms, found, elements)
    settled = _settled(found, merged.resource)
    closing = await _closing(rooms, found)
    return replace(settled, operations=settled.operations + closing[0], notes=settled.notes + closing[1])


async def _divergence(
    rooms: Rooms, connection: str, remote: str, peer: Peer, raw: Resource, ours_form: Resource, corrections: bool
) -> Divergence:
    """Raises Gone where ours was deleted."""
    database, base_url = rooms.database, rooms.settings.base_url
    type_, _, id_ = peer.local.partition("/")
    stored = await database.read(type_, id_)
    ours = decode(stored.content or b"{}", DEPTH)
    kept = await agreements.agreement(database, connection, peer)
    base = await agreements.base_of(database, peer, kept)
    links = await peers.remotes_of(database, connection, targets_of(ours))
    sent = outgoing(ours, links, base_url).resource
    theirs = _rebased(without_own(ours_form, base_url), raw, base, kept, ours, sent)
    back = corrections or peer.origin == "push"
    return Divergence(connection, remote, peer, stored, base, ours, raw, theirs, back)


def _rebased(
    theirs: Resource, raw: Resource, base: Resource, kept: Agreement, ours: Resource, sent: Resource
) -> Resource:
    result = dict(theirs)
    for name in elements_of(base, theirs, ours):
        if kept.remote is not None and element(raw, name) == element(kept.remote, name):
            put(result, name, element(base, name))
        elif element(raw, name) == element(sent, name):
            put(result, name, element(ours, name))
    return result


def _agreed_peer(peer: Peer, raw: Resource, local_version: int | None = None, local_hash: str = "") -> Peer:
    if local_version is None:
        local_version, local_hash = peer.local_version, peer.local_hash
    hash_ = canonical_hash(raw)
    return Peer(peer.local, version_of(raw), hash_, local_version, peer.origin, local_hash)


def _settled(found: Divergence, merged: Resource) -> Settled:
    differs = bool(changed(found.ours, merged))
    operations = (Update(merged, if_match=found.stored.version),) if differs else ()
    local = found.peer.local
    whole = not changed(found.theirs, merged)
    version = found.stored.version + differs
    peer = _agreed_peer(found.peer, found.raw, version, canonical_hash(merged)) if whole else None
    notes = (
        *peers.notes(found.connection, found.remote, peer or _agreed_peer(found.peer, found.raw)),
        agreements.agreed(found.connection, local, found.raw, None if whole else found.theirs),
        *((agreements.due(found.connection, local),) if found.back and not whole else ()),
    )
    return Settled(operations, notes, "merged" if differs or not whole else "same")


def task_id(connection: str, peer: Peer) -> str:
    """The id of the Task of a conflict about what was last agreed with this peer."""
    return str(uuid5(NAMESPACE, f"conflict/{connection}/{peer.local}/{peer.local_version}/{peer.remote_hash}"))


async def _closing(rooms: Rooms, found: Divergence) -> tuple[tuple[Operation, ...], tuple[Note, ...]]:
    """Ends the conflict that may have been open: the sides came together by themselves."""
    id_ = task_id(found.connection, found.peer)
    before = await rooms.database.note(ROOM, id_)
    if before is None:
        return (), ()
    task = decode((await rooms.database.read("Task", id_)).content or b"{}", DEPTH)
    return (Update(resolved(task, "merged", _now())),), (Note(ROOM, id_, None, before),)


async def _open(rooms: Rooms, found: Divergence, elements: tuple[str, ...]) -> Settled:
    id_, ours = task_id(found.connection, found.peer), found.stored.version
    before = await rooms.database.note(ROOM, id_)
    known = decode(before, DEPTH) if before is not None else None
    theirs_hash = canonical_hash(found.raw)
    if known and (known["theirs_hash"], known["ours_version"]) == (theirs_hash, ours):
        return Settled((), (), "conflict", elements)
    at = known["opened"] if known else _now()
    kept = {
        "id": id_,
        "connection": found.connection,
        "local": found.peer.local,
        "remote": found.remote,
        "elements": list(elements),
        "opened": at,
        "ours_version": ours,
        "theirs_version": version_of(found.raw),
        "theirs_hash": theirs_hash,
        "raw": found.raw,
        "theirs": found.theirs,
        "corrections": found.back,
    }
    operations = opened(kept, found.ours)
    return Settled(tuple(map(Update, operations)), (Note(ROOM, id_, encode(kept), before),), "conflict", elements)


async def listed(rooms: Rooms, after: str = "", count: int = 50) -> list[dict[str, Any]]:
    """Open conflicts by the id of their Task, without the versions."""
    found = [decode(content, DEPTH) for _, content in await rooms.database.notes(ROOM, after=after, count=count)]
    return list(map(_summary, found))


async def find(rooms: Rooms, id_: str) -> dict[str, Any]:
    """An open conflict with `base`, `ours` and `theirs` in our form. Raises NotFound."""
    kept = await _kept(rooms, id_)
    found = await _reopened(rooms, kept)
    return _summary(kept) | {"base": found.base, "ours": found.ours, "theirs": found.theirs}


async def resolve(rooms: Rooms, id_: str, keep: Side | None, body: Resource | None = None) -> Resource:
    """Ends a conflict: `keep` decides what both changed, what one side changed stays merged; or `body` is the result.

    The next push writes it to the other side. Returns the resource. Raises NotFound, Unprocessable where the result
    is not valid, PreconditionFailed where ours changed meanwhile.
    """
    kept = await _kept(rooms, id_)
    found = await _reopened(rooms, kept)
    if body is not None:
        result = {**body, "id": found.ours["id"], "meta": {**body.get("meta", {}), **found.ours["meta"]}}
        if body.get("resourceType") != found.ours["resourceType"]:
            raise Unprocessable(f"The result must be {found.peer.local}", rule="conflict-other-resource")
    else:
        result = merge(found.base, found.ours, found.theirs, prefer=keep).resource
    rooms.validator.require(result)
    settled = _settled(found, result)
    task = await rooms.database.read("Task", id_)
    ended = resolved(decode(task.content or b"{}", DEPTH), keep or "merged", _now())
    note = Note(ROOM, id_, None, await rooms.database.note(ROOM, id_))
    plan = Plan((*settled.operations, Update(ended, if_match=task.version)), notes=(*settled.notes, note))
    await rooms.database.write(plan)
    return result


def _summary(kept: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kept.items() if name not in ("raw", "theirs", "corrections")}


async def _kept(rooms: Rooms, id_: str) -> dict[str, Any]:
    content = await rooms.database.note(ROOM, id_)
    if content is None:
        raise NotFound(f"There is no open conflict {id_}", rule="unknown-conflict")
    kept: dict[str, Any] = decode(content, DEPTH)
    return kept


async def _reopened(rooms: Rooms, kept: dict[str, Any]) -> Divergence:
    """The conflict with our version of now. Raises Conflict where there is no peer any more."""
    peer = await peers.peer(rooms.database, kept["connection"], kept["remote"])
    if peer is None or peer.local != kept["local"]:
        raise Conflict("The two resources no longer stand for each other", rule="conflict-unlinked")
    raw, theirs, back = kept["raw"], kept["theirs"], kept["corrections"]
    return await _divergence(rooms, kept["connection"], kept["remote"], peer, raw, theirs, back)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
