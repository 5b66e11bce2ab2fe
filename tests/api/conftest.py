"""A running application over a real store of each kind, and builders of resources."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.app import create_app
from service.conformance.definitions import Definitions
from service.settings import Settings

FHIR = {"content-type": "application/fhir+json"}


@pytest.fixture
async def application(settings: Settings, definitions: Definitions) -> AsyncIterator[FastAPI]:
    """The application with its lifespan, on SQLite and on PostgreSQL."""
    app = create_app(settings, definitions)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose relative addresses are under the FHIR base."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(application), base_url="http://test/fhir", headers=FHIR
    ) as opened:
        yield opened


def patient(**changes: Any) -> dict[str, Any]:
    """A pseudonymous patient."""
    return {"resourceType": "Patient", "identifier": [{"system": "urn:ietf:rfc:3986", "value": "a"}]} | changes


def observation(subject: str, **changes: Any) -> dict[str, Any]:
    """A ferritin value of a patient."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2276-4"}]},
        "subject": {"reference": subject},
    } | changes


def issues(answer: httpx.Response) -> list[dict[str, Any]]:
    """The issues of an OperationOutcome, which must be one."""
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    return outcome["issue"]


def rules(answer: httpx.Response) -> set[str]:
    """The machine codes of an OperationOutcome."""
    return {issue["details"]["coding"][0]["code"] for issue in issues(answer)}
