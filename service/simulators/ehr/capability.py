"""What the hospital's server says of itself, which its quirks may belie."""

from __future__ import annotations

from typing import Any

from service.simulators.ehr import searching
from service.simulators.ehr.quirks import Quirks


def described(quirks: Quirks, base: str, secured: bool) -> dict[str, Any]:
    """The CapabilityStatement."""
    every = ["read", "vread", "create", "update", "delete", "history-instance", "history-type", "search-type"]
    parameters = [
        {"name": name, "type": "date" if name in ("_lastUpdated", "date") else "token"}
        for name in sorted(searching.PARAMETERS - {"patient", "subject"})
    ] + [{"name": name, "type": "reference"} for name in ("patient", "subject")]
    types = "Patient Observation DiagnosticReport Condition Procedure MedicationAdministration Encounter"
    rest: dict[str, Any] = {
        "mode": "server",
        "resource": [
            {
                "type": name,
                "interaction": [{"code": code} for code in every],
                "versioning": "versioned-update",
                "updateCreate": not quirks.refuses_client_ids,
                "conditionalCreate": not quirks.ignores_if_none_exist,
                "conditionalUpdate": True,
                "searchParam": parameters,
            }
            for name in types.split()
        ],
        "interaction": [{"code": code} for code in ("batch", "history-system")],
    }
    if quirks.transactions != "absent":
        rest["interaction"].append({"code": "transaction"})
    if secured:
        rest["security"] = {
            "service": [{"text": "SMART Backend Services"}],
            "extension": [
                {
                    "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
                    "extension": [{"url": "token", "valueUri": f"{base.removesuffix('/fhir')}/token"}],
                }
            ],
        }
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-01-01",
        "kind": "instance",
        "software": {"name": "Simulated hospital"},
        "implementation": {"description": "A hospital in memory, for tests", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [rest],
    }
