"""Two running services, one of which pulls from and pushes to the other through a door that counts."""

from __future__ import annotations

import asyncio
import random
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from service.fhir.operations import Plan
from service.jobs import enqueue
from service.store.database import Database
from service.sync import connections
from service.sync.cycle import KIND
from tests.promises.live import FHIR, free_port, serving

NAME = "other"
MRN = "https://hospital.example/mrn"
SYSTEM = "https://hospital.example/change"
CATEGORY = [
    {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}
]
COMPARED = ("status", "effectiveDateTime", "issued", "valueQuantity", "note", "interpretation", "method", "component")
PATIENTS = 3
SECONDS = 120


@contextmanager
def door(port: int) -> Iterator[tuple[int, list[str]]]:
    """A reverse proxy to a port of loopback: its own port, and the "METHOD path" of each request that came through."""
    seen: list[str] = []
    passed = ("content-type", "accept", "if-match", "if-none-exist", "prefer", "host", "x-request-id")
    kept = ("content-type", "etag", "location", "retry-after", "last-modified")

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            seen.append(f"{self.command} {self.path}")
            length = int(self.headers.get("content-length", 0))
            content = self.rfile.read(length) if length else None
            headers = {name: self.headers[name] for name in passed if name in self.headers}
            try:
                answer = client.request(
                    self.command, f"http://127.0.0.1:{port}{self.path}", content=content, headers=headers
                )
            except httpx.TransportError:
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            for name in kept:
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def log_message(self, *args: Any) -> None:
            """Nothing is printed."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that was killed is none."""

    server = Quiet(("127.0.0.1", 0), Door)
    client = httpx.Client(timeout=60)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        server.server_close()
        client.close()


