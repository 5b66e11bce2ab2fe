"""The trial's tables and rates over HTTP, on an empty store: what is shown when nothing is there."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.api.conftest import issues

TABLE = "http://test/trial/isikok-19/tables/{}"


@pytest.mark.parametrize("number", ["1", "2"])
@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("application/json", "application/json"),
        ("text/csv", "text/csv"),
        ("text/html", "text/html"),
        ("*/*", "application/json"),
    ],
)
async def test_table_comes_in_the_format_asked_for(
    client: httpx.AsyncClient, number: str, accept: str, media: str
) -> None:
    answer = await client.get(TABLE.format(number), headers={"accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media)
    by_query = await client.get(TABLE.format(number), params={"format": media.partition("/")[2]})
    assert by_query.headers["content-type"] == answer.headers["content-type"]


async def test_table_that_the_paper_lacks_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.get(TABLE.format("3"))
    assert answer.status_code == 404
    assert issues(answer)


async def test_table_in_an_unknown_format_is_refused(client: httpx.AsyncClient) -> None:
    for options in ({"params": {"format": "pdf"}}, {"headers": {"accept": "application/pdf"}}):
        assert (await client.get(TABLE.format("1"), **options)).status_code == 406


async def test_measure_is_a_report_or_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.get("http://test/trial/isikok-19/measures/response-rate")
    assert answer.status_code == 200
    assert answer.json()["resourceType"] == "MeasureReport"
    assert (await client.get("http://test/trial/isikok-19/measures/nothing")).status_code == 404


async def test_pages_forbid_other_hosts(client: httpx.AsyncClient) -> None:
    for path in ("/", "/docs", "/trial/isikok-19/tables/1?format=html"):
        answer = await client.get(f"http://test{path}")
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not re.search(r"""(src|href|action)=["'](https?:)?//""", answer.text)


async def test_health_says_live_and_ready(client: httpx.AsyncClient) -> None:
    for path in ("live", "ready"):
        assert (await client.get(f"http://test/health/{path}")).json() == {"status": path}
