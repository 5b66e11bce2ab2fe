"""Names, TLS and redirects: what is trusted, what is followed, and how the rest is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from service.errors import Unreachable, Upstream, UpstreamRefused
from service.remote import Limits, Remote
from tests.remote.certificates import Authority
from tests.remote.serving import fhir, patient, raw, serve
from tests.remote.smart import Smart, access, ec, write_keys

QUICK = Limits(backoff=0.01, attempts=2)


async def a_patient(request: Request) -> Response:
    return fhir(patient())


async def test_authority_of_the_hospital_is_trusted_where_it_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with serve(a_patient, authority.signed()) as server:
        async with Remote(server.base, trust=authority.trust) as remote:
            assert (await remote.read("Patient", "1")).resource == patient()
        async with Remote(server.base, limits=QUICK) as remote:
            with pytest.raises(Unreachable, match="from an authority that is not trusted here"):
                await remote.read("Patient", "1")


@pytest.mark.parametrize(
    "certificate, words",
    [
        ({"days": -1}, "its TLS certificate has expired"),
        ({"by_itself": True}, "its TLS certificate is self-signed"),
        ({"address": "127.0.0.2"}, "its TLS certificate is for another address"),
    ],
)
async def test_certificate_that_is_wrong_is_told_and_not_tried_again(
    tmp_path: Path, certificate: dict, words: str
) -> None:
    authority = Authority(tmp_path)
    with serve(a_patient, authority.signed(**certificate)) as server:
        async with Remote(server.base, trust=authority.trust, limits=Limits(failures=2)) as remote:
            with pytest.raises(Unreachable) as raised:
                await remote.create(patient())
            assert str(raised.value) == f"POST {server.base}/Patient: {words}"
            assert (raised.value.transient, raised.value.ambiguous) == (False, False)
            with pytest.raises(Unreachable, match=words):
                await remote.read("Patient", "1")
    assert server.seen == []


async def test_port_without_tls_is_told() -> None:
    with serve(a_patient) as server:
        async with Remote(server.base.replace("http:", "https:"), limits=QUICK) as remote:
            with pytest.raises(Unreachable, match="does this port speak https"):
                await remote.read("Patient", "1")


async def test_name_that_does_not_exist_is_told() -> None:
    async with Remote("https://ehr.invalid/fhir", limits=QUICK) as remote:
        with pytest.raises(Unreachable, match=r"ehr\.invalid cannot be resolved \(DNS\)") as raised:
            await remote.create(patient())
    assert (raised.value.transient, raised.value.ambiguous) == (True, False)


@pytest.mark.parametrize("base", ["", "ehr", "ftp://ehr/fhir", "http://", "http://[::1/fhir"])
async def test_base_that_is_no_address_is_refused(base: str) -> None:
    with pytest.raises(UpstreamRefused, match="address"):
        Remote(base)


async def test_file_of_authorities_that_is_none_is_refused(tmp_path: Path) -> None:
    for content in ("", "no certificate"):
        (tmp_path / "trust.pem").write_text(content)
        with pytest.raises(UpstreamRefused, match="cannot be read"):
            Remote("https://ehr.invalid/fhir", trust=tmp_path / "trust.pem")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_on_the_same_origin_keeps_the_login(tmp_path: Path, status: int) -> None:
    key = ec("one")
    smart = Smart(key)
    file = write_keys(tmp_path / "keys.json", key)

    async def answer(request: Request) -> Response:
        if request.url.path.startswith("/fhir/Patient"):
            return Response(status_code=status, headers={"Location": "/moved/Patient/1"})
        return await smart(request)

    with serve(answer) as server:
        async with Remote(server.base, access(file), headers={"X-Tenant": "north"}) as remote:
            got = await remote.read("Patient", "1")
    assert (got.resource, got.url) == (patient(), f"{server.root}/moved/Patient/1")
    assert server.seen[-1].headers["authorization"] == "Bearer token-1"
    assert server.seen[-1].headers["x-tenant"] == "north"


async def test_redirect_to_another_origin_drops_the_login(tmp_path: Path) -> None:
    key = ec("one")
    smart = Smart(key)
    file = write_keys(tmp_path / "keys.json", key)

    async def answer(request: Request) -> Response:
        if request.url.path.startswith("/fhir/Patient"):
            return Response(status_code=302, headers={"Location": f"{other.base}/Patient/1"})
        return await smart(request)

    with serve(a_patient) as other, serve(answer) as server:
        async with Remote(server.base, access(file), headers={"X-Api-Key": "word"}) as remote:
            assert (await remote.read("Patient", "1")).resource == patient()
    assert server.seen[-1].headers["authorization"] == "Bearer token-1"
    (request,) = other.seen
    assert "authorization" not in request.headers
    assert "x-api-key" not in request.headers
    assert "x-request-id" in request.headers


async def test_write_is_not_redirected() -> None:
    async def answer(request: Request) -> Response:
        return Response(status_code=307, headers={"Location": "/elsewhere?secret=1"})

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            with pytest.raises(UpstreamRefused, match=r"307 to .*only GET may be redirected") as raised:
                await remote.create(patient())
            with pytest.raises(UpstreamRefused):
                await remote.update(patient())
    assert server.paths == ["/fhir/Patient", "/fhir/Patient/1"]
    assert "secret" not in str(raised.value)


async def test_redirect_from_https_to_http_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def answer(request: Request) -> Response:
        return Response(status_code=302, headers={"Location": f"{plain.base}/Patient/1"})

    with serve(a_patient) as plain, serve(answer, authority.signed()) as server:
        async with Remote(server.base, trust=authority.trust) as remote:
            with pytest.raises(UpstreamRefused, match="from https to http"):
                await remote.read("Patient", "1")
    assert plain.seen == []


@pytest.mark.parametrize(
    "target, words, requests",
    [
        ("/fhir/Patient/1", "more than 5 redirects", 6),
        ("http://999.1.1.1/", "malformed address", 1),
        ("ftp://127.0.0.1/", "not one of http or https", 1),
    ],
)
async def test_redirect_that_leads_nowhere_ends(target: str, words: str, requests: int) -> None:
    async def answer(request: Request) -> Response:
        return Response(status_code=302, headers={"Location": target})

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            with pytest.raises(Upstream, match=words) as raised:
                await remote.read("Patient", "1")
    assert raised.value.transient is False
    assert len(server.seen) == requests


async def test_server_that_does_not_speak_http_is_told() -> None:
    async def noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        await writer.drain()

    async with raw(noise) as base, Remote(base, limits=QUICK) as remote:
        with pytest.raises(Unreachable, match=r"GET .*/fhir/Patient/1: "):
            await remote.read("Patient", "1")
