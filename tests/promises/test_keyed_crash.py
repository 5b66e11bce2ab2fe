"""kill -9 in mid-load with idempotency keys: sending everything again leaves each transaction exactly once."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx

from tests.promises.live import FHIR, SYSTEM, bundle, free_port, serving

CLIENTS, EACH = 6, 40


async def _send_all(port: int, answered: dict[str, bool]) -> None:
    """Posts every transaction under its key, until the server dies; notes which were answered, and whether anew."""

    async def client(number: int) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
            for count in range(EACH):
                name = f"{number}.{count}"
                try:
                    answer = await http.post("/fhir", json=bundle(name), headers={**FHIR, "idempotency-key": name})
                except httpx.TransportError:
                    return
                assert answer.status_code == 200, answer.text
                answered[name] = "idempotent-replayed" in answer.headers

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))


async def test_keyed_transaction_sent_again_after_a_kill_is_there_once(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    before: dict[str, bool] = {}
    with serving(database_url, tmp_path, port=port) as (_, process):
        sending = asyncio.ensure_future(_send_all(port, before))
        while len(before) < 30 and not sending.done():
            await asyncio.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        await sending
    assert 30 <= len(before) < CLIENTS * EACH
    after: dict[str, bool] = {}
    with serving(database_url, tmp_path, port=port):
        await _send_all(port, after)
        assert len(after) == CLIENTS * EACH
        assert all(after[name] for name in before)  # what was acknowledged is replayed
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fhir", timeout=30) as http:
            for name in after:
                found = await http.get("/Patient", params={"identifier": f"{SYSTEM}|{name}", "_summary": "count"})
                assert found.json()["total"] == 1, name
