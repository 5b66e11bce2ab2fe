"""A client of a running application over a store of each kind, and the smallest resources."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from service.app import create_app
from service.conformance.definitions import Definitions
from service.settings import Settings
from tests.contract.minimal import Minimal


@pytest.fixture
async def client(settings: Settings, definitions: Definitions) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose relative addresses are under the FHIR base."""
    app = create_app(settings, definitions)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://test/fhir",
            headers={"content-type": "application/fhir+json"},
        ) as opened,
    ):
        yield opened


@pytest.fixture(scope="session")
def minimal(definitions: Definitions) -> Minimal:
    """Makes the smallest valid resource of a type."""
    return Minimal(definitions)
