"""A hospital on loopback, subjects of the trial here, and runs of the job that pulls: what the tests of pull share."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.fhir.json import decode
from service.fhir.operations import Plan, Update
from service.jobs import Rooms, Runner, enqueue
from service.settings import Settings
from service.simulators.ehr import PLAIN, Ehr
from service.simulators.ehr.hospital import ACCESSION, CATEGORY, LAB, LOINC, SUBJECT, TESTS, UCUM, result
from service.simulators.serving import serving
from service.store.database import Database
from service.sync import connections
from service.sync.connections import Connection
from service.sync.cycle import KINDS

__all__ = ["ACCESSION", "CATEGORY", "LAB", "LOINC", "SUBJECT", "UCUM"]
SECONDS = 60
LAB_SEARCH = "Observation?category=laboratory"
WHEN = datetime(2024, 3, 1, 8, tzinfo=UTC)
TEST = {test.code: test for test in TESTS}


def person(id_: str, *pseudonyms: str, **more: Any) -> dict[str, Any]:
    """A patient of the hospital with these pseudonyms of the trial."""
    identifiers = [{"system": SUBJECT, "value": one} for one in pseudonyms]
    number = {"system": "https://hospital.example/mrn", "value": f"m-{id_}"}
    name = [{"family": "Secret", "given": ["Very"]}]
    return {"resourceType": "Patient", "id": id_, "identifier": [*identifiers, number], "name": name, **more}


def subject(pseudonym: str) -> dict[str, Any]:
    """A subject of the trial here; its id is its pseudonym in small letters."""
    identifier = [{"system": SUBJECT, "value": pseudonym}]
    return {"resourceType": "Patient", "id": pseudonym.lower(), "identifier": identifier, "gender": "unknown"}


def value(id_: str, patient: str = "p1", code: str = "LDH", number: str = "4.25", **more: Any) -> dict[str, Any]:
    """A result of the hospital's laboratory."""
    return {**result(patient, TEST[code], number, WHEN, f"a-{id_}", id_), **more}


@contextmanager
def hospital(resources: Sequence[dict[str, Any]] = (), quirks: Any = PLAIN, **more: Any) -> Iterator[tuple[Ehr, str]]:
    """The simulated hospital and its base."""
    ehr = Ehr(list(resources), quirks, **more)
    with serving(ehr) as address:
        yield ehr, f"{address}/fhir"


class Here:
    """The service's side: its rooms, and the connection `north`."""

    def __init__(self, rooms: Rooms, connection: Connection) -> None:
        self.rooms, self.database, self.connection = rooms, rooms.database, connection

    async def put(self, *resources: dict[str, Any]) -> None:
        await self.database.write(Plan(tuple(Update(one) for one in resources)))

    async def connect(self, **changes: Any) -> None:
        self.connection = msgspec.structs.replace(self.connection, **changes)
        await self.database.write(connections.saved(self.connection))

    async def start(self, **more: Any) -> str:
        """Orders a run; the id of its job."""
        update, job = enqueue("sync-run", {"connection": self.connection.name, **more})
        await self.database.write(Plan((update,), jobs=(job,)))
        return job.id

    async def run(self, *states: str, **more: Any) -> dict[str, Any]:
        """The Task of a run when it has ended (or is in one of `states`)."""
        id_ = await self.start(**more)
        async with self.working():
            return await self.ended(id_, *states)

    async def ended(self, id_: str, *states: str) -> dict[str, Any]:
        wanted = states or ("done", "failed")
        async with asyncio.timeout(SECONDS):
            while (job := await self.database.job(id_)).state not in wanted or not job.token:
                failed = job.state == "waiting" and job.attempts
                assert states or not failed, (await self.read(f"Task/{id_}"))["statusReason"]
                await asyncio.sleep(0.02)
        return await self.read(f"Task/{id_}")

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Runner]:
        """A runner, as long as the block lasts."""
        runner = Runner(self.rooms, KINDS)
        runner.start()
        try:
            yield runner
        finally:
            await runner.stop()

    async def read(self, reference: str) -> dict[str, Any]:
        type_, _, id_ = reference.partition("/")
        return decode((await self.database.read(type_, id_)).content or b"", 10_000)

    async def all(self, type_: str, query: str = "") -> list[dict[str, Any]]:
        asked = self.database.parse_condition(type_, query or "_lastUpdated=ge2000")
        return [one async for one in self.database.resources(asked)]

    async def observations(self) -> dict[str, dict[str, Any]]:
        """Those that are stored, by their id there."""
        return {one["meta"]["source"].rpartition("/")[2]: one for one in await self.all("Observation")}

    async def tasks(self, kind: str) -> list[dict[str, Any]]:
        """Open matters of a kind."""
        return [one for one in await self.all("Task", f"code={kind}") if one["status"] == "requested"]


def counts(task: Mapping[str, Any]) -> Counter[str]:
    """The counts of a Task."""
    outputs = task.get("output", [])
    return Counter({one["type"]["text"]: one["valueUnsignedInt"] for one in outputs if "valueUnsignedInt" in one})


async def here(settings: Settings, definitions: Definitions, database: Database, base: str, **more: Any) -> Here:
    """The service with one subject, ISIKOK19-001, and a connection to `base` that pulls laboratory results."""
    given = {"base": base, "patient_systems": (SUBJECT,), "pull": (LAB_SEARCH,), **more}
    found = Here(Rooms(settings, definitions, database, Validator(definitions)), Connection(name="north", **given))
    await found.connect()
    await found.put(subject("ISIKOK19-001"))
    return found
