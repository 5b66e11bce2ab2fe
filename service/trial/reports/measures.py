"""The rates as MeasureReports (profile trial-measure-report): counts, score, the published figure beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.errors import NotFound
from service.fhir.r4 import make
from service.store.database import Database
from service.trial.mapping.identity import BASE
from service.trial.reports.cohort import Person, Resource, read_cohort
from service.trial.reports.rates import MEASURES, Rate, rates
from service.trial.reports.words import read_published, read_words

POPULATION = "http://terminology.hl7.org/CodeSystem/measure-population"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
# What decides the answer of each measure; a report names what it counted.
EVIDENCE: dict[str, dict[str, str | None]] = {
    "response-rate": {"Observation": "97509-4"},
    "toxicity-rate": {"AdverseEvent": None, "Observation": "toxicity"},
}


async def measure_report(database: Database, folder: Path, measure_id: str) -> Resource:
    """The MeasureReport of a measure, from what is stored now. Raises NotFound for an unknown measure."""
    if measure_id not in MEASURES:
        raise NotFound(f"Measure/{measure_id}")
    words, published = read_words(folder), read_published(folder)
    all_, *strata = rates(await read_cohort(database, words), words, published, measure_id)
    group: dict[str, Any] = {
        "extension": _published(all_) or None,
        "population": _population(all_),
        "measureScore": _score(all_),
        "stratifier": [{"code": [{"text": "Diagnosis"}], "stratum": [_stratum(one) for one in strata]}],
    }
    return make(
        "MeasureReport",
        meta={"profile": [f"{BASE}/StructureDefinition/trial-measure-report"]},
        status="complete",
        type="summary",
        measure=f"{BASE}/Measure/{measure_id}",
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        period={"extension": [{"url": ABSENT, "valueCode": "unknown"}]},
        group=[{key: value for key, value in group.items() if value is not None}],
        evaluatedResource=_evidence(all_) or None,
    )


def _population(rate: Rate) -> list[Resource]:
    counts = {
        "initial-population": rate.initial,
        "denominator": rate.denominator,
        "numerator": rate.numerator,
    }
    return [
        {"code": {"coding": [{"system": POPULATION, "code": code}]}, "count": len(people)}
        for code, people in counts.items()
    ]


def _score(rate: Rate) -> Resource | None:
    return None if rate.score is None else {"value": rate.score}


def _stratum(rate: Rate) -> Resource:
    stratum = {
        "extension": _published(rate) or None,
        "value": {"text": rate.group},
        "population": _population(rate),
        "measureScore": _score(rate),
    }
    return {key: value for key, value in stratum.items() if value is not None}


def _published(rate: Rate) -> list[Resource]:
    url = f"{BASE}/StructureDefinition/published-value"
    return [{"url": url, "valueString": rate.published["score"]}] if rate.published["score"] else []


def _evidence(rate: Rate) -> list[Resource]:
    return [
        {"reference": f"{type_}/{resource['id']}"}
        for person in rate.denominator
        for type_, code in EVIDENCE[rate.measure].items()
        for resource in _of(person, type_, code)
    ]


def _of(person: Person, type_: str, code: str | None) -> list[Resource]:
    def coded(resource: Resource) -> bool:
        return any(coding.get("code") == code for coding in resource.get("code", {}).get("coding", []))

    return [one for one in person.of(type_) if code is None or coded(one)]
