"""Servers of our own in processes of their own, and a load of transactions whose every answer is remembered."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ENTRIES = 4
SYSTEM = "https://hospital.example/load"
FHIR = {"content-type": "application/fhir+json"}


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(url: str, folder: Path, **changes: Any) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """`cart-fhir serve` over a migrated database: its port and its process, which is ended afterwards.

    `changes` are settings; a `port` of one's own is kept from one server to the next.
    """
    port = changes.pop("port", None) or free_port()
    settings = {"database_url": url, "data_dir": folder, "port": port, **changes}
    environment = os.environ | {f"CART_FHIR_{name.upper()}": str(value) for name, value in settings.items()}
    command, quiet = [sys.executable, "-m", "service", "serve"], subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet)
    try:
        for _ in range(600):
            assert process.poll() is None, "the server ended by itself"
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        else:
            raise AssertionError("the server did not come up")
        yield port, process
    finally:
        process.kill()
        process.wait()


def bundle(name: str) -> dict[str, Any]:
    """A transaction of a patient and results that refer to it, ENTRIES in all, findable by `name`."""
    who = {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": name}]}
    entries: list[dict[str, Any]] = [
        {"fullUrl": "urn:uuid:p", "resource": who, "request": {"method": "POST", "url": "Patient"}}
    ]
    for number in range(ENTRIES - 1):
        lab = {
            "resourceType": "Observation",
            "identifier": [{"system": SYSTEM, "value": f"{name}-{number}"}],
            "status": "final",
            "code": {"text": "LDH"},
            "subject": {"reference": "urn:uuid:p"},
        }
        entries.append({"resource": lab, "request": {"method": "POST", "url": "Observation"}})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


async def parts(http: httpx.AsyncClient, name: str) -> int:
    """How many resources of the transaction `name` are there."""
    labs = [f"{name}-{number}" for number in range(ENTRIES - 1)]
    count = 0
    for type_, values in (("Patient", [name]), ("Observation", labs)):
        criteria = ",".join(f"{SYSTEM}|{value}" for value in values)
        found = await http.get(f"/{type_}", params={"identifier": criteria, "_summary": "count"})
        count += found.json()["total"]
    return count


@dataclass(slots=True)
class Load:
    """Clients that post transactions until told to stop. Names by what they were told: done, refused, unknown."""

    port: int
    done: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    stopped: bool = False

    async def run(self, clients: int = 6) -> None:
        """Returns when all clients have stopped."""
        await asyncio.gather(*(self._client(number) for number in range(clients)))

    async def _client(self, number: int) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60) as http:
            count = 0
            while not self.stopped:
                count += 1
                name = f"{id(self)}.{number}.{count}"
                answer = await http.post("/fhir", json=bundle(name), headers=FHIR)
                if answer.status_code == 200:
                    self.done.append(name)
                    continue
                assert answer.status_code == 503, answer.text
                assert answer.headers["retry-after"]
                (issue,) = answer.json()["issue"]
                known = issue["details"]["coding"][0]["code"] != "outcome-unknown"
                assert known == ("nothing was written" in issue["diagnostics"])
                (self.refused if known else self.unknown).append(name)
                await asyncio.sleep(0.02)

    async def until(self, answers: int) -> None:
        """Returns when `answers` more transactions were acknowledged."""
        target, patience = len(self.done) + answers, time.monotonic() + 30
        while len(self.done) < target:
            assert time.monotonic() < patience, "the service does not recover"
            await asyncio.sleep(0.005)

    async def check(self) -> None:
        """What was acknowledged is there as a whole, what was refused is not, nothing is there in part."""
        assert self.done
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}/fhir", timeout=30) as http:
            for name in self.done + self.refused + self.unknown:
                count = await parts(http, name)
                assert count in (0, ENTRIES), "a transaction is there in part"
                if name not in self.unknown:
                    assert (count == ENTRIES) == (name in self.done), "an answer was not true"
