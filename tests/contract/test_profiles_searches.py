"""The search parameters of ours find what the study holds."""

from __future__ import annotations

import re

import httpx
import pytest

from service.app import create_app
from service.conformance.definitions import Definitions
from service.importing import import_demo
from service.settings import Settings
from service.web.guide.content import Document, guide

# Search → how many the published report has: seven products released and one failed; None: at least one.
FOUND = {
    "BiologicallyDerivedProduct?identifier=ISIKOK19-002-product": 1,
    "BiologicallyDerivedProduct?status=unavailable": 1,
    "BiologicallyDerivedProduct?source.identifier=ISIKOK19-002": 1,
    "BiologicallyDerivedProduct?release-status=released": 7,
    "Procedure?infused-product.identifier=ISIKOK19-002-product": 1,
    "AdverseEvent?suspect-product.identifier=ISIKOK19-002-product": 1,
    "AdverseEvent?grade=C41339": 2,
    "AdverseEvent?grade=C41340": 0,
    "Condition?disease-status=C38014": 4,
    "Condition?disease-status=C38155": 0,
    "DetectedIssue?status=final": None,
    "DetectedIssue?severity=moderate": None,
    "Provenance?policy:below=https://cart-fhir.example/fhir/mapping/isikok-19": None,
}


async def test_own_searches_find_what_the_study_holds(settings: Settings, definitions: Definitions) -> None:
    await import_demo(settings, definitions, lambda text: None)
    app = create_app(settings, definitions)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test/fhir") as client,
    ):
        for line, count in FOUND.items():
            answer = await client.get(f"/{line}&_total=accurate&_count=1", headers={"prefer": "handling=strict"})
            assert answer.status_code == 200, line
            total = answer.json()["total"]
            assert total > 0 if count is None else total == count, (line, total)


@pytest.mark.parametrize("document", guide().of_kind("SearchParameter"), ids=lambda one: one.id)
def test_every_own_search_parameter_is_asked(document: Document) -> None:
    asked = {tuple(re.split(r"[?.:=]", line)[:2]) for line in FOUND}
    assert {(base, document.resource["code"]) for base in document.resource["base"]} <= asked
