"""One resource of ours onto the other side: found or made, changed, read back, acknowledged.

Every step may be cut off and begun anew. Before a POST an intent is noted; where one is there, the other side is
searched for our identifier first. Before a PUT the resource is read, and what changed there is settled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from urllib.parse import quote

from service.errors import Conflict, Issue, Later, PreconditionFailed, Upstream, UpstreamConflict, UpstreamGone
from service.fhir.json import decode
from service.fhir.ledger import Note
from service.fhir.operations import Plan, Resource
from service.jobs import Rooms
from service.remote import Got, Remote
from service.sync import agreements, conflicts, peers
from service.sync.agreements import DEPTH
from service.sync.capable import Capable
from service.sync.connections import Connection
from service.sync.echo import dropped, is_echo
from service.sync.local_form import localised
from service.sync.outgoing import (
    SINGLE_IDENTIFIER,
    Outgoing,
    carried,
    identifies,
    outgoing,
    says_the_same,
    targets_of,
)
from service.sync.peers import Peer, canonical_hash
from service.sync.report import Report
from service.sync.step import Change, Create, Item, Step, condition, told

ROUNDS = 4  # reads of a resource that others keep changing, before it is left for the next push


class Writer:
    """Writes to one connection."""

    def __init__(self, rooms: Rooms, connection: Connection, remote: Remote, capable: Capable, report: Report) -> None:
        self.rooms, self.connection, self.remote = rooms, connection, remote
        self.capable, self.report = capable, report
        self.name, self.base_url = connection.name, rooms.settings.base_url
        self.moved: dict[str, str] = {}  # `Patient/id` of ours → whom it was linked with when it was pushed last

    async def item(self, local: str) -> Item:
        """Ours as it is now. Raises Gone, NotFound."""
        type_, _, id_ = local.partition("/")
        stored = await self.rooms.database.read(type_, id_)
        remote = await peers.remote_of(self.rooms.database, self.name, local)
        peer = await peers.peer(self.rooms.database, self.name, remote) if remote is not None else None
        return Item(local, stored, decode(stored.content or b"{}", DEPTH), remote, peer)

    async def form(
        self, resource: Resource, more: dict[str, str] | None = None, before: dict[str, str] | None = None
    ) -> Outgoing:
        """The outgoing form; `more` are links beside those of the peers, `before` links that stand in their place."""
        links = await peers.remotes_of(self.rooms.database, self.name, targets_of(resource))
        return outgoing(resource, {**(more or {}), **links, **(before or {})}, self.base_url)

    async def prepare(self, item: Item, intending: bool = True) -> Step | None:
        """What has to be written; None where nothing has: it was there, is settled, or waits for a person.

        The intent to make it is noted, unless the caller does that (`intending` False).
        """
        while item.peer is None or item.remote is None:
            step = await self._prepare_create(item)
            if isinstance(step, Create):
                if intending:
                    await self.intend([item])
                return step
            item = step
            if item.peer is not None and item.stored.version == item.peer.local_version:
                return None
        return await self._prepare_change(item)

    async def intend(self, items: Iterable[Item]) -> None:
        """Notes what is about to be made there."""
        noted = [agreements.intent(self.name, item.local, item.stored.version) for item in items]
        if noted:
            await self.report.write(Plan((), notes=tuple(noted)), progressed=False)

    async def _prepare_create(self, item: Item) -> Create | Item:
        """What is to be made; the item with its peer where it is there already."""
        out = await self.form(item.resource)
        intended = await self.intended(item.local)
        conditional = item.resource["resourceType"] in self.capable.conditional
        if intended is not None or not conditional:
            found = await self.search(out, item.resource)
            if found is not None:
                return await self.adopt(item, out, found, intended)
        return Create(item, condition(out) if conditional else None)

    async def intended(self, local: str) -> int | None:
        """The version that was about to be made there."""
        content = await self.rooms.database.note(agreements.intent_room(self.name), local)
        return int(content) if content is not None else None

    async def search(self, out: Outgoing, resource: Resource) -> Resource | None:
        """Theirs with our identifier, the oldest where there are several."""
        type_ = out.resource["resourceType"]
        if type_ in SINGLE_IDENTIFIER:
            query = f"subject={quote(out.resource['subject']['reference'], safe='/')}"
        else:
            query = "&".join((condition(out), *self._required(type_, out.resource)))
        found = [one for one in await self.remote.search(f"{type_}?{query}") if identifies(out.identifier, one)]
        if len(found) > 1:
            text = f"{type_}/{resource['id']} is there {len(found)} times"
            await self.report.write(issues=[Issue("duplicate", text, None, "push-duplicate", "warning")])
        return min(found, key=lambda one: one.get("meta", {}).get("lastUpdated", ""), default=None)

    def _required(self, type_: str, resource: Resource) -> Iterable[str]:
        """A criterion without which the vendor's server does not search this type."""
        for name in self.connection.strategy.requires.get(type_, ()):
            concepts = resource.get(name, ())
            for concept in concepts if isinstance(concepts, list) else [concepts]:
                for coding in concept.get("coding", ()):
                    if "system" in coding and "code" in coding:
                        return (f"{name}={quote(coding['system'] + '|' + coding['code'], safe='')}",)
        return ()

    async def adopt(self, item: Item, out: Outgoing, found: Resource, intended: int | None) -> Item:
        """Takes theirs for the copy of ours: of the `intended` version, or of one that is not known."""
        remote = f"{found['resourceType']}/{found['id']}"
        if intended is None and not dropped(out.resource, found):
            intended = item.stored.version
        version = intended or 0
        peer = Peer(item.local, found.get("meta", {}).get("versionId"), canonical_hash(found), version, "push")
        if not version:
            stale = Note(agreements.agreed_room(self.name), item.local, None)
            await self.report.write(Plan((), notes=(*peers.notes(self.name, remote, peer), stale)))
            await self._settle(Item(item.local, item.stored, item.resource, remote, peer), found)
            return await self.item(item.local)
        notes = (
            *peers.notes(self.name, remote, peer),
            agreements.agreed(self.name, item.local, found),
            agreements.intent(self.name, item.local, None),
        )
        await self.report.write(Plan((), notes=notes), {"adopted": 1})
        return await self.item(item.local)

    async def _prepare_change(self, item: Item) -> Change | None:
        for _ in range(ROUNDS):
            assert item.remote is not None
            assert item.peer is not None
            try:
                got = await self.remote.read(*item.remote.split("/"))
            except UpstreamGone:
                return await self._gone(item)
            assert got.resource is not None
            if not is_echo(item.peer, got.resource):
                if not await self._settle(item, got.resource):
                    return None
                item = await self.item(item.local)
                continue
            kept = await agreements.agreement(self.rooms.database, self.name, item.peer)
            base = await agreements.base_of(self.rooms.database, item.peer, kept)
            return Change(item, got, base)
        return await self.busy(item)

    async def _settle(self, item: Item, raw: Resource) -> bool:
        """Settles what changed there; False where that leaves nothing to write there."""
        assert item.remote is not None
        assert item.peer is not None
        form = await localised(self.rooms, self.connection, self.remote, raw)
        corrections = self.connection.push_corrections
        settled = await conflicts.settle(self.rooms, self.name, item.remote, item.peer, raw, form, corrections)
        conflict = settled.outcome == "conflict"
        more = (agreements.due(self.name, item.local, False),) if conflict else ()
        intent = agreements.intent(self.name, item.local, None)
        plan = Plan(settled.operations, notes=(*settled.notes, *more, intent))
        counts = {"conflicts" if conflict else "merged": 1} if settled.operations else {}
        try:
            await self.report.write(plan, counts)
        except (PreconditionFailed, Conflict) as error:
            if error.issues[0].rule in ("lease-lost", "job-cancelled"):
                raise
            return True  # ours changed meanwhile: seen again with its new version
        return not conflict

    async def _gone(self, item: Item) -> None:
        text = f"{item.local}: its copy is no longer there, and is not made again"
        issue = Issue("not-found", text, None, "push-remote-gone", "warning")
        self.report.run.partial = True
        await self.report.write(Plan((), notes=(agreements.due(self.name, item.local, False),)), {"gone": 1}, [issue])

    async def busy(self, item: Item) -> None:
        """Leaves a resource that the other side keeps changing to the next push."""
        text = f"{item.local}: its copy changed each time that it was to be written"
        issue = Issue("conflict", text, None, "push-busy", "warning")
        await self.report.write(Plan((), notes=(agreements.due(self.name, item.local),)), {"postponed": 1}, [issue])

    async def body(self, step: Step, more: dict[str, str] | None = None) -> Outgoing:
        """What is to be sent."""
        out = await self.form(step.item.resource, more)
        if isinstance(step, Create):
            return out
        before = await self.form({**step.base, "id": step.item.resource["id"]}, more, self.moved)
        assert step.got.resource is not None
        wanted = carried(before.resource, out.resource, step.got.resource)
        return Outgoing(wanted, out.identifier, out.unlinked)

    async def send(self, step: Step) -> bool:
        """Writes one resource; False where it changed meanwhile. Raises Upstream."""
        out = await self.body(step)
        if isinstance(step, Change):
            assert step.got.resource is not None
            if says_the_same(out.resource, step.got.resource):
                await self.acknowledge([(step, out, step.got)], wrote=False)
                return True
            try:
                await self.remote.update(out.resource, if_match=step.if_match)
            except Upstream as error:
                if isinstance(error, UpstreamConflict) or (error.ambiguous and not isinstance(error, Later)):
                    return False  # what is there now tells
                raise
            back = await self.remote.read(*(step.item.remote or "").split("/"))
            await self.acknowledge([(step, out, back)])
            return True
        return await self._send_create(step, out)

    async def _send_create(self, step: Create, out: Outgoing) -> bool:
        type_ = out.resource["resourceType"]
        try:
            got = await self.remote.create(out.resource, step.query)
        except UpstreamConflict:
            if step.query is None:
                raise
            return await self._found(step, out)
        except Upstream as error:
            if not error.ambiguous or not await self._found(step, out):
                raise
            return True
        if got.status == 200 and not got.doubtful:
            return await self._found_unknown(step, out)
        id_ = got.id
        if id_ is None:
            return await self._found(step, out)
        await self.acknowledge([(step, out, await self.remote.read(type_, id_))])
        return True

    async def _found(self, step: Create, out: Outgoing) -> bool:
        """Searches for what may have been made; False where it was not."""
        found = await self.search(out, step.item.resource)
        if found is None:
            return False
        got = await self.remote.read(found["resourceType"], found["id"])
        await self.acknowledge([(step, out, got)])
        return True

    async def delete(self, type_: str, id_: str) -> None:
        """Deletes theirs; that it is not there is no error."""
        with suppress(UpstreamGone):
            await self.remote.delete(type_, id_)

    async def _found_unknown(self, step: Create, out: Outgoing) -> bool:
        """It was there before anybody here knew of it."""
        found = await self.search(out, step.item.resource)
        if found is not None:
            await self.adopt(step.item, out, found, None)
        return False

    async def acknowledge(self, written: Sequence[tuple[Step, Outgoing, Got]], wrote: bool = True) -> None:
        """Notes what the other side now says, and tells what it dropped."""
        notes: list[Note] = []
        issues: list[Issue] = []
        counts: dict[str, int] = {}
        for step, out, got in written:
            assert got.resource is not None
            item, back = step.item, got.resource
            origin = item.peer.origin if item.peer is not None else "push"
            hash_, version = canonical_hash(item.resource), item.stored.version
            peer = Peer(item.local, got.version, canonical_hash(back), version, origin, hash_)
            remote = item.remote or f"{back['resourceType']}/{back['id']}"
            notes += peers.notes(self.name, remote, peer)
            notes.append(agreements.agreed(self.name, item.local, back))
            notes.append(agreements.intent(self.name, item.local, None))
            notes.append(agreements.due(self.name, item.local, False))
            if wrote:
                done = "created" if isinstance(step, Create) else "updated"
                counts[done] = counts.get(done, 0) + 1
                issues += told(item.local, dropped(out.resource, back), out.unlinked)
        for rule, name in (("push-dropped", "dropped"), ("push-unlinked", "unlinked")):
            counts[name] = sum(issue.rule == rule for issue in issues)
        await self.report.write(Plan((), notes=tuple(notes)), counts, issues)
