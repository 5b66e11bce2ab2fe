"""The demo's hospital and registry, and one round with both: results pulled, a report populated, sent, acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.errors import CartFhirError, Unavailable
from service.fhir.json import decode
from service.jobs import Rooms, Runner
from service.settings import Settings
from service.simulators.ehr import Ehr, hospital
from service.simulators.registry import Registry
from service.simulators.serving import serving
from service.store.database import Database
from service.submissions import destinations, overview, prepare
from service.sync import connections, operating
from service.work import KINDS

HOSPITAL, REGISTRY = "hospital", "registry"
SUBJECTS = "https://cart-fhir.example/fhir/identifier/subject"
SUBJECT = "ISIKOK19-001"
EVERY = 5  # seconds between two looks into the hospital
PATIENCE = 60.0  # seconds for one step

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Counterparts:
    """FHIR bases of the two simulators."""

    hospital: str
    registry: str


@contextmanager
def counterparts(port: int) -> Iterator[Counterparts]:
    """A hospital on `port` and a registry on the next one, both on loopback. Raises Unavailable where one is taken."""
    with serving(Ehr(hospital()), port) as ehr, serving(Registry(), port + 1) as registry:
        yield Counterparts(f"{ehr}/fhir", f"{registry}/fhir")


async def exchange(settings: Settings, definitions: Definitions, with_: Counterparts, say: Say) -> None:
    """Connects both and goes one round, which a second time changes nothing. Raises CartFhirError."""
    database = await Database.open(settings, definitions)
    rooms = Rooms(settings, definitions, database, Validator(definitions))
    runner = Runner(rooms, KINDS)
    try:
        await _connect(rooms, settings, with_)
        runner.start()
        await _pull(rooms, say)
        await _report(rooms, say)
        await operating.save(database, _hospital(with_, EVERY))
    finally:
        await runner.stop()
        await database.close()


async def _connect(rooms: Rooms, settings: Settings, with_: Counterparts) -> None:
    await operating.save(rooms.database, _hospital(with_, None))
    sender = settings.base_url or f"http://{settings.host}:{settings.port}/fhir"
    to = destinations.Destination(REGISTRY, sender, base=with_.registry)
    await destinations.save(rooms.database, to)


def _hospital(with_: Counterparts, every: int | None) -> connections.Connection:
    wanted = {"base": with_.hospital, "label": "Simulated hospital", "patient_systems": [SUBJECTS], "every": every}
    return connections.parsed(HOSPITAL, wanted)


async def _pull(rooms: Rooms, say: Say) -> None:
    task = await _done(rooms, await operating.order(rooms.database, HOSPITAL))
    counts = {one["type"]["text"]: one["valueUnsignedInt"] for one in task["output"] if "valueUnsignedInt" in one}
    told = ", ".join(f"{count} {name.replace('-', ' ')}" for name, count in counts.items()) or "nothing new"
    say(f"From the hospital: {told}")
    for work in (await operating.status(rooms.database, HOSPITAL))["work"]:
        say(f"For a person to decide: {work['kind']}, {work['resources']} resources ({work['task']})")


async def _report(rooms: Rooms, say: Say) -> None:
    """The day-100 report of the first subject, if it was not sent before."""
    await overview.refresh(rooms, datetime.now(UTC))
    patient = await rooms.database.search(rooms.database.parse_condition("Patient", f"identifier={SUBJECTS}|{SUBJECT}"))
    subject = f"Patient/{patient.matches[0].id}"
    owed = await _owed(rooms, subject)
    if owed["state"] == "DUE":
        queued = await prepare.submit(rooms, owed["id"], REGISTRY)
        await _done(rooms, queued.job)
        owed = await _owed(rooms, subject)
    receipt = (owed["message"] or {}).get("receipt")
    say(f"Day-100 report of {SUBJECT}: {owed['state']}, receipt {receipt} (Task/{owed['id']})")


async def _owed(rooms: Rooms, subject: str) -> dict[str, Any]:
    today = datetime.now(rooms.database.zone).date()
    cursor: tuple[Any, ...] | None = None
    while True:
        page = await overview.listed(rooms.database, today, (), 200, cursor)
        for one in page.obligations:
            if (one["subject"], one["form"], one["timePoint"]) == (subject, "4100", "day-100"):
                return one
        cursor = page.next
        if cursor is None:
            raise Unavailable(f"No report is owed for {subject}")


async def _done(rooms: Rooms, job: str) -> dict[str, Any]:
    """The Task of a job that has ended well. Raises CartFhirError with what it says otherwise."""
    async with asyncio.timeout(PATIENCE):
        while (await rooms.database.job(job)).state in ("waiting", "running"):
            await asyncio.sleep(0.05)
    task: dict[str, Any] = decode((await rooms.database.read("Task", job)).content or b"{}", 10_000)
    if task["status"] != "completed":
        raise CartFhirError(f"Task/{job}: {task.get('statusReason', {}).get('text', task['status'])}")
    return task
