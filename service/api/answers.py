"""What good answers look like, for Swagger. The ids are those of the demo's data."""

from __future__ import annotations

from service.trial.mapping.identity import id_of, name_of

PATIENT = id_of("isikok-19", name_of("patients", "patient", ["ISIKOK19-001"]))
STORED = {
    "resourceType": "Patient",
    "id": PATIENT,
    "meta": {"versionId": "1", "lastUpdated": "2026-01-01T12:00:00.000Z"},
    "gender": "male",
}
FOUND = {
    "resourceType": "Bundle",
    "type": "searchset",
    "link": [
        {"relation": "self", "url": "http://localhost:8000/fhir/Patient?_count=5"},
        {"relation": "next", "url": "http://localhost:8000/fhir/Patient?_cursor=WmVyb…"},
    ],
    "entry": [
        {"fullUrl": f"http://localhost:8000/fhir/Patient/{PATIENT}", "resource": STORED, "search": {"mode": "match"}}
    ],
}
VERSIONS = {
    "resourceType": "Bundle",
    "type": "history",
    "total": 1,
    "link": [{"relation": "self", "url": "http://localhost:8000/fhir/_history?_count=5"}],
    "entry": [
        {
            "fullUrl": f"http://localhost:8000/fhir/Patient/{PATIENT}",
            "request": {"method": "PUT", "url": f"Patient/{PATIENT}"},
            "response": {"status": "200 OK", "etag": 'W/"1"', "lastModified": "2026-01-01T12:00:00.000Z"},
            "resource": STORED,
        }
    ],
}
ANSWERED = {
    "resourceType": "Bundle",
    "type": "transaction-response",
    "entry": [
        {
            "response": {
                "status": "201 Created",
                "etag": 'W/"1"',
                "lastModified": "2026-01-01T12:00:00.000Z",
                "location": f"http://localhost:8000/fhir/Patient/{PATIENT}/_history/1",
            }
        }
    ],
}
