"""A hospital system that others wrote, sekmet-fhir of PyPI, unchanged, in an environment and a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.fhir.json import decode
from service.fhir.ledger import Command, Step
from service.fhir.operations import Plan, Update
from service.jobs import Rooms, Run, enqueue_quiet
from service.store.database import Database
from service.sync import connections
from service.sync.connections import Connection
from service.sync.outgoing import system_of
from service.sync.pull import pull
from service.sync.push import finish, push
from tests.promises.live import free_port
from tests.sync.pushing import CODE, LABORATORY, MRN, OURS, observation

REQUIREMENTS = Path(__file__).parent / "sekmet" / "requirements.txt"
REQUIRED = {"sekmet", "clients"} & set(os.environ.get("CART_FHIR_REQUIRE", "").split(","))
CONCEPT = "https://cart-fhir.example/fhir/CodeSystem/trial-concept"


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter of an environment with sekmet-fhir, made once for each list of requirements."""
    digest = sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"cart-fhir-sekmet-{os.getuid()}-{digest}"
    found = folder / "bin" / "python"
    if (folder / "whole").exists():
        return found
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
    install = [found, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", REQUIREMENTS]
    done = subprocess.run(install, capture_output=True, text=True, timeout=300)
    if done.returncode:
        if REQUIRED:
            pytest.fail(f"sekmet-fhir is required and could not be installed: {done.stderr[-500:]}")
        pytest.skip("sekmet-fhir could not be fetched from PyPI")
    (folder / "whole").touch()
    return found


@pytest.fixture(scope="module")
def hospital(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The FHIR base of a running hospital system without patients."""
    folder, port = tmp_path_factory.mktemp("sekmet"), free_port()
    base = f"http://127.0.0.1:{port}/fhir"
    environment = {**os.environ, "SEKMET_BASE_URL": base, "SEKMET_DB": str(folder / "sekmet.db")}
    command = [python.with_name("sekmet"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=quiet, stderr=quiet)
    try:
        for _ in range(300):
            assert process.poll() is None, "the hospital system ended by itself"
            try:
                if httpx.get(f"{base}/metadata").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        else:
            raise AssertionError("the hospital system did not come up")
        yield base
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def there(hospital: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=hospital, headers={"content-type": "application/fhir+json"}) as client:
        yield client


async def stored(client: httpx.AsyncClient, resource: dict[str, Any]) -> dict[str, Any]:
    """What the hospital's staff writes."""
    path = f"/{resource['resourceType']}" + (f"/{resource['id']}" if "id" in resource else "")
    answer = await client.request("PUT" if "id" in resource else "POST", path, json=resource)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


class Here:
    """Our side: a store and a connection to the hospital."""

    def __init__(self, rooms: Rooms, connection: Connection) -> None:
        self.rooms, self.connection = rooms, connection

    async def put(self, *resources: dict[str, Any]) -> None:
        await self.rooms.database.write(Plan(tuple(map(Update, resources))))

    async def all(self, type_: str) -> list[dict[str, Any]]:
        query = self.rooms.database.parse_condition(type_, "")
        return [one async for one in self.rooms.database.resources(query)]

    async def get(self, reference: str) -> dict[str, Any]:
        type_, _, id_ = reference.partition("/")
        found: dict[str, Any] = decode((await self.rooms.database.read(type_, id_)).content or b"")
        return found

    async def run(self, work: Callable[[Run, Connection], Awaitable[Any]]) -> Any:
        """One job that does this."""
        database = self.rooms.database
        stopped = tuple(Command(job.id, "cancel") for job in await database.jobs("test", ("waiting", "running")))
        await database.write(Plan((), jobs=(*stopped, enqueue_quiet("test", {}))))
        job = await database.claim(["test"], 600)
        assert job is not None
        result = await work(Run(self.rooms, job, None), self.connection)
        await database.write(Plan((), jobs=(Step(job.lease, "done"),)))
        return result

    async def both(self) -> dict[str, int]:
        """A cycle; what was pushed."""
        await self.run(finish)
        await self.run(pull)
        counts: dict[str, int] = await self.run(push)
        return counts


async def test_hospital_system_of_others_is_pulled_from_and_pushed_to(
    database: Database, definitions: Definitions, there: httpx.AsyncClient, hospital: str, request: Any
) -> None:
    number = request.node.name
    of = "1" if "sqlite" in number else "2"  # both stores push to one hospital, which knows a resource by its id here
    identifier = [{"system": MRN, "value": number}]
    their_patient = await stored(there, {"resourceType": "Patient", "identifier": identifier})
    subject = {"reference": f"Patient/{their_patient['id']}"}
    values = {"base": hospital, "patient_systems": [MRN], "pull": ["Observation"], "push": ["trial"]}
    connection = connections.parsed("sekmet", values)
    here = Here(Rooms(database.settings, definitions, database, Validator(definitions)), connection)
    await database.write(connections.saved(connection))
    await here.put({"resourceType": "Patient", "id": "p1", "identifier": identifier})

    result = {
        "resourceType": "Observation",
        "status": "final",
        "category": LABORATORY,
        "code": CODE,
        "subject": subject,
        "valueQuantity": {"value": 7.50, "unit": "U/L"},
    }
    theirs = await stored(there, result)
    infusion = {
        "resourceType": "Procedure",
        "id": f"infusion{of}",
        "status": "completed",
        "code": {"coding": [{"system": CONCEPT, "code": "car-t-infusion"}]},
        "subject": {"reference": OURS},
    }
    event = {
        "resourceType": "AdverseEvent",
        "id": f"ae{of}",
        "actuality": "actual",
        "event": {"text": "CRS"},
        "subject": {"reference": OURS},
        "suspectEntity": [{"instance": {"reference": f"Procedure/infusion{of}"}}],
    }
    await here.put(infusion, event, observation(f"own{of}", partOf=[{"reference": f"Procedure/infusion{of}"}]))
    assert await here.both() == {"created": 3}
    (pulled,) = [one for one in await here.all("Observation") if one["id"] != f"own{of}"]
    assert (pulled["subject"], pulled["code"]["coding"]) == ({"reference": OURS}, CODE["coding"])

    async def copy(type_: str, id_: str) -> dict[str, Any]:
        page = (await there.get(f"/{type_}", params={"_count": 200})).json()
        wanted = {"system": system_of("", type_), "value": id_}
        found = [entry["resource"] for entry in page["entry"]]
        (one,) = [one for one in found if wanted in (one.get("identifier"), *(one.get("identifier") or ()))]
        result: dict[str, Any] = one
        return result

    own = await copy("Observation", f"own{of}")
    their_infusion = await copy("Procedure", f"infusion{of}")
    assert own["partOf"] == [{"reference": f"Procedure/{their_infusion['id']}"}]
    their_event = await copy("AdverseEvent", f"ae{of}")
    assert their_event["suspectEntity"][0]["instance"]["reference"] == f"Procedure/{their_infusion['id']}"

    await stored(there, {**theirs, "status": "amended"})
    await stored(there, {**own, "issued": "2026-01-01T00:00:00Z"})
    await here.put({**await here.get(f"Observation/own{of}"), "status": "corrected"})
    assert (await here.both())["updated"] == 1
    assert (await here.get(f"Observation/{pulled['id']}"))["status"] == "amended"
    both = (await here.get(f"Observation/own{of}"), await copy("Observation", f"own{of}"))
    assert [(one["status"], one["issued"]) for one in both] == [("corrected", "2026-01-01T00:00:00Z")] * 2

    before = (await there.get("/_history", params={"_count": 1})).json()["total"]
    assert await here.both() == {}
    assert (await there.get("/_history", params={"_count": 1})).json()["total"] == before
