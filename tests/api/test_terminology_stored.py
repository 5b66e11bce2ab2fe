"""What clients store answers by its id, on both kinds of store, and changes no answer about others."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from terminology_client import Service, codes

OWN = "https://cart-fhir.example/fhir"
TERMS = "https://hospital.example/terms"


@pytest.fixture
def service(client: httpx.AsyncClient, application: FastAPI) -> Service:
    return Service(client, application.state.server.validator)


async def put(client: httpx.AsyncClient, type_: str, **content: Any) -> None:
    resource = {"resourceType": type_, "id": "t", "status": "draft"} | content
    answer = await client.put(f"/{type_}/t", json=resource)
    assert answer.status_code == 201, answer.text


async def test_stored_resources_answer_by_their_id_and_nowhere_else(
    client: httpx.AsyncClient, service: Service
) -> None:
    concept = [{"code": "neuro", "display": "Neurotoxicity", "concept": [{"code": "icans", "display": "ICANS"}]}]
    await put(client, "CodeSystem", url=TERMS, content="complete", caseSensitive=False, concept=concept)
    listed = {"system": TERMS, "concept": [{"code": "neuro"}, {"code": "icans"}]}
    await put(client, "ValueSet", url=f"{TERMS}/vs", compose={"include": [listed]})
    target = [{"code": "icans", "equivalence": "equivalent"}]
    group = {
        "source": TERMS,
        "target": f"{OWN}/CodeSystem/trial-concept",
        "element": [{"code": "icans", "target": target}],
    }
    await put(client, "ConceptMap", url=f"{TERMS}/map", group=[group])
    assert codes(await service.expand("/ValueSet/t/$expand")) == ["neuro", "icans"]
    held = await service.get("/ValueSet/t/$validate-code", system=TERMS, code="icans")
    assert held["result"] == [True]
    folded = await service.get("/CodeSystem/t/$validate-code", code="ICANS")
    assert (folded["result"], folded["code"], folded["display"]) == ([True], ["icans"], ["ICANS"])
    assert (await service.get("/CodeSystem/t/$subsumes", codeA="neuro", codeB="icans"))["outcome"] == ["subsumes"]
    mapped = await service.get("/ConceptMap/t/$translate", system=TERMS, code="icans")
    assert mapped["match"][0]["concept"][0]["code"] == "icans"
    # By url only what the service ships: what clients store changes no answer about others.
    assert (await service.refused("/ValueSet/$expand", url=f"{TERMS}/vs"))[:2] == (404, "not-supported")
    assert (await service.refused("/CodeSystem/$lookup", system=TERMS, code="icans"))[:2] == (404, "not-supported")
    assert (await service.refused("/ConceptMap/$translate", system=TERMS, code="icans"))[:2] == (422, "not-supported")
    assert (await service.refused("/ValueSet/t/$expand", url=f"{TERMS}/vs"))[:2] == (400, "invalid")
    assert (await client.get("/ValueSet/nobody/$expand")).status_code == 404
    await client.delete("/ValueSet/t")
    assert (await client.get("/ValueSet/t/$expand")).status_code == 410
