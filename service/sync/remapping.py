"""What was stored with a local code gets its standard one as soon as a map has it; nobody has to pull it again."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from service.fhir.ledger import Note
from service.fhir.operations import Plan, Resource, Update
from service.sync import peers, worklist
from service.sync.connections import Connection
from service.sync.harmonise import Harmoniser
from service.sync.intake import Intake
from service.sync.origin import TAG
from service.sync.peers import canonical_hash
from service.sync.report import Report
from service.trial.flags import Flags

GROUP = 200


async def remap(connection: Connection, intake: Intake, report: Report) -> None:
    """Goes through the codes on the work list that are mapped by now, and settles their Tasks."""
    database = intake.rooms.database
    for key, task in await worklist.listed(database, connection.name, worklist.UNMAPPED):
        coding = worklist.shown(task)["details"]["code"]
        if (coding["system"], coding["code"]) not in intake.harmoniser.table:
            continue
        for type_ in sorted({search.partition("?")[0] for search in connection.searches()}):
            await _type(connection, intake, report, type_, f"{coding['system']}|{coding['code']}")
        updates, notes = await worklist.closed(database, connection.name, [key])
        await report.write(Plan(tuple(updates), notes=tuple(notes)), {"codes-mapped": 1})


async def _type(connection: Connection, intake: Intake, report: Report, type_: str, token: str) -> None:
    """All resources of the connection with this code, in groups."""
    database = intake.rooms.database
    if "code" not in intake.rooms.definitions.search_parameters.of(type_):
        return
    query = database.parse_condition(
        type_, f"code={quote(token, safe='')}&_tag={quote(TAG, safe='')}|{connection.name}"
    )
    found = [resource async for resource in database.resources(query)]
    for start in range(0, len(found), GROUP):
        await _group(connection, intake, report, found[start : start + GROUP])


async def _group(connection: Connection, intake: Intake, report: Report, group: list[Resource]) -> None:
    database, name = intake.rooms.database, connection.name
    remotes = await peers.remotes_of(database, name, [f"{one['resourceType']}/{one['id']}" for one in group])
    known = await peers.peers(database, name, list(remotes.values()))
    updates: list[Update] = []
    notes: list[Note] = []
    flags = {}
    for resource in group:
        local = f"{resource['resourceType']}/{resource['id']}"
        peer = known.get(remotes.get(local, ""))
        version = int(resource["meta"]["versionId"])
        if peer is None or peer.local_version != version or not harmonised(intake.harmoniser, resource):
            continue  # what was changed here is left to the next version that they send
        new = msgspec.structs.replace(peer, local_version=version + 1, local_hash=canonical_hash(resource))
        if errors := intake.rooms.validator.errors(resource):
            flags[len(updates)] = errors
        updates.append(Update(resource, if_match=version))
        notes += peers.notes(name, remotes[local], new)
    if updates:
        plan = Plan(tuple(updates), notes=tuple(notes), beside=Flags(flags))
        await report.write(plan, {"mapped": len(updates)})


def harmonised(harmoniser: Harmoniser, resource: Resource) -> bool:
    """Whether the maps and units of now change the resource; they do so in place."""
    before = canonical_hash(resource)
    harmoniser.apply(resource)
    return canonical_hash(resource) != before
