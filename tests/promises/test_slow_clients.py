"""Clients that are slow, leave or never listen hurt nobody else; a stop answers what is under way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import Popen

import httpx
import pytest

from service.settings import Settings
from service.store.migrate import migrate
from tests.promises.live import FHIR, bundle, serving

SLOW = 60 if os.environ.get("CART_FHIR_SOAK") else 12  # clients at once
LIMIT = 200_000  # bytes of a body
PATIENT = json.dumps({"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "slow"}]}).encode()


def a_server(folder: Path) -> AbstractContextManager[tuple[int, Popen[bytes]]]:
    url = f"sqlite:///{folder / 'store.sqlite'}"
    migrate(Settings(database_url=url))
    return serving(url, folder, max_body_bytes=LIMIT, drain_seconds=3)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Popen[bytes]]]:
    with a_server(tmp_path_factory.mktemp("slow")) as found:
        yield found


@pytest.fixture
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, Popen[bytes]]]:
    """The server of all tests of this module; one of its own for a test that stops it."""
    if "stop" not in request.node.name:
        yield request.getfixturevalue("shared")
        return
    with a_server(tmp_path) as found:
        yield found


@pytest.fixture
async def http(served: tuple[int, Popen[bytes]]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served[0]}/fhir", headers=FHIR, timeout=10) as client:
        yield client


def head(length: int, path: str = "/fhir/Patient", method: str = "POST") -> bytes:
    kind = "Content-Type: application/fhir+json\r\n" if length else ""
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{kind}Content-Length: {length}\r\n\r\n".encode()


async def total(http: httpx.AsyncClient) -> int:
    return (await http.get("/_history?_count=0")).json()["total"]


async def others_are_served(http: httpx.AsyncClient, rounds: int = 20) -> None:
    """Reads and writes of others take no longer than usual."""
    for number in range(rounds):
        begun = time.monotonic()
        assert (await http.post("", json=bundle(f"{begun}-{number}"))).status_code == 200
        assert (await http.get("/Patient?_count=1")).status_code == 200
        assert time.monotonic() - begun < 20  # held up, not slow


async def test_body_that_comes_byte_by_byte_is_taken_and_nobody_waits(
    served: tuple[int, Popen[bytes]], http: httpx.AsyncClient
) -> None:
    async def drip() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", served[0])
        for byte in head(len(PATIENT)) + PATIENT:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.004)
        answer = await reader.readuntil(b"\r\n")
        writer.close()
        return answer

    slow = [asyncio.create_task(drip()) for _ in range(SLOW)]
    await others_are_served(http)
    assert all(b" 201 " in line for line in await asyncio.gather(*slow))
    found = (await http.get("/Patient?identifier=urn:x|slow&_summary=count")).json()
    assert found["total"] == SLOW


async def test_client_that_leaves_in_mid_body_writes_nothing(
    served: tuple[int, Popen[bytes]], http: httpx.AsyncClient
) -> None:
    before = await total(http)
    content = json.dumps(bundle("left")).encode()
    for cut in range(0, len(content), len(content) // SLOW):
        _, writer = await asyncio.open_connection("127.0.0.1", served[0])
        writer.write(head(len(content), "/fhir") + content[:cut])
        await writer.drain()
        if cut % 2:
            writer.transport.abort()  # a reset
        else:
            writer.close()
    await asyncio.sleep(0.2)
    assert await total(http) == before
    await others_are_served(http, 3)


async def test_client_that_leaves_before_the_answer_leaves_a_whole_transaction(
    served: tuple[int, Popen[bytes]], http: httpx.AsyncClient
) -> None:
    before = await total(http)
    content = json.dumps(bundle("gone")).encode()
    for _ in range(SLOW):
        _, writer = await asyncio.open_connection("127.0.0.1", served[0])
        writer.write(head(len(content), "/fhir") + content)
        await writer.drain()
        writer.transport.abort()
    await asyncio.sleep(0.5)
    written = await total(http) - before
    assert written % len(bundle("")["entry"]) == 0


async def test_client_that_never_reads_its_answer_holds_nobody_up(
    served: tuple[int, Popen[bytes]], http: httpx.AsyncClient
) -> None:
    text = "x" * 150_000
    for number in range(40):
        await http.put(
            f"/Patient/p{number}", json={"resourceType": "Patient", "id": f"p{number}", "name": [{"text": text}]}
        )
    deaf = []
    for _ in range(SLOW):
        one = socket.create_connection(("127.0.0.1", served[0]))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.sendall(head(0, "/fhir/Patient?_count=40", "GET"))
        deaf.append(one)
    try:
        await others_are_served(http)
    finally:
        for one in deaf:
            one.close()


async def test_body_over_the_limit_is_refused_without_being_read(
    served: tuple[int, Popen[bytes]], http: httpx.AsyncClient
) -> None:
    before = await total(http)
    declared = await asyncio.open_connection("127.0.0.1", served[0])
    declared[1].write(head(10 * LIMIT))
    assert b" 413 " in await asyncio.wait_for(declared[0].readuntil(b"\r\n"), 5)
    reader, writer = await asyncio.open_connection("127.0.0.1", served[0])
    writer.write(
        head(0).replace(b"Content-Length: 0", b"Content-Type: application/fhir+json\r\nTransfer-Encoding: chunked")
    )
    sent = 0
    answer = asyncio.create_task(reader.readuntil(b"\r\n"))
    chunk = b" " * 10_000
    while not answer.done() and sent < 1.5 * LIMIT:
        writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        sent += len(chunk)
        try:
            await asyncio.wait_for(writer.drain(), 5)
        except ConnectionError:
            break
    assert b" 413 " in await asyncio.wait_for(answer, 10)
    for one in (writer, declared[1]):
        one.close()
    assert await total(http) == before


async def test_stop_answers_what_is_under_way_and_ends_well(
    served: tuple[int, Popen[bytes]], http: httpx.AsyncClient
) -> None:
    port, process = served
    content = json.dumps(bundle("last")).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head(len(content), "/fhir") + content[:-10])
    await writer.drain()
    await others_are_served(http, 2)
    process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.5)
    assert process.poll() is None, "it ended with a request under way"
    writer.write(content[-10:])
    assert b" 200 " in await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
    writer.close()
    assert await asyncio.to_thread(process.wait, 10) == 0


async def test_stop_does_not_wait_for_a_client_that_never_ends(
    served: tuple[int, Popen[bytes]], http: httpx.AsyncClient, tmp_path: Path
) -> None:
    port, process = served
    assert (await http.post("", json=bundle("kept"))).status_code == 200
    content = json.dumps(bundle("never")).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head(len(content), "/fhir") + content[:-1])
    await writer.drain()
    await asyncio.sleep(0.2)
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 20) == 0
    assert 2 < time.monotonic() - begun < 20
    writer.close()
    with serving(f"sqlite:///{tmp_path / 'store.sqlite'}", tmp_path) as (again, _):
        answer = httpx.get(f"http://127.0.0.1:{again}/fhir/_history?_count=0").json()
        assert answer["total"] == len(bundle("")["entry"])
