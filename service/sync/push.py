"""Push: what was made or changed here goes to the other side, of patients who are linked with it.

The change feed is read forward from a cursor (note `push-cursor`), which goes on in the plan of what was acknowledged
before it. Patients who were linked since the last push are gone through once, and what is due is looked at again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from service.errors import Gone, NotFound, UpstreamRefused
from service.fhir.json import decode
from service.fhir.ledger import Note
from service.fhir.operations import Plan, Stored
from service.jobs import DeadLetter, Kind, Rooms, Run
from service.remote import Remote
from service.sync import agreements, connections, peers, turn
from service.sync.agreements import DEPTH
from service.sync.capable import capable
from service.sync.connections import Connection
from service.sync.delivery import Delivery
from service.sync.origin import origin_of
from service.sync.outgoing import patient_of, targets_of
from service.sync.report import KIND, Report
from service.sync.selection import Selection
from service.sync.step import Item
from service.sync.writing import Writer

GROUP = 20  # resources that are written together
PAGE = 500  # changes that are looked at together
CURSOR = "push-cursor"


def patients_room(connection: str) -> str:
    """The room of the patients of whom everything that was here when they were linked was pushed."""
    return f"push-patient/{connection}"


@dataclass(slots=True)
class Push:
    """One push by one connection. The other side is asked what it can do when there is something to write."""

    run: Run
    connection: Connection
    remote: Remote
    report: Report
    selection: Selection
    linked: dict[str, str] = field(default_factory=dict)  # `Patient/id` of ours → theirs
    tried: set[tuple[str, int]] = field(default_factory=set)  # versions that had their turn, whatever came of it
    _delivery: Delivery | None = None

    @property
    def rooms(self) -> Rooms:
        return self.run.rooms

    async def delivery(self) -> Delivery:
        """The way to write, once it is known what the other side can do."""
        if self._delivery is None:
            can = capable(await self.remote.capabilities(), self.connection.strategy.if_none_exist)
            writer = Writer(self.rooms, self.connection, self.remote, can, self.report)
            self._delivery = Delivery(writer, can.transactions)
        return self._delivery

    async def whole(self) -> None:
        """Everything that there is to push."""
        name, database = self.connection.name, self.rooms.database
        self.linked = {local: there.decode() async for local, there in self._notes(peers.room_of(name), "Patient/")}
        await self._patients()
        due = [local async for local, _ in self._notes(agreements.due_room(name))]
        for group in _groups(due):
            await self._push(group, due=True)
        while True:
            kept = await database.note(CURSOR, name)
            page = await database.changes(self.selection.types, int(kept or 0), PAGE)
            if not page:
                return
            for group in _groups(await self._unknown({f"{one.type}/{one.id}": one for _, one in page})):
                await self._push(group)
            note = Note(CURSOR, name, str(page[-1][0]).encode(), kept)
            await self.report.write(Plan((), notes=(note,)))

    async def _unknown(self, last: Mapping[str, Stored]) -> list[str]:
        """Those of the last versions of a page that are of linked patients and not what was agreed: mostly none."""
        ours = [local for local, one in last.items() if one.content is None or _patient(one.content) in self.linked]
        remotes = await peers.remotes_of(self.rooms.database, self.connection.name, ours)
        known = await peers.peers(self.rooms.database, self.connection.name, list(remotes.values()))
        agreed = {peer.local: peer.local_version for peer in known.values()}
        return [local for local in ours if agreed.get(local) != last[local].version]

    async def _notes(self, room: str, prefix: str = "") -> AsyncIterator[tuple[str, bytes]]:
        after = ""
        while found := await self.rooms.database.notes(room, prefix, after, PAGE):
            for key, content in found:
                yield key, content
            after = found[-1][0]

    async def _patients(self) -> None:
        """What was here of patients before they were linked; what went to another patient before moves on."""
        room = patients_room(self.connection.name)
        known = {local: there.decode() async for local, there in self._notes(room)}
        for local in known.keys() - self.linked.keys():
            await self.report.write(Plan((), notes=(Note(room, local, None),)))
        for local, there in self.linked.items():
            before = known.get(local)
            if before == there:
                continue
            if before is not None:
                (await self.delivery()).writer.moved[local] = before
            for type_ in self.selection.types:
                for group in _groups(await self.selection.of_patient(type_, local)):
                    await self._push(group)
            await self.report.write(Plan((), notes=(Note(room, local, there.encode()),)))
            if before is not None:
                del (await self.delivery()).writer.moved[local]

    async def finish(self) -> None:
        """Finds what was made there and not acknowledged when the last push was cut off.

        What was not made is still to come: cursor, patient or due note are behind it.
        """
        room = agreements.intent_room(self.connection.name)
        for local in [local async for local, _ in self._notes(room)]:
            writer = (await self.delivery()).writer
            try:
                item = await writer.item(local)
            except (NotFound, Gone):
                await self.report.write(Plan((), notes=(agreements.intent(writer.name, local, None),)))
                continue
            if item.peer is not None:
                continue
            out = await writer.form(item.resource)
            try:
                found = await writer.search(out, item.resource)
            except UpstreamRefused as error:
                if error.status_code in (401, 403):
                    raise
                continue  # told when its turn comes
            if found is not None:
                await writer.adopt(item, out, found, await writer.intended(local))

    async def _push(self, group: Sequence[str], due: bool = False) -> None:
        """Writes those of a group that are to be written, with what they refer to and the other side does not have."""
        items: dict[str, Item] = {}
        waiting = list(group)
        while waiting:
            local = waiting.pop()
            if local in items or (item := await self._wanted(local, due and local in group)) is None:
                continue
            items[local] = item
            waiting += [one for one in targets_of(item.resource) if one.partition("/")[0] in self.selection.types]
        if items:
            ordered = [items[local] for local in (*group, *items) if local in items]
            await (await self.delivery()).deliver(ordered)
            self.tried.update((local, item.stored.version) for local, item in items.items())

    async def _wanted(self, local: str, due: bool) -> Item | None:
        """The version to be written there; None where there is nothing to write."""
        name = self.connection.name
        remote = await peers.remote_of(self.rooms.database, name, local)
        peer = await peers.peer(self.rooms.database, name, remote) if remote is not None else None
        type_, _, id_ = local.partition("/")
        try:
            stored = await self.rooms.database.read(type_, id_)
        except (Gone, NotFound):
            await self._deleted(local, remote, peer)
            return None
        resource = decode(stored.content or b"{}", DEPTH)
        item = Item(local, stored, resource, remote, peer)
        if (local, stored.version) in self.tried:
            return None
        known = peer is not None and stored.version == peer.local_version and not self._moves(item)
        if known or not await self._chosen(item, due):
            if due:
                await self.report.write(Plan((), notes=(agreements.due(name, local, False),)))
            return None
        return item

    def _moves(self, item: Item) -> bool:
        """Whether it is on its way to another patient there."""
        if self._delivery is None or item.peer is None or item.peer.origin != "push":
            return False
        return patient_of(item.resource) in self._delivery.writer.moved

    async def _chosen(self, item: Item, due: bool) -> bool:
        """Whether a version that the other side does not have shall go there."""
        connection, resource = self.connection, item.resource
        if patient_of(resource) not in self.linked:
            return False
        if item.peer is not None and item.peer.origin == "pull" and not (due or connection.push_corrections):
            return False
        if item.peer is None:
            came_by = origin_of(resource)
            if came_by is not None and (came_by == connection.name or not connection.push_foreign):
                return False
            if resource.get("status") == "entered-in-error":
                return False
        return await self.selection.takes(resource)

    async def _deleted(self, local: str, remote: str | None, peer: peers.Peer | None) -> None:
        """What was deleted here stays there, unless the connection says otherwise and it was made here."""
        if remote is None or peer is None or peer.origin != "push" or not self.connection.push_deletes:
            return
        name = self.connection.name
        type_, _, id_ = remote.partition("/")
        await (await self.delivery()).writer.delete(type_, id_)
        gone = (agreements.due(name, local, False), Note(agreements.agreed_room(name), local, None))
        await self.report.write(Plan((), notes=(*peers.forgotten(name, remote, peer), *gone)), {"deleted": 1})


async def push(run: Run, connection: Connection) -> dict[str, int]:
    """Pushes what there is; returns counts by name, none where nothing was to be done. Raises Upstream."""
    async with _opened(run, connection) as one:
        if connection.push:
            await one.finish()
            await one.whole()
        return one.report.counts


async def finish(run: Run, connection: Connection) -> None:
    """Acknowledges what a push that was cut off has made there; asks nothing where there is no such thing."""
    async with _opened(run, connection) as one:
        await one.finish()


@asynccontextmanager
async def _opened(run: Run, connection: Connection) -> AsyncIterator[Push]:
    report = Report(run, connection.name)
    await report.begin()
    selection = Selection(run.rooms.database, connection.push)
    selection.check()
    remote = connection.remote()
    try:
        yield Push(run, connection, remote, report, selection)
    finally:
        await remote.close()
    await report.end()


def _patient(content: bytes) -> str | None:
    return patient_of(decode(content, DEPTH))


def _groups(found: Sequence[str]) -> list[Sequence[str]]:
    return [found[at : at + GROUP] for at in range(0, len(found), GROUP)]


async def _work(run: Run) -> None:
    connection = await connections.find(run.rooms.database, run.input["connection"])
    await turn.take(run, connection.name)
    await push(run, connection)
    await turn.give(run, connection.name)


async def _replay(rooms: Rooms, dead: DeadLetter) -> Plan:
    """A refused resource is pushed again as it is by then."""
    return Plan((), notes=(agreements.due(dead.source, dead.place),))


KINDS = (Kind(KIND, _work),)
REPLAYS = {KIND: _replay}
