"""References whose target came later than the resource that has them: from the address there to our copy."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import msgspec

from service.errors import Gone, NotFound
from service.fhir import references
from service.fhir.json import decode
from service.fhir.ledger import Note
from service.fhir.operations import Plan, Resource, Update
from service.jobs import Rooms
from service.store.database import Database
from service.sync import peers
from service.sync.candidate import dangling_room
from service.sync.connections import Connection
from service.sync.peers import Peer, canonical_hash
from service.sync.report import Report
from service.trial.flags import Flags

PAGE = 500


async def relink(connection: Connection, rooms: Rooms, report: Report) -> None:
    """Rewrites the references that wait, where their target is here by now."""
    database = rooms.database
    room, after = dangling_room(connection.name), ""
    while waiting := await database.notes(room, after=after, count=PAGE):
        after = waiting[-1][0]
        pairs = [key.partition("|")[::2] for key, _ in waiting]
        known = await peers.peers(database, connection.name, [one for pair in pairs for one in pair])
        found: dict[str, dict[str, str]] = {}
        for target, referrer in pairs:
            if target in known and not known[target].deleted:
                found.setdefault(referrer, {})[target] = known[target].local
        await _group(connection, rooms, report, found, known)


async def _group(
    connection: Connection,
    rooms: Rooms,
    report: Report,
    found: dict[str, dict[str, str]],
    known: dict[str, Peer],
) -> None:
    updates: list[Update] = []
    flags = {}
    notes = [
        Note(dangling_room(connection.name), f"{target}|{referrer}", None)
        for referrer, targets in found.items()
        for target in targets
    ]
    for referrer, targets in found.items():
        peer = known.get(referrer)
        resource = await _unchanged(rooms.database, peer) if peer is not None else None
        if peer is None or resource is None or not _rewritten(resource, connection.base, targets):
            continue
        version = peer.local_version
        new = msgspec.structs.replace(peer, local_version=version + 1, local_hash=canonical_hash(resource))
        if errors := rooms.validator.errors(resource):
            flags[len(updates)] = errors
        updates.append(Update(resource, if_match=version))
        notes += peers.notes(connection.name, referrer, new)
    if notes:
        plan = Plan(tuple(updates), notes=tuple(notes), beside=Flags(flags) if updates else None)
        await report.write(plan, {"relinked": len(updates)})


async def _unchanged(database: Database, peer: Peer) -> Resource | None:
    """Our copy, unless it was changed here: that is left to the next version that they send."""
    type_, _, id_ = peer.local.partition("/")
    with suppress(NotFound, Gone):
        stored = await database.read(type_, id_)
        if stored.version == peer.local_version and not peer.deleted:
            found: Resource = decode(stored.content or b"{}", 10_000)
            return found
    return None


def _rewritten(resource: Resource, base: str, targets: dict[str, str]) -> bool:
    addresses = {f"{base.rstrip('/')}/{target}": local for target, local in targets.items()}
    wanted: Iterable[references.Link] = references.find(resource).absolute
    changed = False
    for container, key, text in wanted:
        if text in addresses:
            container[key] = addresses[text]
            changed = True
    return changed
