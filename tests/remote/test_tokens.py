"""SMART Backend Services against a server that is strict about them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.errors import Unreachable, Upstream, UpstreamRefused
from service.remote import Limits, Remote
from tests.remote.serving import free_port, patient, serve
from tests.remote.smart import Smart, access, ec, write_keys

QUICK = Limits(backoff=0.01)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.mark.parametrize("kind, algorithm", [("RSA", "RS384"), ("EC", "ES384")])
async def test_token_is_got_with_a_key_in_pem(tmp_path: Path, kind: str, algorithm: str) -> None:
    key = RSAKey.generate_key(2048) if kind == "RSA" else ECKey.generate_key("P-384")
    file = tmp_path / "key.pem"
    file.write_bytes(key.as_pem(private=True))
    known = type(key).import_key(key.as_dict(private=False), {"kid": key.thumbprint()})
    smart = Smart(known)
    with serve(smart) as server:
        async with Remote(server.base, access(file)) as remote:
            assert (await remote.read("Patient", "1")).resource == patient()
            await remote.read("Patient", "1")
    ((header, claims),) = smart.assertions
    assert (header["alg"], header["kid"], header["typ"]) == (algorithm, key.thumbprint(), "JWT")
    assert claims["aud"] == f"{server.root}/auth/token"
    assert smart.refusals == []


async def test_fifty_refusals_at_once_make_one_token_request_and_every_jti_is_new(file: Path) -> None:
    key = ec("one")
    smart = Smart(key)
    write_keys(file, key)
    limits = Limits(concurrency=50)
    with serve(smart) as server:
        async with Remote(server.base, access(file), limits=limits) as remote:
            await asyncio.gather(*(remote.read("Patient", "1") for _ in range(50)))
            assert len(smart.assertions) == 1
            for rounds in (2, 3, 4):
                smart.live.clear()
                smart.unauthorised = 0
                await asyncio.gather(*(remote.read("Patient", "1") for _ in range(50)))
                assert len(smart.assertions) == rounds
            assert smart.unauthorised > 1
    assert len({claims["jti"] for _, claims in smart.assertions}) == 4
    assert smart.refusals == []


async def test_failed_token_request_is_shared_by_those_who_wait(file: Path) -> None:
    write_keys(file, ec("unknown"))
    smart = Smart(ec("known"))
    with serve(smart) as server:
        async with Remote(server.base, access(file)) as remote:
            ends = await asyncio.gather(*(remote.read("Patient", "1") for _ in range(20)), return_exceptions=True)
    assert all(isinstance(end, UpstreamRefused) for end in ends)
    assert len(smart.refusals) == 1
    text = str(ends[0])
    assert "invalid_client" in text
    assert "unknown (ES384)" in text
    assert f"POST {server.root}/auth/token: 401" in text
    assert "Jane" not in text


async def test_renewed_token_that_is_refused_too_ends_the_matter(file: Path) -> None:
    key = ec("one")
    smart = Smart(key)
    write_keys(file, key)

    async def forgetful(request: Request) -> Response:
        smart.live.clear()
        return await smart(request)

    with serve(forgetful) as server:
        async with Remote(server.base, access(file)) as remote:
            with pytest.raises(UpstreamRefused, match="401: the server does not accept the login") as raised:
                await remote.create(patient())
    assert raised.value.status_code == 401
    assert (len(smart.assertions), smart.unauthorised) == (2, 2)


async def test_token_is_renewed_before_it_ends(file: Path) -> None:
    key = ec("one")
    smart = Smart(key, life=1)
    write_keys(file, key)
    with serve(smart) as server:
        async with Remote(server.base, access(file)) as remote:
            await remote.read("Patient", "1")
            await asyncio.sleep(0.85)
            await remote.read("Patient", "1")
    assert [request.headers["authorization"] for request in server.seen if "Patient" in request.url.path] == [
        "Bearer token-1",
        "Bearer token-2",
    ]
    assert smart.unauthorised == 0


async def test_old_token_serves_while_the_token_endpoint_fails(file: Path) -> None:
    key = ec("one")
    smart = Smart(key, life=5)
    write_keys(file, key)
    with serve(smart) as server:
        async with Remote(server.base, access(file), limits=Limits(attempts=1)) as remote:
            await remote.read("Patient", "1")
            smart.failing = True
            await asyncio.sleep(4.05)
            assert (await remote.read("Patient", "1")).status == 200
            tried = server.paths.count("/auth/token")
            assert tried == 2
            await asyncio.sleep(1.0)
            with pytest.raises(Upstream) as raised:
                await remote.read("Patient", "1")
    assert raised.value.transient


async def test_every_attempt_has_its_own_jti(file: Path) -> None:
    key = ec("one")
    smart = Smart(key)
    write_keys(file, key)
    seen: list[str] = []

    async def twice_busy(request: Request) -> Response:
        if request.url.path == "/auth/token" and len(seen) < 3:
            seen.append((await request.body()).decode().partition("client_assertion=")[2])
            if len(seen) < 3:
                return Response(status_code=503)
        return await smart(request)

    with serve(twice_busy) as server:
        async with Remote(server.base, access(file), limits=QUICK) as remote:
            await remote.read("Patient", "1")
    assert len(set(seen)) == 3


async def test_token_url_that_is_given_is_not_discovered(file: Path) -> None:
    key = ec("one")
    smart = Smart(key)
    write_keys(file, key)
    with serve(smart) as server:
        async with Remote(server.base, access(file, token_url=f"{server.root}/auth/token")) as remote:
            await remote.read("Patient", "1")
    assert server.paths == ["/auth/token", "/fhir/Patient/1"]


@pytest.mark.parametrize(
    "document, status", [({}, 200), ([], 200), ({"token_endpoint": 7}, 200), ({"token_endpoint": "/t"}, 404)]
)
async def test_server_without_a_token_endpoint_is_told_so(file: Path, document: object, status: int) -> None:
    write_keys(file, ec("one"))

    async def answer(request: Request) -> Response:
        return JSONResponse(document, status)

    with serve(answer) as server:
        async with Remote(server.base, access(file)) as remote:
            with pytest.raises(UpstreamRefused, match="no token_endpoint"):
                await remote.read("Patient", "1")
    assert server.paths == ["/fhir/.well-known/smart-configuration"]


@pytest.mark.parametrize(
    "answered", [{}, {"access_token": "a b"}, {"access_token": "a\n"}, {"access_token": "a", "token_type": "mac"}]
)
async def test_token_answer_without_a_bearer_token_is_refused(file: Path, answered: dict[str, str]) -> None:
    write_keys(file, ec("one"))

    async def answer(request: Request) -> Response:
        return JSONResponse(answered)

    with serve(answer) as server:
        async with Remote(server.base, access(file, token_url=f"{server.root}/token")) as remote:
            with pytest.raises(Upstream, match="without a bearer token"):
                await remote.read("Patient", "1")
    assert server.paths == ["/token"]


async def test_token_endpoint_that_is_away_is_named(file: Path) -> None:
    write_keys(file, ec("one"))
    url = f"http://127.0.0.1:{free_port()}/token"
    async with Remote("http://127.0.0.1:1/fhir", access(file, token_url=url), limits=QUICK) as remote:
        with pytest.raises(Unreachable, match=f"POST {url}: connection refused"):
            await remote.read("Patient", "1")


async def test_capabilities_need_no_token_but_where_the_server_wants_one(file: Path) -> None:
    key = ec("one")
    smart = Smart(key)
    write_keys(file, key)

    async def answer(request: Request) -> Response:
        found = await smart(request)
        if request.url.path == "/fhir/metadata" and found.status_code == 200:
            return JSONResponse({"resourceType": "CapabilityStatement"})
        return found

    with serve(answer) as server:
        async with Remote(server.base, access(file)) as remote:
            assert (await remote.capabilities())["resourceType"] == "CapabilityStatement"
    assert [request.headers.get("authorization") for request in server.seen if "metadata" in request.url.path] == [
        None,
        "Bearer token-1",
    ]
