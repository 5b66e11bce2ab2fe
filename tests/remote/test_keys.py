"""Key files: which key signs, what happens while they change, and what is told of those that cannot sign."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from joserfc.jwk import ECKey, OctKey, RSAKey
from starlette.requests import Request
from starlette.responses import Response

from service.errors import UpstreamRefused
from service.remote import Remote
from tests.remote.serving import serve
from tests.remote.smart import Smart, access, ec, write_keys


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


async def test_keys_rotate_in_mid_run_without_a_failed_request(file: Path) -> None:
    old = ec("2025")
    smart = Smart(old)
    write_keys(file, old)
    done = [0] * 8

    async def work(remote: Remote, place: int) -> None:
        while len(smart.assertions) < 4 or done[place] < 40:
            assert (await remote.read("Patient", "1")).status == 200
            done[place] += 1

    async def rotate() -> None:
        for year in ("2026", "2027", "2028"):
            wanted = [count + 5 for count in done]
            while any(count < least for count, least in zip(done, wanted, strict=True)):
                await asyncio.sleep(0.002)
            new = ec(year)
            write_keys(file, new)
            smart.keys = [new]
            smart.live.clear()

    with serve(smart) as server:
        async with Remote(server.base, access(file)) as remote:
            await asyncio.gather(rotate(), *(work(remote, place) for place in range(8)))
    assert [header["kid"] for header, _ in smart.assertions] == ["2025", "2026", "2027", "2028"]
    assert smart.refusals == []


async def test_key_that_changes_unseen_is_read_again_when_it_is_refused(file: Path) -> None:
    old, new = ec("a"), ec("b")
    smart = Smart(new)
    write_keys(file, old)

    async def swaps(request: Request) -> Response:
        answer = await smart(request)
        if request.url.path == "/auth/token" and answer.status_code == 401:
            write_keys(file, new)
        return answer

    with serve(swaps) as server:
        async with Remote(server.base, access(file)) as remote:
            await remote.read("Patient", "1")
    assert len(smart.refusals) == 1
    assert [header["kid"] for header, _ in smart.assertions] == ["b"]


async def test_key_that_changes_with_no_trace_in_the_folder_is_read_when_it_is_refused(file: Path) -> None:
    old, new = ec("a"), ec("b")
    smart = Smart(old)
    write_keys(file, old)
    with serve(smart) as server:
        async with Remote(server.base, access(file)) as remote:
            await remote.read("Patient", "1")
            before = file.stat()
            file.write_text(json.dumps({"keys": [new.as_dict(private=True)]}))
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
            after = file.stat()
            assert (after.st_size, after.st_mtime_ns, after.st_ino) == (
                before.st_size,
                before.st_mtime_ns,
                before.st_ino,
            )
            smart.keys = [new]
            smart.live.clear()
            await remote.read("Patient", "1")
    assert [header["kid"] for header, _ in smart.assertions] == ["a", "b"]
    assert len(smart.refusals) == 1


@pytest.mark.parametrize("dated", [True, False])
async def test_newest_key_signs_and_the_older_one_while_the_server_does_not_know_it(file: Path, dated: bool) -> None:
    old, new = (ec("old", iat=1000), ec("new", iat=2000)) if dated else (ec("old"), ec("new"))
    both = (new, old) if dated else (old, new)
    write_keys(file, *both)
    smart = Smart(old)
    with serve(smart) as server:
        async with Remote(server.base, access(file)) as remote:
            await remote.read("Patient", "1")
            smart.keys.append(new)
            smart.live.clear()
            await remote.read("Patient", "1")
    assert [header["kid"] for header, _ in smart.assertions] == ["old", "new"]
    assert len(smart.refusals) == 1


async def test_half_a_key_file_leaves_the_old_keys_in_use(file: Path) -> None:
    key = ec("one")
    smart = Smart(key)
    write_keys(file, key)
    with serve(smart) as server:
        async with Remote(server.base, access(file)) as remote:
            await remote.read("Patient", "1")
            file.write_text('{"keys": [{"kty": "EC", ')
            smart.live.clear()
            await remote.read("Patient", "1")
    assert len(smart.assertions) == 2


PUBLIC = json.dumps(ec("p").as_dict(private=False))
WEAK = json.dumps(ECKey.generate_key("P-256").as_dict(private=True))
LOCKED = (
    RSAKey.generate_key(2048)
    .private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"word"),
    )
    .decode()
)


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "cannot be read"),
        ("", "holds a key that cannot be read"),
        ("{", "is not a JWK or JWK set"),
        ('{"keys": 7}', "is not a JWK or JWK set"),
        ('{"keys": []}', "holds no private key"),
        (PUBLIC, "holds no private key"),
        (WEAK, "holds no private key"),
        (LOCKED, "locked with a password"),
        (json.dumps(OctKey.generate_key().as_dict(private=True)), "holds no private key"),
    ],
    ids="none empty cut no-list no-keys public weak locked symmetric".split(),
)
async def test_key_file_that_cannot_sign_is_named_before_anything_is_sent(
    file: Path, content: str | None, words: str
) -> None:
    if content is not None:
        file.write_text(content)
    async with Remote("http://127.0.0.1:1/fhir", access(file, token_url="http://127.0.0.1:1/token")) as remote:
        with pytest.raises(UpstreamRefused, match=words) as raised:
            await remote.read("Patient", "1")
    assert str(file) in str(raised.value)
