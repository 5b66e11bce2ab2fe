"""Serving processes and workers of our own that can be killed and started again, and hospitals for them to work on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from service.fhir.json import decode
from service.simulators.ehr import Ehr
from service.simulators.ehr.hospital import TESTS, result
from service.simulators.serving import serving
from service.store.database import Database
from service.sync.outgoing import system_of
from tests.promises.live import FHIR, free_port

LEASE = 1.5  # seconds; a worker that was killed is waited for as long
PAGE = 3
WHEN = datetime(2024, 3, 1, 8, tzinfo=UTC)
COMMAND = f"""
import dataclasses
from service import work
work.KINDS = tuple(dataclasses.replace(kind, lease={LEASE}) for kind in work.KINDS)
from service.cli import main
main()
"""


@dataclass(slots=True)
class Service:
    """`cart-fhir serve` on a port of its own and `cart-fhir worker`s; without workers the server works itself."""

    url: str
    folder: Path
    workers: int
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Starts the processes that are not there."""
        names = ["serve", *["worker"] * self.workers]
        for number, name in enumerate(names):
            if number == len(self.processes):
                self.processes.append(self._started(name))
            elif self.processes[number].poll() is not None:
                self.processes[number] = self._started(name)
        for _ in range(1200):
            assert self.processes[0].poll() is None, "the server ended by itself"
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the server did not come up")

    def _started(self, name: str) -> subprocess.Popen[bytes]:
        at_once = 0 if self.workers else 4
        settings = {"database_url": self.url, "data_dir": self.folder, "port": self.port, "workers": at_once}
        environment = os.environ | {f"CART_FHIR_{key.upper()}": str(value) for key, value in settings.items()}
        log = (self.folder / f"{name}.log").open("ab")
        with log:
            return subprocess.Popen([sys.executable, "-c", COMMAND, name], env=environment, stdout=log, stderr=log)

    def kill(self, number: int) -> None:
        """kill -9 of the n-th that works on jobs."""
        victim = self.processes[1 + number] if self.workers else self.processes[0]
        victim.kill()
        victim.wait()

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60, headers=FHIR)

    def logged(self) -> str:
        """What the processes wrote."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


@dataclass(slots=True)
class Hospital:
    """A simulated hospital with one patient, whose results are pulled, and to which ours are pushed."""

    number: int
    ehr: Ehr
    base: str
    made: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"hospital-{self.number}"

    def patient(self, id_: str) -> dict[str, Any]:
        identifier = [{"system": f"https://{self.name}.example/mrn", "value": "1"}]
        return {"resourceType": "Patient", "id": id_, "identifier": identifier}

    async def connect(self, http: httpx.AsyncClient) -> None:
        """The patient on both sides, and the connection."""
        self.ehr.put([self.patient("p")])
        self.ehr.configure({"most_count": PAGE})
        put = await http.put(f"/fhir/Patient/{self.name}", json=self.patient(self.name))
        assert put.status_code == 201, put.text
        given = {
            "base": self.base,
            "patient_systems": [f"https://{self.name}.example/mrn"],
            "pull": ["Observation?category=laboratory"],
            "push": ["Observation"],
        }
        put = await http.put(f"/sync/connections/{self.name}", json=given)
        assert put.status_code == 200, put.text

    async def fill(self, http: httpx.AsyncClient, results: int, ours: int) -> None:
        """New results there, and new Observations here."""
        new = [f"r{len(self.made) + number:04d}" for number in range(results)]
        self.ehr.put([result("p", TESTS[0], "4.25", WHEN, f"a-{id_}", id_) for id_ in new])
        self.made += new
        for number in range(ours):
            id_ = f"{self.name}-{len(self.ours):03d}"
            one = {
                "resourceType": "Observation",
                "id": id_,
                "status": "final",
                "code": {"text": "LDH"},
                "subject": {"reference": f"Patient/{self.name}"},
                "valueQuantity": {"value": number, "unit": "U/L"},
            }
            put = await http.put(f"/fhir/Observation/{id_}", json=one)
            assert put.status_code == 201, put.text
            self.ours.append(id_)

    async def run(self, http: httpx.AsyncClient) -> str:
        """Orders a run: the id of its job."""
        answer = await http.post(f"/sync/connections/{self.name}/run")
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job"])

    async def check(self, database: Database) -> None:
        """Each result is here once and in one version, each of ours there."""
        query = database.parse_condition("Observation", f"subject=Patient/{self.name}")
        here = [one async for one in database.resources(query)]
        sources = [one["meta"]["source"].rpartition("/")[2] for one in here if one["id"] not in self.ours]
        assert sorted(sources) == self.made
        assert {one["meta"]["versionId"] for one in here} == {"1"}
        there = {one["id"]: one for one in self.ehr.resources("Observation")}
        copies = [one for id_, one in there.items() if id_ not in self.made]
        values = [
            each["value"]
            for one in copies
            for each in one["identifier"]
            if each["system"] == system_of("", "Observation")
        ]
        assert sorted(values) == self.ours
        assert {self.ehr.versions(f"Observation/{id_}") for id_ in there} == {1}


async def task_of(database: Database, id_: str) -> dict[str, Any]:
    found: dict[str, Any] = decode((await database.read("Task", id_)).content or b"", 10_000)
    return found


@contextmanager
def hospitals(count: int) -> Iterator[list[Hospital]]:
    """Hospitals on loopback."""
    with ExitStack() as stack:
        ehrs = [Ehr() for _ in range(count)]
        yield [Hospital(number, ehr, f"{stack.enter_context(serving(ehr))}/fhir") for number, ehr in enumerate(ehrs)]
