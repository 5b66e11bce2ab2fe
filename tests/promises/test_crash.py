"""kill -9 in mid-load: every acknowledged write is there, no transaction is there in part.

`make soak` runs 20 rounds on each database, `make test` fewer; the number is printed with the result.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

ROUNDS = 20 if os.environ.get("CART_FHIR_SOAK") else 4
ENTRIES = 5
SYSTEM = "https://hospital.example/crash"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _serving(url: str, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {
        "CART_FHIR_DATABASE_URL": url,
        "CART_FHIR_DATA_DIR": str(folder),
        "CART_FHIR_PORT": str(port),
    }
    process = subprocess.Popen([sys.executable, "-m", "service", "serve"], env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            assert process.poll() is None, "the server ended by itself"
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        else:
            pytest.fail("the server did not come up")
        yield process
    finally:
        process.kill()
        process.wait()


def _bundle(name: str) -> dict[str, Any]:
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


async def _load(port: int, round_: int, sent: list[str], acknowledged: dict[str, list[str]]) -> None:
    """Posts until the server dies; notes what was sent and what was answered."""

    async def client(number: int) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
            for count in range(2000):
                name = f"{round_}.{number}.{count}"
                sent.append(name)
                try:
                    answer = await http.post("/fhir", json=_bundle(name))
                except httpx.TransportError:
                    return
                assert answer.status_code == 200, answer.text
                locations = [entry["response"]["location"] for entry in answer.json()["entry"]]
                acknowledged[name] = ["/".join(location.split("/")[-4:-2]) for location in locations]

    await asyncio.gather(*(client(number) for number in range(6)))


async def _kill_in_mid_load(process: subprocess.Popen[bytes], acknowledged: dict[str, list[str]], after: int) -> None:
    """Waits for `after` more answers, so that the kill always comes in mid-load, and kills."""
    target = len(acknowledged) + after
    for _ in range(5000):
        if len(acknowledged) >= target:
            break
        await asyncio.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)


async def test_transaction_survives_kill_whole_or_not_at_all(database_url: str, tmp_path: Path) -> None:
    port = _free_port()
    sent: list[str] = []
    acknowledged: dict[str, list[str]] = {}
    for round_ in range(ROUNDS):
        with _serving(database_url, tmp_path, port) as process:
            await asyncio.gather(
                _load(port, round_, sent, acknowledged),
                _kill_in_mid_load(process, acknowledged, after=10 + 7 * round_),
            )
    with _serving(database_url, tmp_path, port):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fhir", timeout=30) as http:
            for places in acknowledged.values():
                for place in places:
                    assert (await http.get(f"/{place}")).status_code == 200
            parts = 0
            for name in sent:
                who = (await http.get("/Patient", params={"identifier": f"{SYSTEM}|{name}"})).json()
                labs = ",".join(f"{SYSTEM}|{name}-{number}" for number in range(ENTRIES - 1))
                found = (await http.get("/Observation", params={"identifier": labs})).json()
                count = len(who.get("entry", [])) + len(found.get("entry", []))
                assert count == (ENTRIES if name in acknowledged else count)
                parts += count not in (0, ENTRIES)
            assert parts == 0
    print(f"{ROUNDS} kills, {len(sent)} transactions sent, {len(acknowledged)} acknowledged")
    assert len(acknowledged) >= 10 * ROUNDS
