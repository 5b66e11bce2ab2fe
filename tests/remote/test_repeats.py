"""What is sent again, when, and what is not: back-off, Retry-After, timeouts, pace, circuit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from starlette.requests import Request
from starlette.responses import Response

from service.errors import Later, Unreachable, Upstream, UpstreamConflict
from service.remote import Got, Limits, Remote
from tests.remote.serving import Handler, fhir, free_port, patient, raw, serve

QUICK = Limits(backoff=0.01, read=0.4)
Write = Callable[[Remote], Awaitable[Got]]

REPEATABLE: list[Write] = [
    lambda remote: remote.read("Patient", "1"),
    lambda remote: remote.create(patient(), if_none_exist="identifier=1"),
    lambda remote: remote.update(patient(), if_match='W/"1"'),
    lambda remote: remote.delete("Patient", "1"),
]
ONCE: list[Write] = [
    lambda remote: remote.create(patient()),
    lambda remote: remote.update(patient()),
    lambda remote: remote.update(patient(), where="identifier=1"),
    lambda remote: remote.post("$process-message", {"resourceType": "Bundle"}),
]


def first(count: int, status: int, **headers: str) -> Handler:
    """Answers `count` times with the status, then with a Patient."""
    left = [count]

    async def answer(request: Request) -> Response:
        left[0] -= 1
        if left[0] >= 0:
            return Response(status_code=status, headers={key.replace("_", "-"): text for key, text in headers.items()})
        return fhir(patient())

    return answer


@pytest.mark.parametrize("write", REPEATABLE)
@pytest.mark.parametrize("status", [502, 503, 504, 429])
async def test_request_that_may_be_repeated_is(write: Write, status: int) -> None:
    with serve(first(2, status)) as server:
        async with Remote(server.base, limits=QUICK) as remote:
            assert (await write(remote)).status == 200
    assert len(server.seen) == 3
    assert len({request.headers["x-request-id"] for request in server.seen}) == 1


@pytest.mark.parametrize("write", ONCE)
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_write_that_may_have_taken_place_is_not_repeated(write: Write, status: int) -> None:
    with serve(first(1, status)) as server:
        async with Remote(server.base, limits=QUICK) as remote:
            with pytest.raises(Upstream) as raised:
                await write(remote)
    assert len(server.seen) == 1
    assert raised.value.ambiguous
    assert raised.value.transient
    assert raised.value.status_code == status


@pytest.mark.parametrize("write", ONCE)
@pytest.mark.parametrize("status", [429, 503])
async def test_write_that_the_server_sent_back_is_repeated(write: Write, status: int) -> None:
    with serve(first(2, status, Retry_After="0")) as server:
        async with Remote(server.base, limits=QUICK) as remote:
            assert (await write(remote)).status == 200
    assert len(server.seen) == 3


async def test_attempts_are_bounded() -> None:
    with serve(first(99, 503)) as server:
        async with Remote(server.base, limits=Limits(backoff=0.01, attempts=3)) as remote:
            with pytest.raises(Upstream, match="503") as raised:
                await remote.read("Patient", "1")
    assert len(server.seen) == 3
    assert raised.value.ambiguous is False


async def test_connection_refused_is_tried_again_and_is_not_ambiguous() -> None:
    async with Remote(f"http://127.0.0.1:{free_port()}/fhir", limits=QUICK) as remote:
        with pytest.raises(Unreachable, match="connection refused") as raised:
            await remote.create(patient())
    assert raised.value.ambiguous is False


@pytest.mark.parametrize("write", ONCE)
async def test_ambiguous_timeout_is_raised_at_once(write: Write) -> None:
    async def silent(request: Request) -> Response:
        await asyncio.sleep(2)
        return fhir(patient())

    with serve(silent) as server:
        async with Remote(server.base, limits=QUICK) as remote:
            with pytest.raises(Unreachable, match=r"silent for 0\.4 s") as raised:
                await write(remote)
    assert raised.value.ambiguous
    assert len(server.seen) == 1


async def test_connection_that_ends_in_an_answer_is_ambiguous_for_a_write() -> None:
    requests = 0

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{")
        await writer.drain()

    async with raw(cut) as base, Remote(base, limits=QUICK) as remote:
        with pytest.raises(Unreachable, match="ended before the answer did") as raised:
            await remote.create(patient())
        assert (raised.value.ambiguous, requests) == (True, 1)
        with pytest.raises(Unreachable):
            await remote.read("Patient", "1")
        assert requests == 1 + QUICK.attempts


async def test_answer_that_drips_is_cut_off_after_its_time() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n")
        for _ in range(100):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with raw(drip) as base, Remote(base, limits=Limits(total=0.5, attempts=1)) as remote:
        with pytest.raises(Unreachable, match=r"not complete after 0\.5 s"):
            await remote.read("Patient", "1")


async def test_conflict_after_an_attempt_that_may_have_arrived_is_ambiguous() -> None:
    calls = 0

    async def answer(request: Request) -> Response:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.sleep(2)
        return Response(status_code=412)

    with serve(answer) as server:
        async with Remote(server.base, limits=QUICK) as remote:
            with pytest.raises(UpstreamConflict) as raised:
                await remote.update(patient(), if_match='W/"1"')
            assert raised.value.ambiguous
            with pytest.raises(UpstreamConflict) as raised:
                await remote.update(patient(), if_match='W/"1"')
            assert raised.value.ambiguous is False


async def test_refused_connection_after_an_attempt_that_may_have_arrived_is_ambiguous() -> None:
    async def last_word(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        closing.close()

    closing = await asyncio.start_server(last_word, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{closing.sockets[0].getsockname()[1]}/fhir"
    async with Remote(base, limits=Limits(backoff=0.01, read=0.3, attempts=2)) as remote:
        with pytest.raises(Unreachable, match="connection refused") as raised:
            await remote.update(patient(), if_match='W/"1"')
    assert raised.value.ambiguous


@pytest.mark.parametrize("kind", ["seconds", "date"])
async def test_retry_after_within_patience_is_waited_out_in_full_by_all(kind: str) -> None:
    times: list[float] = []
    until = 0.0

    async def answer(request: Request) -> Response:
        nonlocal until
        times.append(time.time())
        if len(times) > 1:
            return fhir(patient())
        moment = datetime.now(UTC) + timedelta(seconds=2)
        until = int(moment.timestamp()) if kind == "date" else times[0] + 1
        value = format_datetime(moment, usegmt=True) if kind == "date" else "1"
        return Response(status_code=503, headers={"Retry-After": value})

    with serve(answer) as server:
        async with Remote(server.base, limits=Limits(backoff=0.001, concurrency=1)) as remote:
            await asyncio.gather(*(remote.read("Patient", "1") for _ in range(4)))
    assert len(times) == 5
    # Servers count from the moment at which they answer: a hundredth of a second may lie between the two clocks.
    assert times[1] >= until - 0.01


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_hours_ahead_parks_with_one_request(status: int) -> None:
    until = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    headers = {"Retry_After": format_datetime(until, usegmt=True)}
    with serve(first(1, status, **headers)) as server:
        async with Remote(server.base) as remote:
            with pytest.raises(Later, match=f"{status}: the server asks to come back later") as raised:
                await remote.create(patient())
            with pytest.raises(Later, match="was not sent") as again:
                await remote.read("Patient", "1")
    assert raised.value.until == until
    assert abs(again.value.until - until) < timedelta(seconds=2)
    assert len(server.seen) == 1


async def test_retry_after_in_seconds_beyond_patience_parks() -> None:
    with serve(first(1, 429, Retry_After="3600")) as server:
        async with Remote(server.base) as remote:
            before = datetime.now(UTC)
            with pytest.raises(Later) as raised:
                await remote.read("Patient", "1")
    assert timedelta(seconds=3600) <= raised.value.until - before < timedelta(seconds=3660)


@pytest.mark.parametrize("value", ["9" * 40, "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_retry_after_without_end_parks_for_a_year(value: str) -> None:
    with serve(first(1, 503, Retry_After=value)) as server:
        async with Remote(server.base, limits=QUICK) as remote:
            with pytest.raises(Later) as raised:
                await remote.read("Patient", "1")
    assert timedelta(days=365) < raised.value.until - datetime.now(UTC) < timedelta(days=367)


async def test_server_that_always_asks_for_a_moment_parks_in_the_end() -> None:
    with serve(first(99, 429, Retry_After="0")) as server:
        async with Remote(server.base, limits=Limits(attempts=3)) as remote:
            with pytest.raises(Later):
                await remote.read("Patient", "1")
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    "value", ["soon", "-5", "1.5", "Wed, 99 Foo 2026 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -1100", ""]
)
async def test_retry_after_that_is_none_is_passed_over(value: str) -> None:
    with serve(first(1, 503, Retry_After=value)) as server:
        async with Remote(server.base, limits=QUICK) as remote:
            assert (await remote.read("Patient", "1")).status == 200
    assert len(server.seen) == 2
