"""Answers that cannot be used, their size, and what texts and logs never hold."""

from __future__ import annotations

import gzip
import json
import logging
import tracemalloc

import pytest
from starlette.requests import Request
from starlette.responses import Response

from service.errors import CartFhirError, Unreachable, Upstream, UpstreamGone, UpstreamRefused
from service.remote import Limits, Remote
from tests.remote.serving import FHIR, Handler, fhir, free_port, outcome, patient, searchset, serve

SECRET = "Roe-19700101"
QUICK = Limits(backoff=0.01, attempts=2)


def always(body: bytes | str, status: int = 200, media: str = FHIR, **headers: str) -> Handler:
    """One answer for every request."""

    async def answer(request: Request) -> Response:
        return Response(body, status, {key.replace("_", "-"): text for key, text in headers.items()}, media)

    return answer


UNUSABLE = [
    (f"<!DOCTYPE html><html>{SECRET}</html>", "text/html", "the answer is HTML, not FHIR", False),
    (f"<html>{SECRET}</html>", FHIR, "the answer is HTML", False),
    (f'<Patient xmlns="http://hl7.org/fhir"><id value="{SECRET}"/></Patient>', "application/fhir+xml", "is XML", False),
    (json.dumps(patient(name=[{"family": SECRET}]))[:-5], FHIR, "JSON that ends too early", True),
    ("", FHIR, "the answer is empty", False),
    (json.dumps({"name": SECRET}), FHIR, "JSON, but no FHIR resource", False),
    (json.dumps([SECRET]), FHIR, "JSON, but no FHIR resource", False),
    ("[" * 500 + "]" * 500, FHIR, "nests too deep", True),
    (f'{{"resourceType":"Patient","{SECRET}":1,"{SECRET}":2}}', FHIR, "a key stands twice", True),
    (json.dumps({"resourceType": SECRET}), FHIR, "something unknown, where Patient was asked for", False),
    (json.dumps({"resourceType": "Group"}), FHIR, "the answer is Group, where Patient was asked for", False),
    (json.dumps(outcome(diagnostics=SECRET)), FHIR, "the answer is OperationOutcome, where Patient", False),
]


@pytest.mark.parametrize("body, media, words, transient", UNUSABLE)
async def test_answer_that_is_no_resource_is_told_without_its_words(
    body: str, media: str, words: str, transient: bool
) -> None:
    with serve(always(body, media=media)) as server:
        async with Remote(server.base) as remote:
            with pytest.raises(Upstream) as raised:
                await remote.read("Patient", "1")
            assert words in str(raised.value)
            assert str(raised.value).startswith(f"GET {server.base}/Patient/1: 200: ")
            assert SECRET not in str(raised.value)
            assert (raised.value.transient, raised.value.status_code) == (transient, 200)
            if body and "issue" not in body:
                with pytest.raises(Upstream) as raised:
                    await remote.create(patient(), if_none_exist="identifier=1")
                assert raised.value.ambiguous


@pytest.mark.parametrize("packed", [False, True])
async def test_answer_up_to_the_limit_is_taken_and_one_byte_more_is_not(packed: bool) -> None:
    body = json.dumps(patient(language="x" * 5000)).encode()
    sent = gzip.compress(body[:100]) + gzip.compress(body[100:]) if packed else body
    headers = {"Content_Encoding": "gzip"} if packed else {}
    with serve(always(sent, **headers)) as server:
        async with Remote(server.base, limits=Limits(body=len(body))) as remote:
            assert (await remote.read("Patient", "1")).raw == body
        async with Remote(server.base, limits=Limits(body=len(body) - 1)) as remote:
            with pytest.raises(Upstream, match=f"larger than {len(body) - 1} bytes") as raised:
                await remote.read("Patient", "1")
    assert server.seen[0].headers["accept-encoding"] == "gzip"
    assert raised.value.transient is False


@pytest.mark.parametrize("status", [200, 400])
async def test_gzip_bomb_is_stopped_before_it_is_unpacked(status: int) -> None:
    bomb = gzip.compress(b"[" + b" " * 400_000_000 + b"]", 9)
    with serve(always(bomb, status, Content_Encoding="gzip")) as server:
        async with Remote(server.base, limits=Limits(body=2_000_000)) as remote:
            tracemalloc.start()
            try:
                with pytest.raises(Upstream, match="larger than 2000000" if status == 200 else "400"):
                    await remote.read("Patient", "1")
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert most < 20_000_000