@dataclass(slots=True)
class Side:
    """One service in a process of its own, that can be killed and started again on its port."""

    url: str
    folder: Path
    port: int = field(default_factory=free_port)
    stack: ExitStack = field(default_factory=ExitStack)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        _, self.process = self.stack.enter_context(serving(self.url, self.folder, port=self.port))

    def stop(self) -> None:
        """As a new release does: the process ends by itself, and gives its jobs back."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)
        self.stack.close()

    def kill(self) -> None:
        """kill -9."""
        self.stack.close()

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30, headers=FHIR)

    async def observations(self) -> dict[str, dict[str, Any]]:
        """All, by the number that both sides know them by."""
        found: dict[str, dict[str, Any]] = {}
        async with self.http() as http:
            url: str | None = "/fhir/Observation?_count=500"
            while url:
                page = (await http.get(url)).json()
                for entry in page.get("entry", ()):
                    one = entry["resource"]
                    (number,) = [each["value"] for each in one["identifier"] if each.get("system") == SYSTEM]
                    assert number not in found, "a resource is there twice"
                    found[number] = one
                url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
        return found

    async def tasks(self) -> int:
        """How many Tasks there are."""
        async with self.http() as http:
            found: int = (await http.get("/fhir/Task?_summary=count")).json()["total"]
            return found

    async def versions(self) -> int:
        """How many versions of everything there are, but for Tasks: a run that was ordered has one, and tells on it."""
        async with self.http() as http:
            return sum(
                [
                    (await http.get(f"/fhir/{type_}/_history?_count=1")).json()["total"]
                    for type_ in ("Observation", "Provenance", "Patient", "Binary", "DetectedIssue")
                ]
            )


@dataclass(slots=True)
class Pair:
    """`a` has a connection to `b`."""

    a: Side
    b: Side
    database: Database
    chance: random.Random
    made: int = 0
    conflicts: int = 0

    async def prepare(self, port: int) -> None:
        """Patients of the same identifiers, and the connection through the door at `port`."""
        for side in (self.a, self.b):
            async with side.http() as http:
                for number in range(PATIENTS):
                    patient = {"resourceType": "Patient", "identifier": [{"system": MRN, "value": str(number)}]}
                    answer = await http.put(
                        f"/fhir/Patient/{self.patient(side, number)}",
                        json={**patient, "id": self.patient(side, number)},
                    )
                    assert answer.status_code == 201, answer.text
        values = {
            "base": f"http://127.0.0.1:{port}/fhir",
            "patient_systems": [MRN],
            "pull": ["Observation"],
            "push": ["Observation"],
            "push_corrections": True,
        }
        await self.database.write(connections.saved(connections.parsed(NAME, values)))

    def patient(self, side: Side, number: int) -> str:
        return f"{'a' if side is self.a else 'b'}{number}"

    async def change(self) -> None:
        """One change on one side, chosen by chance; what is not valid is not made."""
        side = self.chance.choice((self.a, self.b))
        there = await side.observations() if self.made and self.chance.random() < 0.7 else {}
        async with side.http() as http:
            if not there:
                answer = await http.post("/fhir/Observation", json=self._new(side, sorted(there)))
                assert answer.status_code == 201, answer.text
                return
            one = there[self.chance.choice(sorted(there, key=int)[-8:])]
            etag = f'W/"{one["meta"]["versionId"]}"'
            for _ in range(self.chance.choice((1, 1, 2))):
                self._edit(one)
            answer = await http.put(f"/fhir/Observation/{one['id']}", json=one, headers={"if-match": etag})
            assert answer.status_code in (200, 412), answer.text

    def _new(self, side: Side, known: list[str]) -> dict[str, Any]:
        self.made += 1
        one = {
            "resourceType": "Observation",
            "identifier": [{"system": SYSTEM, "value": f"{self.made}"}],
            "status": "final",
            "category": CATEGORY,
            "code": {"text": "LDH"},
            "subject": {"reference": f"Patient/{self.patient(side, self.chance.randrange(PATIENTS))}"},
            "valueQuantity": {"value": self.made, "unit": "U/L"},
        }
        for _ in range(self.chance.randrange(3)):
            self._edit(one)
        return one

    def _edit(self, one: dict[str, Any]) -> None:
        number = self.chance.randrange(100)
        match self.chance.randrange(8):
            case 0:
                one["status"] = self.chance.choice(("final", "amended", "corrected", "entered-in-error"))
            case 1:
                one["effectiveDateTime"] = f"2026-01-{1 + number % 28:02d}"
            case 2:
                one["issued"] = f"2026-02-{1 + number % 28:02d}T00:00:00Z"
            case 3:
                one["valueQuantity"] = {"value": number, "unit": "U/L"}
            case 4:
                one["note"] = [*one.get("note", ()), {"text": f"note {number}"}]
            case 5:
                one["interpretation"] = [{"text": f"interpretation {number}"}]
            case 6:
                if one.pop("method", None) is None:
                    one["method"] = {"text": f"method {number}"}
            case 7:
                part = {"code": {"text": f"part {number}"}, "valueString": "x"}
                one["component"] = [*one.get("component", ())[: number % 3], part]

    async def ask(self) -> str:
        """Asks for a run: pull and push; returns its job."""
        update, job = enqueue(KIND, {"connection": NAME}, alone=f"sync/{NAME}")
        await self.database.write(Plan((update,), jobs=(job,)))
        return job.id

    async def done(self, id_: str) -> None:
        """Waits for a run to end well."""
        async with asyncio.timeout(SECONDS):
            while (job := await self.database.job(id_)).state in ("waiting", "running"):
                await asyncio.sleep(0.05)
        assert job.state == "done", await self.database.read("Task", id_)

    async def decide(self) -> int:
        """Resolves every open conflict by chance; how many there were."""
        async with self.a.http() as http:
            found = (await http.get("/sync/conflicts?_count=200")).json()["conflicts"]
            for one in found:
                keep = {"keep": self.chance.choice(("ours", "theirs"))}
                answer = await http.post(f"/sync/conflicts/{one['id']}/resolve", json=keep)
                assert answer.status_code == 200, answer.text
        self.conflicts += len(found)
        return len(found)

    async def rest(self) -> None:
        """Runs until nothing is left to do and nobody has to decide."""
        for _ in range(20):
            before = await self.a.versions() + await self.b.versions()
            await self.done(await self.ask())
            decided = await self.decide()
            if not decided and await self.a.versions() + await self.b.versions() == before:
                return
        raise AssertionError("the two do not come to rest")
