"""Builders of a treated patient's record, with dates."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from service.submissions.forms import Form, form_of
from service.submissions.populate import Occasion, Population, populate
from service.submissions.record import Held, Record

BASE = "https://cart-fhir.example/fhir"
CONCEPT = f"{BASE}/CodeSystem/trial-concept"
LOINC, SCT, NCIT = "http://loinc.org", "http://snomed.info/sct", "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"
MEDDRA = "http://terminology.hl7.org/CodeSystem/mdr"
UCUM = "http://unitsofmeasure.org"
FORM_URL = f"{BASE}/Questionnaire/cibmtr-4100-r4"
ZONE = ZoneInfo("Europe/Istanbul")
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
WHOM = {"reference": "Patient/p"}
RESTRICTED = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}

PRODUCT = {"reference": "BiologicallyDerivedProduct/product"}
UNKNOWN = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}

Resource = dict[str, Any]


def concept(system: str, code: str, text: str | None = None) -> Resource:
    return {"coding": [{"system": system, "code": code}]} | ({"text": text} if text else {})


def patient(**changes: Any) -> Resource:
    identifier = [{"system": f"{BASE}/identifier/subject", "value": "TEST-001"}]
    return {"resourceType": "Patient", "id": "p", "meta": RESTRICTED, "identifier": identifier} | changes


def infusion(day: str | None = "2026-01-10", **changes: Any) -> Resource:
    return {
        "resourceType": "Procedure",
        "id": "infusion",
        "meta": RESTRICTED,
        "extension": [{"url": f"{BASE}/StructureDefinition/infused-product", "valueReference": PRODUCT}],
        "status": "completed",
        "category": {"text": "Cell therapy"},
        "code": concept(CONCEPT, "car-t-infusion"),
        "subject": WHOM,
        **({"performedDateTime": day} if day else {}),
    } | changes


def product() -> Resource:
    """The infused product."""
    return {
        "resourceType": "BiologicallyDerivedProduct",
        "id": "product",
        "meta": RESTRICTED,
        "extension": [
            {
                "url": f"{BASE}/StructureDefinition/release-status",
                "valueCodeableConcept": concept(f"{BASE}/CodeSystem/release-status", "released"),
            },
        ],
        "identifier": [{"system": f"{BASE}/identifier/study-record", "value": "TEST-001-product"}],
        "productCategory": "cells",
        "productCode": concept(CONCEPT, "car-t-product"),
        "status": "available",
        "collection": {"source": WHOM, "_collectedDateTime": {"extension": [UNKNOWN]}},
    }


def observation(id_: str, system: str, code: str, day: str | None = None, **changes: Any) -> Resource:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": concept(system, code),
        "subject": WHOM,
        **({"effectiveDateTime": day} if day else {}),
    } | changes


def result(id_: str, code: str, value: Any, unit: str, day: str | None, **changes: Any) -> Resource:
    quantity = {"value": value, "unit": unit, "system": UCUM, "code": unit}
    return observation(id_, LOINC, code, day, valueQuantity=quantity) | changes


def response(id_: str, code: str, day: str | None) -> Resource:
    return observation(id_, LOINC, "97509-4", day, valueCodeableConcept=concept(NCIT, code))


def event(id_: str, system: str, code: str, day: str | None = None, **changes: Any) -> Resource:
    return {
        "resourceType": "AdverseEvent",
        "id": id_,
        "actuality": "actual",
        "event": concept(system, code, changes.pop("text", None)),
        "subject": WHOM,
        **({"date": day} if day else {}),
    } | changes


def crs(id_: str = "crs", day: str | None = "2026-01-14", **changes: Any) -> Resource:
    return event(id_, MEDDRA, "10052015", day, **changes)


def stored(*resources: Resource, day: str | None = "2026-01-10") -> list[Resource]:
    """A patient who was treated, as the store takes it."""
    treated = infusion(day) if day else infusion(None, _performedDateTime={"extension": [UNKNOWN]})
    return [patient(), product(), treated, *resources]


def form() -> Form:
    return form_of(FORM_URL)


def filled(*resources: Resource, start: date | None = None, end: date | None = None, **changes: Any) -> Population:
    """The form for a record of the patient, the infusion and these resources."""
    treated = infusion(**changes)
    held = [Held(one, "3") for one in (patient(), treated, product(), *resources)]
    record = Record(held, ZONE)
    return populate(form(), patient(), record, Occasion(NOW, held[1], start, end), ZONE)


def items(population: Population) -> dict[str, Resource]:
    """The items of the response by linkId."""
    return {item["linkId"]: item for group in population.response["item"] for item in group["item"]}


def value(population: Population, link_id: str) -> Any:
    """The only answer to a question: the display of an option, else the value itself; the reason in angle brackets."""
    item = items(population).get(link_id)
    if item is None:
        return None
    if "answer" not in item:
        (extension,) = item["extension"]
        return f"<{extension['valueCoding']['code']}>"
    (answer,) = item["answer"]
    (found,) = [part for name, part in answer.items() if name.startswith("value")]
    return found["display"] if isinstance(found, dict) and "display" in found else found


def sources(population: Population, link_id: str) -> list[str]:
    """The references behind all answers to a question."""
    answers = items(population)[link_id]["answer"]
    return [one["valueReference"]["reference"] for answer in answers for one in answer["extension"]]
