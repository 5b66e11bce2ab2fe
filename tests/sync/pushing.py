"""A service with one connection to a simulated hospital, and pushes by it, one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from service.conformance.validator import Validator
from service.fhir.json import decode
from service.fhir.ledger import Command, Note, Step
from service.fhir.operations import Plan, Update
from service.jobs import Rooms, Run, enqueue_quiet
from service.simulators.ehr import PLAIN, Ehr, Quirks
from service.simulators.serving import serving
from service.store.database import Database
from service.sync import connections, linking, peers
from service.sync.connections import Connection
from service.sync.outgoing import system_of
from service.sync.peers import Peer
from service.sync.push import push

NAME = "ward"
OURS, THEIRS = "Patient/p1", "Patient/hp1"
MRN = "https://hospital.example/mrn"
CODE = {"coding": [{"system": "https://hospital.example/lab", "code": "LDH"}]}
LABORATORY = [
    {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}
]


def observation(id_: str, **changes: Any) -> dict[str, Any]:
    """A laboratory Observation of the linked patient."""
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "category": LABORATORY,
        "code": CODE,
        "subject": {"reference": OURS},
        "valueQuantity": {"value": 500, "unit": "U/L"},
        **changes,
    }


@dataclass(slots=True)
class Ward:
    """The service, its hospital and the connection between them."""

    rooms: Rooms
    ehr: Ehr
    connection: Connection

    @property
    def database(self) -> Database:
        return self.rooms.database

    async def put(self, *resources: dict[str, Any]) -> None:
        """Stores resources of ours."""
        await self.database.write(Plan(tuple(Update(one) for one in resources)))

    async def ours(self, reference: str) -> dict[str, Any]:
        """Ours as it is now."""
        type_, _, id_ = reference.partition("/")
        found: dict[str, Any] = decode((await self.database.read(type_, id_)).content or b"")
        return found

    async def change(self, reference: str, **changes: Any) -> None:
        """Changes elements of ours; None takes one away."""
        changed = {**await self.ours(reference), **changes}
        await self.put({name: value for name, value in changed.items() if value is not None})

    def theirs(self, local: str) -> dict[str, Any]:
        """The one copy of ours there."""
        (found,) = self.copies(local)
        return found

    def copies(self, local: str) -> list[dict[str, Any]]:
        """All copies of ours there."""
        type_, _, id_ = local.partition("/")
        wanted = {"system": system_of("", type_), "value": id_}

        def carries(one: dict[str, Any]) -> bool:
            there = one.get("identifier")
            return wanted == there or (isinstance(there, list) and wanted in there)

        return [one for one in self.ehr.resources(type_) if carries(one)]

    def edit(self, local: str, **changes: Any) -> None:
        """The hospital's staff changes their copy; None takes an element away."""
        changed = {**self.theirs(local), **changes}
        self.ehr.put([{name: value for name, value in changed.items() if value is not None}])

    def writes(self) -> int:
        """How many requests to write the hospital has had."""
        return self.ehr.count("POST ") + self.ehr.count("PUT ") + self.ehr.count("DELETE ")

    async def push(self) -> dict[str, int]:
        """One push, as a job of its own that is then done."""
        run = await self.begin()
        counts = await push(run, self.connection)
        await self.database.write(Plan((), jobs=(Step(run.job.lease, "done"),)))
        return counts

    async def begin(self) -> Run:
        """A run of a quiet job, after the one before was given up."""
        living = await self.database.jobs("test", ("waiting", "running"))
        stopped = tuple(Command(job.id, "cancel") for job in living)
        await self.database.write(Plan((), jobs=(*stopped, enqueue_quiet("test", {}))))
        job = await self.database.claim(["test"], 600)
        assert job is not None
        return Run(self.rooms, job, None)

    async def tasks(self, code: str) -> list[dict[str, Any]]:
        """Tasks of a kind."""
        query = self.database.parse_condition("Task", f"code={code}")
        return [task async for task in self.database.resources(query)]


async def link(database: Database, connection: Connection, ours: str = OURS, theirs: str = THEIRS) -> None:
    """Links a patient as linking does."""
    known = linking.Link("linked", ours, ((MRN, ours),))
    note = Note(linking.room(connection.name), theirs, msgspec.json.encode(known))
    peer = Peer(ours, None, "", 0, origin="link")
    await database.write(Plan((), notes=(note, *peers.notes(connection.name, theirs, peer))))


@asynccontextmanager
async def ward(
    database: Database, definitions: Any, quirks: Quirks = PLAIN, keys: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Ward]:
    """A service whose patient `p1` is linked with the hospital's `hp1`; `keys`: it asks for the login of `cart`."""
    patient = {"resourceType": "Patient", "identifier": [{"system": MRN, "value": "1"}]}
    clients = {"cart": keys} if keys else {}
    with serving(ehr := Ehr([{**patient, "id": "hp1"}], quirks, secured=bool(keys), clients=clients)) as address:
        values = {"base": f"{address}/fhir", "push": ["trial"], "patient_systems": [MRN], **settings}
        connection = connections.parsed(NAME, values)
        await database.write(Plan((Update({**patient, "id": "p1"}),)))
        await database.write(connections.saved(connection))
        await link(database, connection)
        yield Ward(Rooms(database.settings, definitions, database, Validator(definitions)), ehr, connection)
