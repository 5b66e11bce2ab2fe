"""One page of resources of theirs, made into what is stored: known ones fall out, the others are linked, harmonised,
validated and named. What cannot be stored at all becomes a dead letter with its original bytes.

Our copy has no narrative, no names beside references to people, and of contained people nothing but that they are
there: the trial's records are pseudonymous. What it refers to and was pulled is referred to here; anything else keeps
its address on the other side, as an absolute reference.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any

import msgspec

from service.errors import BadRequest, Conflict, Gone, Issue, NotFound
from service.fhir import references
from service.fhir.ledger import Note
from service.fhir.operations import Delete, Resource
from service.jobs import Rooms, letter
from service.sync import peers, worklist
from service.sync.candidate import (
    PEOPLE,
    Batch,
    Candidate,
    age,
    agree,
    as_sent,
    hash_all,
    owners,
    reference,
    refused_room,
    strip,
    wrong,
)
from service.sync.connections import Connection
from service.sync.harmonise import Harmoniser
from service.sync.linking import Linker
from service.sync.origin import origin_of, stamped
from service.sync.originals import original
from service.sync.outgoing import own_id
from service.sync.peers import Peer

KIND = "sync-pull"
_REFERENCE = re.compile(r"([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?\Z")


class Intake:
    """Takes the pages of one run. `task` is its Task, if it has one."""

    def __init__(
        self, rooms: Rooms, connection: Connection, linker: Linker, harmoniser: Harmoniser, task: str | None = None
    ) -> None:
        self.rooms, self.connection, self.linker, self.harmoniser = rooms, connection, linker, harmoniser
        self.task = task
        self._base = connection.base.rstrip("/") + "/"
        self._pulled = {search.partition("?")[0] for search in connection.searches()}
        self._owned: dict[str, bool] = {}
        self._strict = False

    async def take(self, resources: Sequence[Any], raw: bytes = b"", forced: bool = False) -> Batch:
        """What these resources come to; `raw` is the page. Asks the other side about patients that are not known yet.

        `forced`: what they said last time is looked at again, as somebody may be linked otherwise by now.
        """
        batch = Batch()
        fresh = await self._fresh(resources, raw, batch, forced)
        await asyncio.to_thread(self.look, fresh)
        unknown = dict.fromkeys(one.owner for one in fresh if one.owner and one.owner not in self.linker.links)
        if unknown:
            batch.decided = await self.linker.look_up([one for one in unknown if one])
        waiting = [one for one in fresh if not self._is_ours(one)]
        withdrawn = [one for one in waiting if one.before is not None and not one.before.deleted]
        batch.count("waiting", len(waiting) - len(withdrawn))
        batch.candidates += [self.gone(one.remote, one.before) for one in withdrawn if one.before]
        batch.count("withdrawn", len(withdrawn))
        fresh = [one for one in fresh if self._is_ours(one)]
        here = {one.remote for one in fresh}
        wanted = {target for one in fresh for _, _, target in one.links} - here
        known = await peers.peers(self.rooms.database, self.connection.name, sorted(wanted))
        targets = {remote: peer.local for remote, peer in known.items() if not peer.deleted}
        targets |= {one.remote: self._local(one) for one in fresh}
        await asyncio.to_thread(self.make, fresh, targets)
        await self._sort(fresh, raw, batch)
        await self._tell(batch)
        return batch

    async def again(self, sent: Any) -> Batch:
        """What a dead letter comes to now. Raises what is still against it; Conflict where a later version is here."""
        if (problem := wrong(sent)) is not None:
            raise BadRequest(issues=[problem])
        before = await peers.peer(self.rooms.database, self.connection.name, reference(sent))
        if before is not None and not before.deleted:
            raise Conflict("A later version was taken meanwhile: discard this letter", rule="letter-superseded")
        self._strict = True
        batch = await self.take([sent], forced=True)
        if not batch.candidates:
            raise Conflict("The patient of this resource is not linked", rule="patient-not-linked")
        return batch

    def gone(self, remote: str, peer: Peer) -> Candidate:
        """The deletion of what they have no more."""
        type_, _, id_ = peer.local.partition("/")
        deleted = Peer(peer.local, None, "", peer.local_version + 1, peer.origin, "", deleted=True)
        found = Candidate(remote, {}, "", None, before=peer, peer=deleted)
        found.operation = Delete(type_, id_, if_match=peer.local_version)
        return found

    async def _fresh(self, resources: Sequence[Any], raw: bytes, batch: Batch, forced: bool) -> list[Candidate]:
        """Those that say something new, each once and in its newest version."""
        found: dict[str, Candidate] = {}
        for sent in resources:
            problem = wrong(sent)
            if problem is not None:
                content = original(raw, lambda one, sent=sent: one == sent, sent)
                await self._refuse("", content, [problem], batch)
            elif sent["resourceType"] in PEOPLE:
                batch.count("people")
            else:
                remote = reference(sent)
                other = found.get(remote)
                if other is None or age(sent) >= age(other.resource):
                    version = sent["meta"].get("versionId") if isinstance(sent.get("meta"), dict) else None
                    found[remote] = Candidate(remote, sent, "", version if isinstance(version, str) else None)
        known = await peers.peers(self.rooms.database, self.connection.name, list(found))
        await asyncio.to_thread(hash_all, found.values())
        fresh = []
        for remote, one in found.items():
            one.before = known.get(remote)
            if one.before is None and self._is_copy(one.resource):
                batch.count("unchanged")
            elif forced or one.before is None or not one.before.is_echo(one.version, one.hash):
                fresh.append(one)
            else:
                batch.count("unchanged")
                if one.version != one.before.remote_version:
                    one.peer = msgspec.structs.replace(one.before, remote_version=one.version, remote_hash=one.hash)
                    batch.candidates.append(one)
        return fresh

    def _is_copy(self, resource: Resource) -> bool:
        """Whether it was made elsewhere: pushed from here and not yet acknowledged, or come there by a sync of others.

        One hop is the limit, so that nothing travels in a circle.
        """
        return origin_of(resource) is not None or own_id(resource, self.rooms.settings.base_url) is not None

    def look(self, fresh: Iterable[Candidate]) -> None:
        """Takes off what is not kept, and finds what the resources refer to."""
        for one in fresh:
            strip(one.resource)
            found = references.find(one.resource)
            for container, key, text in (*found.local, *found.absolute):
                match = _REFERENCE.match(text.removeprefix(self._base))
                if match is not None:
                    one.links.append((container, key, match[1]))
            one.owner = next((name for name in map(self._patient, owners(one.resource)) if name), None)

    def _patient(self, reference: str) -> str | None:
        match = _REFERENCE.match(reference.removeprefix(self._base))
        return match[1] if match is not None and match[1].startswith("Patient/") else None

    def _is_ours(self, one: Candidate) -> bool:
        """Whether it is about a patient who is linked, or of a type that is about nobody."""
        if one.owner is not None:
            return self.linker.local(one.owner) is not None
        type_ = one.resource["resourceType"]
        if type_ not in self._owned:
            parameters = self.rooms.definitions.search_parameters
            self._owned[type_] = "patient" in parameters.of(type_)
        return not self._owned[type_]

    def _local(self, one: Candidate) -> str:
        if one.before is not None:
            return one.before.local
        type_, _, id_ = one.remote.partition("/")
        return f"{type_}/{peers.local_id(self.connection.name, type_, id_)}"

    def make(self, fresh: Iterable[Candidate], targets: dict[str, str]) -> None:
        """Turns each into our copy of it, and validates that."""
        for one in fresh:
            resource, local = one.resource, self._local(one)
            for container, key, target in one.links:
                ours = self.linker.local(target) if target.startswith("Patient/") else targets.get(target)
                container[key] = ours or self._base + target
                if ours is None and target.partition("/")[0] in self._pulled:
                    one.dangling.append(target)
                if isinstance(container, dict) and target.partition("/")[0] in PEOPLE:
                    container.pop("display", None)
                    container.pop("identifier", None)
            one.told = self.harmoniser.apply(resource)
            resource["id"] = local.partition("/")[2]
            resource["meta"] = stamped(self.connection, one.remote, resource.get("meta"))
            one.errors = self.rooms.validator.errors(resource)
            agree(one, local)

    async def detach(self, one: Candidate) -> None:
        """Lets a resource keep the address on the other side of everything that is not here (any more)."""
        known = await peers.peers(self.rooms.database, self.connection.name, [target for _, _, target in one.links])
        living = {remote: peer.local for remote, peer in known.items() if not peer.deleted}
        for container, key, target in one.links:
            there = living.get(target)
            if there is not None:
                with suppress(NotFound, Gone):
                    await self.rooms.database.read(*there.split("/"))
                    continue
            container[key] = self._base + target
            if target.partition("/")[0] in self._pulled:
                one.dangling.append(target)
        agree(one, self._local(one))

    async def _sort(self, fresh: Sequence[Candidate], raw: bytes, batch: Batch) -> None:
        """Those that R4 forbids are refused, the others written."""
        for one in fresh:
            grave = [issue for issue in one.errors if self.rooms.validator.is_base(issue)]
            if grave:
                await self.refuse(one, grave, raw, batch)
                continue
            if one.before is not None and one.before.origin == "push":
                batch.diverged.append(one)
                continue
            batch.candidates.append(one)
            if one.operation is None:
                batch.count("unchanged")
            else:
                batch.count("updated" if one.before is not None else "created")
                if one.errors:
                    batch.count("flagged")

    async def refuse(self, one: Candidate, issues: Sequence[Issue], raw: bytes, batch: Batch) -> None:
        """Makes a dead letter of a resource with its original bytes; where it is one already, raises the errors."""
        if self._strict:
            raise self.rooms.validator.refusal(issues)
        await self._refuse(one.remote, as_sent(one, raw), issues, batch)

    async def _refuse(self, place: str, content: bytes, issues: Sequence[Issue], batch: Batch) -> None:
        """A dead letter, unless it became one before."""
        mark = sha256(content).hexdigest().encode()
        name, key = self.connection.name, place or mark.decode()
        batch.count("refused")
        if await self.rooms.database.note(refused_room(name), key) == mark:
            return
        batch.decided.notes.append(letter(KIND, name, place, content, issues, self.task))
        batch.decided.notes.append(Note(refused_room(name), key, mark))
        batch.issues += [Issue(one.code, one.text, one.expression, one.rule, "warning") for one in issues[:1]]
        batch.count("dead-letters")

    async def _tell(self, batch: Batch) -> None:
        """The work list of codes and units."""
        codes: dict[tuple[str, str], int] = {}
        units: dict[tuple[str, str], int] = {}
        for one in batch.candidates:
            if one.operation is not None:
                for table, keys in ((codes, one.told.codes), (units, one.told.units)):
                    for key in keys:
                        table[key] = table.get(key, 0) + 1
        items = [worklist.code_item(*key, count) for key, count in codes.items()]
        items += [worklist.unit_item(*key, count) for key, count in units.items()]
        updates, notes = await worklist.opened(self.rooms.database, self.connection.name, items)
        batch.decided.operations += updates
        batch.decided.notes += notes
