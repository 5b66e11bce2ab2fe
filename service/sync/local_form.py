"""Our form of one resource of theirs, as a pull would make it."""

from __future__ import annotations

import asyncio
from copy import deepcopy

from service.fhir.operations import Resource
from service.jobs import Rooms
from service.remote import Remote
from service.sync import peers
from service.sync.connections import Connection
from service.sync.echo import version_of
from service.sync.harmonise import load_harmoniser
from service.sync.intake import Candidate, Intake
from service.sync.linking import Linker
from service.sync.peers import canonical_hash


async def localised(rooms: Rooms, connection: Connection, remote: Remote, raw: Resource) -> Resource:
    """`raw` with our id, links to ours, our codes and units. Nothing is written or asked."""
    place = f"{raw['resourceType']}/{raw['id']}"
    linker = Linker(rooms.database, connection, remote)
    await linker.load()
    intake = Intake(rooms, connection, linker, await load_harmoniser(rooms.database))
    one = Candidate(place, deepcopy(raw), canonical_hash(raw), version_of(raw))
    one.before = await peers.peer(rooms.database, connection.name, place)
    await asyncio.to_thread(intake.look, [one])
    wanted = sorted({target for _, _, target in one.links})
    known = await peers.peers(rooms.database, connection.name, wanted)
    await asyncio.to_thread(intake.make, [one], {target: peer.local for target, peer in known.items()})
    return one.resource
