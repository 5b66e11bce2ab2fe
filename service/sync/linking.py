"""Which patient of the hospital is which subject of the trial: by identifiers of the systems that are configured.

Demographics are never stored: of a patient there, the service keeps the reference and those identifiers. Note room
`link/[connection]`, key `Patient/id` of theirs: a Link. Room `again/[connection]`, same key: the searches that are
still to be asked for this patient in full, because the link is new or has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import quote

import msgspec

from service.fhir.ledger import Note
from service.fhir.operations import Plan, Resource, Update
from service.remote import Remote
from service.store.database import Database
from service.sync import peers, worklist
from service.sync.connections import Connection
from service.sync.worklist import Item

IDS, IDENTIFIERS = 50, 20  # in one request
Subjects = dict[tuple[str, str], set[str]]  # our Patient/id by identifier
LINKED, UNLINKED, AMBIGUOUS, MERGED = "linked", "unlinked", "ambiguous", "merged"


class Link(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a patient there: `state` and, where it is linked, the `local` Patient/id.

    `into` is who replaced a merged one. `by` says how it came about: identifier · merge (of another into this one) ·
    person, which nothing but a person changes.
    """

    state: str
    local: str | None = None
    identifiers: tuple[tuple[str, str], ...] = ()
    into: str | None = None
    by: str = "identifier"


def room(connection: str) -> str:
    return f"link/{connection}"


def again_room(connection: str) -> str:
    return f"again/{connection}"


@dataclass(slots=True)
class Decided:
    """What follows from a look at patients: it belongs into one plan."""

    operations: list[Update] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def plan(self) -> Plan:
        return Plan(tuple(self.operations), notes=tuple(self.notes))

    def __bool__(self) -> bool:
        return bool(self.operations or self.notes)


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
        """Looks again at every patient that was ever seen."""
        return await self.judge(await self.fetch(sorted(self.links)))

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
        return await self.judge([one for key, one in found.items() if key not in self.links])

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
        replaced = [one for one in patients if self._replaced_by(one)]
        claims = self._claims([one for one in patients if one not in replaced], subjects)
        for patient in [*replaced, *(one for one in patients if not self._replaced_by(one))]:
            remote = f"Patient/{patient['id']}"
            before = self.links.get(remote)
            link = self._judged(remote, patient, before, subjects, claims)
            if link != before:
                self.links[remote] = link
                await self._note(remote, before, link, patient, decided)
        return decided

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


def _escaped(text: str) -> str:
    """A value of a search: hl7.org/fhir/R4/search.html#escaping"""
    for special in "\\,|$":
        text = text.replace(special, "\\" + special)
    return text