async def test_gzip_that_ends_early_or_is_damaged_is_not_taken() -> None:
    whole = gzip.compress(json.dumps(patient()).encode())
    for sent in (whole[:-4], b"no gzip", whole[:12]):
        with serve(always(sent, Content_Encoding="gzip")) as server:
            async with Remote(server.base, limits=QUICK) as remote:
                with pytest.raises(Unreachable):
                    await remote.read("Patient", "1")
        assert len(server.seen) == 2


async def test_coding_that_was_not_asked_for_is_refused() -> None:
    with serve(always(b"x", Content_Encoding="br")) as server:
        async with Remote(server.base) as remote:
            with pytest.raises(Upstream, match="content coding"):
                await remote.read("Patient", "1")


async def test_wrong_base_is_hinted_at() -> None:
    with serve(always("<html>nothing here</html>", 404, "text/html")) as server:
        async with Remote(server.base) as remote:
            with pytest.raises(UpstreamGone, match="is the base address right"):
                await remote.read("Patient", "1")


@pytest.mark.parametrize("status, words", [(401, "does not accept the login"), (403, "are its scopes")])
async def test_refusal_of_the_client_says_what_to_look_at(status: int, words: str) -> None:
    with serve(always(json.dumps(outcome(diagnostics=SECRET)), status)) as server:
        async with Remote(server.base) as remote:
            with pytest.raises(UpstreamRefused, match=words) as raised:
                await remote.read("Patient", "1")
    assert SECRET not in str(raised.value)


async def test_no_text_and_no_log_holds_what_a_query_or_a_body_says(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = outcome(diagnostics=SECRET, expression=[SECRET], details={"text": SECRET})
    bad = searchset(patient(name=[{"family": SECRET}]), next=f"http://elsewhere.invalid/?{SECRET}")
    answers = [always(json.dumps(told), status) for status in (400, 404, 412, 500, 503)]
    answers += [always(json.dumps(bad)), always(f"<html>{SECRET}"), always(f'{{"{SECRET}'), always("", 302)]
    texts: list[str] = []
    for answer in answers:
        with serve(answer) as server:
            async with Remote(server.base, limits=QUICK) as remote:
                with pytest.raises(CartFhirError) as raised:
                    await remote.search(f"Patient?identifier={SECRET}")
                texts.append(f"{raised.value}{json.dumps(raised.value.outcome())}")
    async with Remote(f"http://127.0.0.1:{free_port()}/fhir", limits=QUICK) as remote:
        with pytest.raises(Unreachable) as raised:
            await remote.search(f"Patient?identifier={SECRET}")
        texts.append(str(raised.value))
    assert all("/fhir/Patient" in text for text in texts)
    assert not any(SECRET in text for text in texts)
    assert SECRET not in caplog.text


async def test_password_in_the_base_is_not_told() -> None:
    async with Remote(f"http://user:{SECRET}@127.0.0.1:{free_port()}/fhir", limits=QUICK) as remote:
        with pytest.raises(Unreachable) as raised:
            await remote.read("Patient", "1")
    assert SECRET not in str(raised.value)


async def test_ndjson_is_handed_out_as_it_is() -> None:
    body = b'{"resourceType":"Patient"}\n{"resourceType":"Patient"}\n'
    with serve(always(body, media="application/fhir+ndjson")) as server:
        async with Remote(server.base) as remote:
            got = await remote.get("files/1")
    assert (got.resource, got.raw) == (None, body)


async def test_large_page_arrives_whole_over_gzip() -> None:
    page = searchset(*(patient(str(at), language="é" * 50) for at in range(2000)))
    packed = gzip.compress(json.dumps(page).encode())
    with serve(always(packed, Content_Encoding="gzip")) as server:
        async with Remote(server.base) as remote:
            assert await remote.search("Patient") == [entry["resource"] for entry in page["entry"]]


async def test_answer_with_empty_headers_is_taken() -> None:
    async def answer(request: Request) -> Response:
        return fhir(patient(), 201, ETag="", Location="")

    with serve(answer) as server:
        async with Remote(server.base) as remote:
            got = await remote.create(patient())
    assert (got.id, got.version) == ("1", "1")
