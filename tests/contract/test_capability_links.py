"""The CapabilityStatement is true: what it says of references, and every include of every type in both directions."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.conformance.definitions import Definitions
from service.fhir.json import encode
from service.store.integrity import RECORDS
from tests.api.conftest import patient
from tests.contract.advertised import STRICT, ask, each, rest
from tests.contract.minimal import Minimal


async def test_references_are_literal_logical_and_enforced_as_advertised(
    client: httpx.AsyncClient, minimal: Minimal
) -> None:
    entries = (await rest(client))["resource"]
    enforced = {entry["type"] for entry in entries if "enforced" in entry["referencePolicy"]}
    assert {entry["type"] for entry in entries} - enforced == RECORDS | {"Bundle"}

    async def refer(entry: dict[str, Any]) -> None:
        type_ = entry["type"]
        assert set(entry["referencePolicy"]) - {"enforced"} == {"literal", "logical"}
        target, source = f"Patient/of-{type_}", minimal.resource(type_) | {"id": "a"}
        await ask(client, f"PUT /{target}", 201, json=patient(id=f"of-{type_}"))
        await ask(client, f"PUT /{type_}/a", 201, json=_with(source, {"reference": target}))
        await ask(client, f"PUT /{type_}/a", 200, json=_with(source, {"identifier": {"value": "x"}}))
        await ask(client, f"PUT /{type_}/a", 200, json=_with(source, {"reference": target}))
        kept = await client.delete(f"/{target}")
        missing = await client.put(f"/{type_}/a", json=_with(source, {"reference": "Patient/nobody"}))
        assert (kept.status_code == missing.status_code == 409) == (type_ in enforced), type_

    await each(entries, refer)


def _with(resource: dict[str, Any], reference: dict[str, Any]) -> dict[str, Any]:
    """The resource with a reference in it, where its type has a place for one."""
    basic = {"resourceType": "Basic", "code": {"text": "x"}, "subject": reference}
    places: dict[str, dict[str, Any]] = {
        "Binary": {"securityContext": reference},
        "Bundle": {"entry": [{"fullUrl": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "resource": basic}]},
        "Parameters": {"parameter": [{"name": "x", "valueReference": reference}]},
    }
    extension = {"extension": [{"url": "urn:x", "valueReference": reference}]}
    return resource | places.get(resource["resourceType"], extension)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_includes_bring_what_they_promise_in_both_directions(
    client: httpx.AsyncClient, definitions: Definitions, minimal: Minimal
) -> None:
    entries = {entry["type"]: entry for entry in (await rest(client))["resource"]}
    included = {value for entry in entries.values() for value in entry.get("searchInclude", ())} - {"*"}
    reverse = {type_: entry.get("searchRevInclude", ()) for type_, entry in entries.items()}
    assert {value for values in reverse.values() for value in values} - {"*"} == included
    puts = [minimal.resource(type_) | {"id": "x"} for type_ in entries]
    for target, values in reverse.items():
        for type_, code in (value.split(":") for value in values if value != "*"):
            expression = definitions.search_parameters.of(type_)[code].expression
            made = minimal.referring(type_, expression, f"{target}/x")
            assert made is not None, (type_, code, target)
            puts.append(made | {"id": f"{code}.{target}"})
    await ask(client, "POST ", 200, content=_transaction(puts))

    async def bring(entry: dict[str, Any]) -> None:
        type_ = entry["type"]
        forward, back = entry.get("searchInclude", ()), entry.get("searchRevInclude", ())
        sources = {one["id"] for one in puts if one["resourceType"] == type_}
        for value in forward:
            code = value.partition(":")[2]
            params = {"_include": value, "_count": 1000}
            found = await ask(client, f"GET /{type_}", 200, params=params, headers=STRICT)
            promised = {source.partition(".")[2] for source in sources if not code or source.startswith(f"{code}.")}
            # what is of the searched type itself is a match already
            assert {f"{target}/x" for target in promised - {"", type_}} <= _included(found), (type_, value)
        promised = {f"{source}/{code}.{type_}" for source, _, code in (value.partition(":") for value in back) if code}
        for values in (["*"], [value for value in back if value != "*"]) if back else ():
            params = {"_id": "x", "_revinclude": values}
            found = await ask(client, f"GET /{type_}", 200, params=params, headers=STRICT)
            assert promised <= _included(found), type_

    await each(entries.values(), bring)


def _transaction(resources: list[dict[str, Any]]) -> bytes:
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources
    ]
    return encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _included(answer: httpx.Response) -> set[str]:
    found = [entry for entry in answer.json().get("entry", ()) if entry["search"]["mode"] == "include"]
    return {f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in found}
