"""A hospital that is not the bottleneck: pages of Observations made before anybody asks, served as bytes."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from bench.resources import observation, patient

PATIENTS = 100
PAGE = int(os.environ.get("BENCH_PAGE", "500"))
COUNT = int(os.environ["BENCH_OBSERVATIONS"])
PORT = int(os.environ["BENCH_PORT"])
BASE = f"http://127.0.0.1:{PORT}/fhir"
START = datetime(2025, 1, 1, tzinfo=UTC)


def _meta(number: int) -> dict[str, str]:
    return {"versionId": "1", "lastUpdated": (START + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")}


def _page(name: str, page: int, resources: list[dict[str, Any]], more: bool) -> bytes:
    entries = [
        {"fullUrl": f"{BASE}/{name}/{one['id']}", "resource": one, "search": {"mode": "match"}} for one in resources
    ]
    links = [{"relation": "self", "url": f"{BASE}/{name}?page={page}"}]
    if more:
        links.append({"relation": "next", "url": f"{BASE}/{name}?page={page + 1}"})
    bundle = {"resourceType": "Bundle", "type": "searchset", "link": links}
    return json.dumps(bundle | ({"entry": entries} if entries else {})).encode()


def _observations(first: int) -> list[dict[str, Any]]:
    numbers = range(first, min(first + PAGE, COUNT))
    return [{**observation(n, PATIENTS), "id": f"o{n}", "meta": _meta(n)} for n in numbers]


CAPABILITY = json.dumps(
    {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2025-01-01",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "resource": [
                    {
                        "type": name,
                        "interaction": [{"code": "read"}, {"code": "search-type"}],
                        "searchParam": [{"name": "_lastUpdated", "type": "date"}],
                    }
                    for name in ("Patient", "Observation")
                ],
            }
        ],
    }
).encode()
PAGES = {
    "Patient": [_page("Patient", 0, [{**patient(n), "meta": _meta(n)} for n in range(PATIENTS)], False)],
    "Observation": [
        _page("Observation", number, _observations(first), first + PAGE < COUNT)
        for number, first in enumerate(range(0, COUNT, PAGE))
    ],
}
NOTHING = _page("Nothing", 0, [], False)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers /metadata and searches; whatever the criteria, a search gives all pages in their order."""
    if scope["type"] != "http":
        return
    name = scope["path"].rpartition("/")[2]
    query = dict(pair.partition("=")[::2] for pair in scope["query_string"].decode().split("&"))
    pages = PAGES.get(name, [NOTHING])
    content = CAPABILITY if name == "metadata" else pages[int(query.get("page", "0"))]
    headers = [(b"content-type", b"application/fhir+json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, access_log=False, log_level="error", lifespan="off")
