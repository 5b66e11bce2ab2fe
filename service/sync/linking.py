"""Which patient of the hospital is which subject of the trial: by identifiers of the systems that are configured.

Demographics are never stored: of a patient there, the service keeps the reference and those identifiers. Note room
`link/[connection]`, key `Patient/id` of theirs: a Link. Room `again/[connection]`, same key: the searches that are
still to be asked for this patient in full, because the link is new or has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any
from urllib.parse import quote

import msgspec

from service.fhir.ledger import Note
from service.fhir.operations import Resource
from service.remote import Remote
from service.store.database import Database
from service.sync import peers, worklist
from service.sync.connections import Connection
from service.sync.links import AMBIGUOUS, LINKED, MERGED, UNLINKED, Decided, Link, Subjects, again_room, room
from service.sync.worklist import Item

IDS, IDENTIFIERS = 50, 20  # in one request
LAST = 2


class Linker:
    """The links of one connection, loaded once for a run. `begun` are the searches that were already asked."""

    def __init__(self, database: Database, connection: Connection, remote: Remote) -> None:
        self.database, self.connection, self.remote = database, connection, remote
        self.strategy = connection.strategy
        self.links: dict[str, Link] = {}
        self.begun: tuple[str, ...] = ()

    async def load(self) -> None:
        """Reads all links."""
        self.links, after = {}, ""
        while found := await self.database.notes(room(self.connection.name), after=after, count=1000):
            self.links |= {key: msgspec.json.decode(content, type=Link) for key, content in found}
            after = found[-1][0]

    def local(self, remote: str) -> str | None:
        """Our Patient/id of theirs, where it is linked."""
        link = self.links.get(remote)
        return link.local if link is not None and link.state in (LINKED, MERGED) else None

    def linked(self) -> list[str]:
        """Their patients that are linked."""
        return sorted(remote for remote in self.links if self.local(remote))

    async def fetch(self, remotes: Sequence[str]) -> list[Resource]:
        """These patients as they are there now; those that cannot be seen are missing."""
        ids = [remote.partition("/")[2] for remote in remotes]
        size = IDS if self.strategy.id_lists else 1
        found: list[Resource] = []
        for batch in _batched(ids, size):
            found += await self.remote.search(
                f"Patient?_id={','.join(quote(id_, safe='') for id_ in batch)}&_count={size}"
            )
        return [one for one in found if _is_patient(one)]

    async def known(self) -> Decided:
        """Looks again at every patient who is linked, or would be if a person decided, and at who replaced them.

        Who is not linked yet is found by `wanted` as soon as a subject here has an identifier of theirs.
        """
        concerned = {remote for remote, link in self.links.items() if link.state != UNLINKED}
        decided = await self.judge(await self.fetch(sorted(concerned)))
        replacing = {link.into for link in self.links.values() if link.into} - concerned
        further = await self.judge(await self.fetch(sorted(one for one in replacing if one)))
        return decided.joined(further)

    async def wanted(self) -> Decided:
        """Asks for each subject of ours that has an identifier and is not linked yet."""
        taken = {link.local for link in self.links.values() if link.local}
        missing: dict[str, None] = {}
        for system in self.connection.patient_systems:
            query = self.database.parse_condition("Patient", f"identifier={quote(_escaped(system))}|")
            async for patient in self.database.resources(query):
                if f"Patient/{patient['id']}" not in taken:
                    mine = [value for name, value in self.identifiers(patient) if name == system]
                    missing |= {f"{_escaped(system)}|{_escaped(value)}": None for value in mine}
        found: dict[str, Resource] = {}
        for batch in _batched(missing, IDENTIFIERS if self.strategy.id_lists else 1):
            query_text = quote(",".join(batch), safe="")
            for patient in await self.remote.search(f"Patient?identifier={query_text}&_count={IDS}"):
                if _is_patient(patient):
                    found[f"Patient/{patient['id']}"] = patient
        return await self.judge(list(found.values()))

    async def look_up(self, remotes: Sequence[str]) -> Decided:
        """Learns of patients that data speak of; one that cannot be read is unlinked."""
        found = await self.fetch(remotes)
        seen = {f"Patient/{one['id']}" for one in found}
        bare: list[Resource] = [
            {"resourceType": "Patient", "id": remote.partition("/")[2]} for remote in remotes if remote not in seen
        ]
        return await self.judge([*found, *bare])

    def identifiers(self, patient: Resource) -> tuple[tuple[str, str], ...]:
        """Those of the configured systems."""
        listed = patient.get("identifier")
        found = [
            (one["system"], one["value"])
            for one in (listed if isinstance(listed, list) else [])
            if isinstance(one, dict) and isinstance(one.get("system"), str) and isinstance(one.get("value"), str)
        ]
        return tuple(one for one in dict.fromkeys(found) if one[0] in self.connection.patient_systems)

    async def judge(self, patients: Sequence[Resource]) -> Decided:
        """The links of these patients as they follow now; `links` is brought up to date."""
        decided = Decided()
        subjects = await self._subjects({one for patient in patients for one in self.identifiers(patient)})
        before = {remote: self.links.get(remote) for remote in map(_reference, patients)}
        for patient in patients:
            link = before[_reference(patient)]
            if link is not None and link.into and not self._replaced_by(patient):  # no longer merged
                self.links[_reference(patient)] = msgspec.structs.replace(link, into=None, state=UNLINKED)
        claims: dict[str, set[str]] | None = None
        for patient in sorted(patients, key=lambda one: self._order(one, before[_reference(one)])):
            remote = _reference(patient)
            if claims is None and self._order(patient, before[remote]) == LAST:
                claims = self._claims([one for one in patients if not self._replaced_by(one)], subjects)
            link = self._judged(remote, patient, before[remote], subjects, claims or {})
            if link != self.links.get(remote) or link != before[remote]:
                self.links[remote] = link
                await self._note(remote, before[remote], link, patient, decided)
        return decided

    def _order(self, patient: Resource, before: Link | None) -> int:
        """Who was merged is looked at first, then who has a link by a merge, then the others."""
        return 0 if self._replaced_by(patient) else 1 if before is not None and before.by == "merge" else LAST

    async def by_hand(self, remote: str, local: str | None) -> Decided:
        """Links a patient as a person says; `local` None takes the link away, and what was pulled by it."""
        before = self.links.get(remote)
        identifiers = before.identifiers if before else ()
        link = Link(LINKED if local else UNLINKED, local, identifiers, by="person" if local else "identifier")
        self.links[remote] = link
        decided = Decided()
        await self._note(remote, before, link, {}, decided)
        return decided

    async def _subjects(self, identifiers: Iterable[tuple[str, str]]) -> Subjects:
        """Our patients by identifier."""
        found: Subjects = {one: set() for one in identifiers}
        for batch in _batched(found, 100):
            values = ",".join(f"{_escaped(system)}|{_escaped(value)}" for system, value in batch)
            query = self.database.parse_condition("Patient", f"identifier={quote(values, safe='')}")
            async for patient in self.database.resources(query):
                for one in self.identifiers(patient):
                    if one in found:
                        found[one].add(f"Patient/{patient['id']}")
        return found

    def _claims(self, patients: Sequence[Resource], subjects: Subjects) -> dict[str, set[str]]:
        """Who bears the identifiers of each subject of ours, and who is linked to it."""
        claims: dict[str, set[str]] = {}
        for patient in patients:
            for local in {local for one in self.identifiers(patient) for local in subjects[one]}:
                claims.setdefault(local, set()).add(f"Patient/{patient['id']}")
        for remote, link in self.links.items():
            if link.state == LINKED and link.local in claims:
                claims[link.local].add(remote)
        return claims

    def _judged(
        self,
        remote: str,
        patient: Resource,
        before: Link | None,
        subjects: Subjects,
        claims: dict[str, set[str]],
    ) -> Link:
        mine = self.identifiers(patient)
        into = self._replaced_by(patient)
        if before is not None and before.by == "person":
            return Link(MERGED if into else LINKED, before.local, mine, into, "person")
        locals_ = {local for one in mine for local in subjects[one]}
        if into:
            kept = before.local if before is not None and before.local else next(iter(locals_), None)
            return Link(MERGED, kept if len(locals_) < 2 else None, mine, into)
        inherited = {link.local for link in self.links.values() if link.into == remote and link.local}
        by = "merge" if not locals_ and len(inherited) == 1 else "identifier"
        locals_ = locals_ or inherited
        if len(locals_) != 1:
            return Link(AMBIGUOUS if locals_ else UNLINKED, None, mine)
        local = next(iter(locals_))
        was = before is not None and before.state == LINKED and before.local == local
        if not was and claims.get(local, set()) - {remote}:
            return Link(AMBIGUOUS, None, mine)
        return Link(LINKED, local, mine, by=by)

    async def _note(self, remote: str, before: Link | None, link: Link, patient: Resource, decided: Decided) -> None:
        name = self.connection.name
        decided.notes.append(Note(room(name), remote, msgspec.json.encode(link)))
        if link.local:
            version = patient.get("meta", {}).get("versionId") if isinstance(patient.get("meta"), dict) else None
            peer = peers.Peer(link.local, version, "", 0, origin="link")
            decided.notes += peers.notes(name, remote, peer)
        elif before is not None and before.local:
            decided.notes += peers.forgotten(name, remote, peers.Peer(before.local, None, "", 0))
        self._queue(remote, before, link, decided)
        await self._tell(remote, link, decided)
        decided.counts[f"patients-{link.state}"] = decided.counts.get(f"patients-{link.state}", 0) + 1

    def _queue(self, remote: str, before: Link | None, link: Link, decided: Decided) -> None:
        """What is to be pulled again in full: a merge and its undoing concern both patients."""
        everything = tuple(self.connection.searches())
        changed = before is not None and (before.local, before.into) != (link.local, link.into)
        concerned = {remote: everything if changed else () if self.strategy.by_patient else self.begun}
        for other in (before.into if before else None, link.into):
            if other and (before is None or before.into != link.into):
                concerned[other] = everything
        for one, searches in concerned.items():
            if searches and (changed or link.local or one != remote):
                decided.notes.append(Note(again_room(self.connection.name), one, msgspec.json.encode(searches)))

    async def _tell(self, remote: str, link: Link, decided: Decided) -> None:
        """Opens and closes the Tasks of this patient."""
        name, address = self.connection.name, f"{self.connection.base.rstrip('/')}/{remote}"
        inputs = tuple(
            {"type": {"text": "identifier"}, "valueIdentifier": {"system": system, "value": value}}
            for system, value in link.identifiers
        )
        wanted = {UNLINKED: worklist.UNLINKED, AMBIGUOUS: worklist.AMBIGUOUS}.get(link.state)
        if link.into and link.local and (other := self.local(link.into)) and other != link.local:
            wanted = worklist.MERGED
        kinds = (worklist.UNLINKED, worklist.AMBIGUOUS, worklist.MERGED)
        settled = [f"{kind}|{remote}" for kind in kinds if kind != wanted]
        updates, notes = await worklist.closed(self.database, name, settled)
        if wanted:
            more, further = await worklist.opened(
                self.database, name, [Item(wanted, remote, 0, address, inputs)], again=False
            )
            updates, notes = [*updates, *more], [*notes, *further]
        decided.operations += updates
        decided.notes += notes

    def _replaced_by(self, patient: Resource) -> str | None:
        """Patient/id of theirs that stands for this one now."""
        links = patient.get("link")
        for link in links if isinstance(links, list) else []:
            if isinstance(link, dict) and link.get("type") == "replaced-by" and isinstance(link.get("other"), dict):
                reference = link["other"].get("reference")
                if isinstance(reference, str):
                    return reference.removeprefix(f"{self.connection.base.rstrip('/')}/")
        return None


def _batched(items: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    rest = iter(items)
    while batch := tuple(islice(rest, size)):
        yield batch


def _is_patient(resource: Any) -> bool:
    return (
        isinstance(resource, dict) and resource.get("resourceType") == "Patient" and isinstance(resource.get("id"), str)
    )


def _reference(patient: Resource) -> str:
    return f"Patient/{patient['id']}"


def _escaped(text: str) -> str:
    """A value of a search: hl7.org/fhir/R4/search.html#escaping"""
    for special in "\\,|$":
        text = text.replace(special, "\\" + special)
    return text
