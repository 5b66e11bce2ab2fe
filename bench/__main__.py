"""`make bench`: transactions, creates and reads beside plain rows and a bare route, in one run.

Bounded and on loopback only: about five minutes, and half an hour with `BENCH_OBSERVATIONS=100000,1000000`.
Speeds of a machine say little; the ratios within one run are what counts.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench import resources
from bench.client import Load, load, request
from bench.exchange import delays, pulled
from bench.forms import measure as forms
from bench.report import Report
from bench.rows import plain_rate
from bench.scale import measure, postgresql
from bench.server import bare_route, service
from bench.validation import measure as validation

TRANSACTIONS, ENTRIES, CREATES, READS = 300, 100, 3000, 10000
CLIENTS = (1, 8, 32)


def main() -> None:
    """Runs everything on SQLite, then on PostgreSQL, then both with many Observations, and prints line by line."""
    report = Report()
    validation(report)
    with tempfile.TemporaryDirectory(prefix="cart-fhir-bench-") as name:
        asyncio.run(_sqlite(Path(name), report))
    asyncio.run(_postgresql(report))
    pulled(report)
    delays(report)
    forms(report)
    sizes = [int(size) for size in os.environ.get("BENCH_OBSERVATIONS", "100000").split(",") if size]
    asyncio.run(measure(sizes, report))


async def _sqlite(folder: Path, report: Report) -> None:
    path = folder / "cart-fhir.sqlite"
    with service(folder, f"sqlite:///{path}") as (port, process, ready):
        await load(port, iter([request("POST", "/fhir", resources.patients())]), 1)
        bundles = await _transactions(port)
        memory = psutil.Process(process.pid).memory_info().rss / 2**20
        plain = plain_rate(path, folder, TRANSACTIONS * ENTRIES + 100)
        rate = bundles.rate * ENTRIES
        report.load(
            "SQLite: resources in transactions of 100", 4, bundles, f"{rate / plain:.2f} of plain rows", ENTRIES
        )
        report.fact("yardstick: the same rows by executemany", f"{plain:,.0f}")
        for clients in CLIENTS:
            report.load("SQLite: creates", clients, await _creates(port, clients))
        ids, body = _ids(port)
        bare = await _bare(body)
        for clients in CLIENTS:
            reads = await load(port, iter([request("GET", f"/fhir/Observation/{id_}") for id_ in ids]), clients)
            ratio = f"{reads.rate / bare[clients].rate:.2f} of the bare route"
            report.load("SQLite: reads", clients, reads, ratio)
        for clients, yardstick in bare.items():
            report.load("yardstick: bare FastAPI route", clients, yardstick)
        report.fact("SQLite: ready after, s", f"{ready:.2f}")
        report.fact("SQLite: resident memory after the transactions, MB", f"{memory:.0f}")


async def _postgresql(report: Report) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="cart-fhir-bench-") as name,
        postgresql(Path(name)) as url,
        service(Path(name), url) as (port, _, _),
    ):
        await load(port, iter([request("POST", "/fhir", resources.patients())]), 1)
        bundles = await _transactions(port)
        report.load("PostgreSQL: resources in transactions of 100", 4, bundles, "", ENTRIES)
        for clients in CLIENTS:
            report.load("PostgreSQL: creates", clients, await _creates(port, clients))
        ids, _ = _ids(port)
        reads = await load(port, iter([request("GET", f"/fhir/Observation/{id_}") for id_ in ids[:3000]]), 8)
        report.load("PostgreSQL: reads", 8, reads)


async def _transactions(port: int) -> Load:
    bodies = [resources.transaction(number * ENTRIES, ENTRIES) for number in range(TRANSACTIONS)]
    return _checked(await load(port, iter([request("POST", "/fhir", body) for body in bodies]), 4), 200)


async def _creates(port: int, clients: int) -> Load:
    bodies = [json.dumps(resources.observation(10**6 + number)).encode() for number in range(CREATES)]
    sent: Iterator[bytes] = iter([request("POST", "/fhir/Observation", body) for body in bodies])
    return _checked(await load(port, sent, clients), 201)


async def _bare(body: bytes) -> dict[int, Load]:
    with bare_route(body) as port:
        one = request("GET", "/fhir/Observation/1")
        return {clients: await load(port, iter([one] * READS), clients) for clients in CLIENTS}


def _ids(port: int) -> tuple[list[str], bytes]:
    url = f"http://127.0.0.1:{port}/fhir/Observation?_count=1000"
    with urllib.request.urlopen(url) as answer:
        found = [entry["resource"]["id"] for entry in json.load(answer)["entry"]]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/fhir/Observation/{found[0]}") as answer:
        body = answer.read()
    return random.Random(19).choices(found, k=READS), body


def _checked(result: Load, status: int) -> Load:
    if set(result.statuses) != {status}:
        raise SystemExit(f"expected only {status}, got {result.statuses}")
    return result


if __name__ == "__main__":
    main()
