"""kill -9 in mid-load: every acknowledged write is there, no transaction is there in part.

`make soak` runs 20 rounds on each database, `make test` fewer; the number is printed with the result.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import httpx

from tests.promises.live import ENTRIES, FHIR, bundle, free_port, parts, serving

ROUNDS = 20 if os.environ.get("CART_FHIR_SOAK") else 3


async def _load(port: int, round_: int, sent: list[str], acknowledged: dict[str, list[str]]) -> None:
    """Posts until the server dies; notes what was sent and what was answered."""

    async def client(number: int) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
            for count in range(2000):
                name = f"{round_}.{number}.{count}"
                sent.append(name)
                try:
                    answer = await http.post("/fhir", json=bundle(name), headers=FHIR)
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
    port = free_port()
    sent: list[str] = []
    acknowledged: dict[str, list[str]] = {}
    for round_ in range(ROUNDS):
        with serving(database_url, tmp_path, port=port) as (_, process):
            await asyncio.gather(
                _load(port, round_, sent, acknowledged),
                _kill_in_mid_load(process, acknowledged, after=10 + 7 * round_),
            )
    with serving(database_url, tmp_path, port=port):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fhir", timeout=30) as http:
            for places in acknowledged.values():
                for place in places:
                    assert (await http.get(f"/{place}")).status_code == 200
            for name in sent:
                count = await parts(http, name)
                assert count in (0, ENTRIES), "a transaction is there in part"
                assert count or name not in acknowledged
    print(f"{ROUNDS} kills, {len(sent)} transactions sent, {len(acknowledged)} acknowledged")
    assert len(acknowledged) >= 10 * ROUNDS
