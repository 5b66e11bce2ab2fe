"""Adaptive concurrency and the circuit, over HTTP and as a gate alone."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

import pytest
from starlette.requests import Request
from starlette.responses import Response

from service.errors import Later, Unreachable, Upstream
from service.remote import Limits, Remote
from service.remote.pace import Gate
from tests.remote.serving import fhir, patient, raw, serve


async def test_push_back_halves_the_concurrency_and_successes_win_it_back() -> None:
    pushing = True

    async def answer(request: Request) -> Response:
        if pushing and request.url.path.endswith("/slow"):
            return Response(status_code=429, headers={"Retry-After": "0"})
        return fhir(patient())

    with serve(answer) as server:
        async with Remote(server.base, limits=Limits(concurrency=8, attempts=1)) as remote:
            for expected in (4, 2, 1, 1):
                with pytest.raises(Later):
                    await remote.read("Patient", "slow")
                assert remote.concurrency == expected
            grown = []
            for _ in range(1 + 2 + 3):
                await remote.read("Patient", "1")
                grown.append(remote.concurrency)
            assert grown == [2, 2, 3, 3, 3, 4]
            await asyncio.gather(*(remote.read("Patient", "1") for _ in range(60)))
            assert remote.concurrency == 8


async def test_no_more_requests_are_under_way_than_the_limit_and_all_get_through() -> None:
    lock = threading.Lock()
    inside = most = 0
    pushed = 0

    async def answer(request: Request) -> Response:
        nonlocal inside, most, pushed
        with lock:
            inside += 1
            most = max(most, inside)
            busy = inside > 3
            pushed += busy
        await asyncio.sleep(0.01)
        with lock:
            inside -= 1
        return Response(status_code=503) if busy else fhir(patient())

    with serve(answer) as server:
        async with Remote(server.base, limits=Limits(concurrency=6, backoff=0.02, attempts=50, failures=999)) as remote:
            got = await asyncio.gather(*(remote.read("Patient", str(at)) for at in range(60)))
    assert [one.status for one in got] == [200] * 60
    assert pushed > 0
    assert most <= 6


async def test_push_backs_of_one_round_halve_once() -> None:
    gate = Gate(16)
    async with gate.slot() as one, gate.slot() as two:
        gate.slower(one)
        gate.slower(two)
    assert gate.limit == 8
    async with gate.slot() as three:
        gate.slower(three)
    assert gate.limit == 4


async def test_place_of_one_who_gives_up_goes_to_the_next() -> None:
    gate = Gate(1)
    order: list[str] = []

    async def enter(name: str) -> None:
        async with gate.slot():
            order.append(name)
            await asyncio.sleep(0)

    async with gate.slot():
        waiting = [asyncio.create_task(enter(name)) for name in "abc"]
        await asyncio.sleep(0)
        waiting[0].cancel()
    waiting[1].cancel()  # its turn has come, and it has not yet run
    await asyncio.gather(*waiting, return_exceptions=True)
    assert order == ["c"]
    assert gate.inside == 0


async def test_circuit_opens_after_failures_in_a_row_and_one_probe_closes_it() -> None:
    requests = 0
    alive = False

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        if alive:
            await asyncio.sleep(0.1)
            body = b'{"resourceType":"Patient","id":"1"}'
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()

    limits = Limits(attempts=1, failures=3, open_for=0.4, patience=0.1)
    async with raw(answer) as base, Remote(base, limits=limits) as remote:
        for _ in range(3):
            with pytest.raises(Unreachable):
                await remote.read("Patient", "1")
        with pytest.raises(Later, match="the last 3 requests failed") as raised:
            await remote.read("Patient", "1")
        assert datetime.now(UTC) < raised.value.until
        assert requests == 3

        await asyncio.sleep(0.45)
        with pytest.raises(Unreachable):
            await remote.read("Patient", "1")
        with pytest.raises(Later):
            await remote.read("Patient", "1")
        assert requests == 4

        alive = True
        await asyncio.sleep(0.45)
        ends = await asyncio.gather(*(remote.read("Patient", "1") for _ in range(6)), return_exceptions=True)
        assert requests == 5
        assert sum(isinstance(end, Later) for end in ends) == 5
        await asyncio.gather(*(remote.read("Patient", "1") for _ in range(6)))
        assert requests == 11


async def test_probe_that_is_given_up_leaves_room_for_another() -> None:
    silent = True

    async def answer(request: Request) -> Response:
        if request.url.path.endswith("/bad"):
            return Response(status_code=502)
        if silent:
            await asyncio.sleep(5)
        return fhir(patient())

    with serve(answer) as server:
        async with Remote(server.base, limits=Limits(attempts=1, failures=1, open_for=0.05)) as remote:
            with pytest.raises(Upstream, match="502"):
                await remote.read("Patient", "bad")
            await asyncio.sleep(0.1)
            probe = asyncio.create_task(remote.read("Patient", "1"))
            await asyncio.sleep(0.2)
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)
            silent = False
            assert (await remote.read("Patient", "1")).status == 200


async def test_refusals_do_not_open_the_circuit() -> None:
    async def answer(request: Request) -> Response:
        return Response(status_code=500 if request.url.path.endswith("/500") else 422)

    with serve(answer) as server:
        async with Remote(server.base, limits=Limits(attempts=1, failures=2)) as remote:
            for id in ("500", "422") * 3:
                with pytest.raises(Upstream, match=id):
                    await remote.read("Patient", id)
    assert len(server.seen) == 6
