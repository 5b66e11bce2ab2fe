"""What the service advertises, and requests that show whether it is true."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import httpx

STRICT = {"prefer": "handling=strict"}
FORM = {"content-type": "application/x-www-form-urlencoded"}

T = TypeVar("T")


async def statement(client: httpx.AsyncClient) -> dict[str, Any]:
    """The CapabilityStatement."""
    answer = await client.get("/metadata")
    assert answer.status_code == 200
    return answer.json()


async def rest(client: httpx.AsyncClient) -> dict[str, Any]:
    """Its only `rest`."""
    (found,) = (await statement(client))["rest"]
    return found


async def ask(client: httpx.AsyncClient, line: str, status: int, **options: Any) -> httpx.Response:
    """The answer to `line`, such as `GET /Patient`, which must have the status."""
    method, _, url = line.partition(" ")
    answer = await client.request(method, url, **options)
    assert answer.status_code == status, (line, answer.status_code, answer.text[:500])
    return answer


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """`work` on every item, some at a time, so that writes share commits."""
    gate = asyncio.Semaphore(8)

    async def one(item: T) -> None:
        async with gate:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(one(item))
