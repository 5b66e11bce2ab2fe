"""Every example of the OpenAPI document, executed on the demo's data, answers as documented."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from service.api.openapi import document
from service.app import create_app
from service.conformance.definitions import Definitions
from service.fhir.json import encode
from service.importing import import_demo
from service.settings import Settings

Call = tuple[str, dict[str, Any], set[int]]
FOUND = (
    "searchFerritin", "searchInfusions", "searchDiagnoses", "searchIssues", "searchProducts", "search", "searchByPost",
    "searchSystem", "searchSystemByPost", "searchCompartment", "searchCompartmentByPost", "searchCompartmentAll",
    "searchCompartmentAllByPost",
)  # fmt: skip


def calls() -> list[tuple[str, Call]]:
    """(operation id, (method and address, options, statuses)) of every example."""
    content = document(create_app(Settings()).state.interactions)
    found = []
    for path, methods in content["paths"].items():
        for method, operation in methods.items():
            good = {int(status) for status in operation["responses"] if status.startswith("2")}
            address, headers = _address(path, operation)
            if "{" in address:  # of what only a person's doing makes: a job, a dead letter
                continue
            line = f"{method.upper()} {address}"
            contents = operation.get("requestBody", {}).get("content", {})
            for media, body in contents.items():
                for example in body.get("examples", {}).values():
                    sent = example["value"]
                    content_ = sent.encode() if isinstance(sent, str) else encode(sent)
                    options = {"content": content_, "headers": headers | {"content-type": media}}
                    status = example["x-status"]
                    found.append((operation["operationId"], (line, options, {status} if status >= 400 else good)))
                if "example" in body:
                    options = {"data": body["example"], "headers": headers}
                    found.append((operation["operationId"], (line, options, good)))
            if not contents:
                found.append((operation["operationId"], (line, {"headers": headers}, good)))
    return found


def _address(path: str, operation: dict[str, Any]) -> tuple[str, dict[str, str]]:
    given = [one for one in operation.get("parameters", []) if "example" in one]
    for one in given:
        path = path.replace(f"{{{one['name']}}}", one["example"]) if one["in"] == "path" else path
    query = urlencode([(one["name"], one["example"]) for one in given if one["in"] == "query"])
    accept = next(iter(next(iter(operation["responses"].values())).get("content", {})), "*/*")
    headers = {one["name"]: one["example"] for one in given if one["in"] == "header"}
    return f"{path}?{query}" if query else path, headers | {"accept": accept}


@pytest.fixture
async def demo(settings: Settings, definitions: Definitions):
    """A client of the service after `cart-fhir demo`."""
    await import_demo(settings, definitions, lambda text: None)
    app = create_app(settings, definitions)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        yield client


async def test_every_example_answers_as_documented(demo: httpx.AsyncClient) -> None:
    wrong = []
    for _ in range(2):  # the second time finds what the first has written
        for name, (line, options, statuses) in calls():
            method, address = line.split(" ", 1)
            answer = await demo.request(method, address, **options)
            if answer.status_code not in statuses:
                wrong.append((name, line, answer.status_code, answer.text[:500]))
            if name in FOUND and not any(
                entry["search"]["mode"] == "match" for entry in answer.json().get("entry", [])
            ):
                wrong.append((name, line, "found nothing", answer.text[:300]))
    assert wrong == []


async def test_demo_twice_writes_nothing_the_second_time(
    settings: Settings, definitions: Definitions, demo: httpx.AsyncClient
) -> None:
    before = (await demo.get("/fhir/_history?_count=1")).json()["total"]
    report = await import_demo(settings, definitions, lambda text: None)
    assert (report.created, report.updated) == (0, 0)
    assert (await demo.get("/fhir/_history?_count=1")).json()["total"] == before
