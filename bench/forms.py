"""`python -m bench.forms`: registry forms filled, packed and checked in a minute, in one process.

The record is that of ISIKOK19-007 with dated blood counts besides; it is decoded anew for each form, as from a store.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from bench.report import Report
from service.conformance.definitions import load
from service.conformance.validator import Validator
from service.fhir.json import decode, encode
from service.fhir.operations import Resource
from service.settings import shipped
from service.submissions.forms import known
from service.submissions.package import make, refusals
from service.submissions.plan_definitions import CIBMTR, known_plans
from service.submissions.populate import Occasion, populate
from service.submissions.record import Held, Record
from service.submissions.schedule import obligations
from service.trial.importer import read_study

FORMS = 200
INFUSED = date(2026, 1, 10)
ZONE = ZoneInfo("Europe/Istanbul")
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SENDER = {"endpoint": "https://site.example/fhir"}
LABS = {"751-8": "10*3/uL", "777-3": "10*3/uL", "718-7": "g/dL", "6690-2": "10*3/uL", "1988-5": "mg/L"}


def record(labs: int) -> list[bytes]:
    """The patient first, then the rest, with `labs` results of each kind."""
    _, mapped, _ = read_study(load(), shipped("mappings", "isikok-19"))
    resources = [one.resource for one in mapped]
    patient = [one for one in resources if one["resourceType"] == "Patient"][-1]
    whom = {"reference": f"Patient/{patient['id']}"}
    mine = [one for one in resources if whom in (one.get("subject"), one.get("collection", {}).get("source"))]
    for one in mine:
        if one.pop("_performedDateTime", None) and "infused-product" in str(one.get("extension")):
            one["performedDateTime"] = INFUSED.isoformat()
    like = next(one for one in mine if one.get("code", {}).get("coding", [{}])[0].get("code") == "2276-4")
    return [
        encode(one) for one in (patient, *mine, *(_lab(like, *pair, n) for pair in LABS.items() for n in range(labs)))
    ]


def _lab(like: Resource, code: str, unit: str, number: int) -> Resource:
    day = (INFUSED + timedelta(number)).isoformat()
    changed = {name: value for name, value in like.items() if name != "_effectiveDateTime"}
    return changed | {
        "id": f"{code}-{number}",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "effectiveDateTime": day,
        "valueQuantity": {"value": number / 4, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
    }


def package(raw: list[bytes], validator: Validator) -> None:
    """One form, from stored bytes to a package that may leave."""
    held = [Held(decode(one), "1") for one in raw]
    patient, found = held[0].resource, Record(held, ZONE)
    infusion = next(one for one in held if "infused-product" in str(one.resource.get("extension")))
    occasion = Occasion(NOW, infusion, INFUSED, INFUSED + timedelta(130))
    response = populate(next(iter(known().values())), patient, found, occasion, ZONE).response
    task = obligations(known_plans()[CIBMTR], f"Patient/{patient['id']}", infusion.resource, NOW.date())[3]
    made = make(response, task, patient, found.held, sender=SENDER, to="https://registry.example/fhir", made=NOW)
    assert not refusals(made, validator)


def measure(report: Report) -> None:
    """A line for each size of record."""
    validator = Validator(load())
    for labs in (0, 20, 100):
        raw = record(labs)
        package(raw, validator)
        start = time.perf_counter()
        for _ in range(FORMS):
            package(raw, validator)
        rate = FORMS / (time.perf_counter() - start) * 60
        report.fact(f"forms populated and packaged a minute, {len(raw)} resources a record", f"{rate:,.0f}")


if __name__ == "__main__":
    measure(Report())
