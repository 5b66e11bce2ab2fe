"""Laboratory results that meet their profile and that do not, and the flags that the latter get."""

from __future__ import annotations

from typing import Any

import httpx

from tests.api.conftest import observation, patient, rules

BASE = "https://cart-fhir.example/fhir"
LABORATORY = f"{BASE}/StructureDefinition/laboratory-result"
LENIENT, STRICT = {"prefer": "handling=lenient"}, {"prefer": "handling=strict"}
OUTCOME = {"prefer": "handling=lenient, return=OperationOutcome"}
RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}


def wrong(subject: str = "Patient/p", **changes: Any) -> dict[str, Any]:
    """A laboratory result that claims the profile and does not meet it."""
    return observation(subject, meta={"profile": [LABORATORY]}) | changes


def right(subject: str = "Patient/p", **changes: Any) -> dict[str, Any]:
    """One that meets it."""
    category = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}
    quantity = {"value": 12, "unit": "ng/mL", "system": "http://unitsofmeasure.org", "code": "ng/mL"}
    return (
        wrong(
            subject,
            meta={"profile": [LABORATORY], "security": [RESTRICTED]},
            category=[{"coding": [category]}],
            effectiveDateTime="2021-03-04",
            valueQuantity=quantity,
        )
        | changes
    )


def entry(resource: dict[str, Any], method: str = "POST", url: str = "", **changes: Any) -> dict[str, Any]:
    request = {"method": method, "url": url or resource["resourceType"]} | changes.pop("request", {})
    return {"resource": resource, "request": request} | changes


def bundle(*entries: dict[str, Any], type_: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": type_, "entry": list(entries)}


async def flags(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """All flags, each of which must be valid by R4 and by our profile."""
    found = (await client.get("/DetectedIssue")).json().get("entry", [])
    for one in found:
        answer = await client.get(f"/DetectedIssue/{one['resource']['id']}/$validate")
        assert rules(answer) == {"valid"}
    return [one["resource"] for one in found]


async def total(client: httpx.AsyncClient, type_: str = "Observation") -> int:
    return (await client.get(f"/{type_}?_summary=count")).json()["total"]


async def a_patient(client: httpx.AsyncClient) -> str:
    """The reference to a stored patient."""
    assert (await client.put("/Patient/p", json=patient(id="p"))).status_code == 201
    return "Patient/p"
