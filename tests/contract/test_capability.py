"""The CapabilityStatement is true: every interaction and search parameter of every type is asked for over HTTP.

Its references and includes: `test_capability_links`; its operations, compartments and formats:
`test_capability_system`. The other way round, nothing is served that is not advertised: `test_interface`.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.conformance.definitions import Definitions
from tests.contract.advertised import FORM, STRICT, ask, each, rest
from tests.contract.minimal import Minimal

ADD = [{"op": "add", "path": "/language", "value": "de"}]
SAMPLES = {
    "token": "urn:s|c",
    "reference": "x",
    "string": "x",
    "uri": "urn:x",
    "date": "ge2021",
    "number": "le1",
    "quantity": "gt1|http://unitsofmeasure.org|mg",
}


async def test_every_interaction_of_every_type_is_done(
    client: httpx.AsyncClient, definitions: Definitions, minimal: Minimal
) -> None:
    entries = (await rest(client))["resource"]
    assert {entry["type"] for entry in entries} == definitions.resource_types

    async def life(entry: dict[str, Any]) -> None:
        type_ = entry["type"]
        codes = {one["code"] for one in entry["interaction"]}
        assert codes == await _life(client, f"/{type_}", minimal.resource(type_))
        assert entry["versioning"] == "versioned"
        assert entry["conditionalRead"] == "full-support"
        assert entry["conditionalDelete"] == "single"
        assert all(entry[flag] for flag in ("readHistory", "updateCreate", "conditionalCreate", "conditionalUpdate"))

    await each(entries, life)


async def _life(client: httpx.AsyncClient, type_: str, resource: dict[str, Any]) -> set[str]:
    """A resource of the type from its first to its last version; the codes of the interactions that were done."""
    one, other = f"{type_}/a", resource | {"language": "en"}
    await ask(client, f"PUT {one}", 201, json=resource | {"id": "a"})
    second = await ask(client, f"PUT {one}", 200, json=other | {"id": "a"})
    assert second.headers["etag"] == 'W/"2"'
    patched = await ask(client, f"PATCH {one}", 200, json=ADD, headers={"content-type": "application/json-patch+json"})
    assert patched.json()["language"] == "de"
    current = await ask(client, f"GET {one}", 200)
    assert current.json()["meta"]["versionId"] == "3"
    await ask(client, f"GET {one}", 304, headers={"if-none-match": 'W/"3"'})
    await ask(client, f"GET {one}", 304, headers={"if-modified-since": current.headers["last-modified"]})
    await ask(client, f"PUT {one}", 412, json=other | {"id": "a"}, headers={"if-match": 'W/"2"'})
    assert "language" not in (await ask(client, f"GET {one}/_history/1", 200)).json()
    assert len((await ask(client, f"GET {one}/_history", 200)).json()["entry"]) == 3
    await ask(client, f"POST {type_}", 200, json=resource, headers={"if-none-exist": "_id=a"})
    created = await ask(client, f"POST {type_}", 201, json=resource)
    await ask(client, f"PUT {type_}?_id=a", 200, json=other)
    for found in (
        await ask(client, f"GET {type_}?_id=a", 200, headers=STRICT),
        await ask(client, f"POST {type_}/_search", 200, content="_id=a", headers=STRICT | FORM),
    ):
        assert [entry["resource"]["id"] for entry in found.json()["entry"]] == ["a"]
    assert len((await ask(client, f"GET {type_}/_history", 200)).json()["entry"]) == 5
    await ask(client, f"DELETE {type_}?_lastUpdated=gt2000", 412)
    await ask(client, f"DELETE {type_}?_id=a", 204)
    await ask(client, f"GET {one}", 410)
    await ask(client, f"DELETE {type_}/{created.json()['id']}", 204)
    return {
        "create", "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "search-type",
    }  # fmt: skip


def sample(definitions: Definitions, type_: str, name: str) -> str:
    """A legal value of the parameter."""
    parameter = definitions.search_parameters.of(type_)[name]
    if parameter.type != "composite":
        return SAMPLES[parameter.type]
    components = definitions.search_parameters.components(type_, parameter)
    return "$".join(SAMPLES[component.parameter.type] for component in components)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # test_search_every_parameter asks both
async def test_every_search_parameter_of_every_type_is_used(
    client: httpx.AsyncClient, definitions: Definitions
) -> None:
    found = await rest(client)
    common = {one["name"] for one in found["searchParam"]}

    async def search(entry: dict[str, Any]) -> None:
        type_ = entry["type"]
        special = {"_filter": "_id eq x", "_has:Provenance:target:_id": "x", "_list": "x", "_type": type_}
        assert {name.partition(":")[0] for name in special} < common
        plain = {
            name: sample(definitions, type_, name) for name in common if definitions.search_parameters.get(None, name)
        }
        assert plain.keys() | {name.partition(":")[0] for name in special} == common
        own = [{one["name"]: sample(definitions, type_, one["name"])} for one in entry.get("searchParam", ())]
        for asked in (special | plain, *own):
            answer = await ask(client, f"GET /{type_}", 200, params=asked, headers=STRICT)
            used = httpx.URL(answer.json()["link"][0]["url"]).params
            assert set(used) == set(asked), type_

    await each(found["resource"], search)
