"""What is sent: laboratory Observations as a hospital sends them, and transactions of them."""

from __future__ import annotations

import json
from typing import Any

CODES = (("2532-0", "U/L"), ("2276-4", "ng/mL"), ("1988-5", "mg/L"), ("718-7", "g/dL"), ("777-3", "10*3/uL"))


def patient(number: int) -> dict[str, Any]:
    """A pseudonymous patient."""
    identifier = [{"system": "https://hospital.example/mrn", "value": f"P{number}"}]
    return {"resourceType": "Patient", "id": f"p{number}", "identifier": identifier, "gender": "female"}


def observation(number: int, patients: int = 100) -> dict[str, Any]:
    """A laboratory result with a unit, a date and an identifier."""
    code, unit = CODES[number // patients % len(CODES)]
    return {
        "resourceType": "Observation",
        "identifier": [{"system": "https://hospital.example/lab", "value": f"L{number}"}],
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "laboratory",
                    }
                ]
            }
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/p{number % patients}"},
        "effectiveDateTime": f"2021-{number % 12 + 1:02}-{number % 28 + 1:02}T08:00:00+03:00",
        "valueQuantity": {
            "value": round(number % 997 / 7, 2),
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        },
    }


def transaction(first: int, entries: int, patients: int = 100) -> bytes:
    """A transaction of `entries` Observations."""
    return json.dumps(
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {"resource": observation(number, patients), "request": {"method": "POST", "url": "Observation"}}
                for number in range(first, first + entries)
            ],
        }
    ).encode()


def patients(count: int = 100, first: int = 0) -> bytes:
    """A transaction that puts the patients in."""
    entries = [
        {"resource": patient(number), "request": {"method": "PUT", "url": f"Patient/p{number}"}}
        for number in range(first, first + count)
    ]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()
