"""Doubtful values and contradictions, found by rule among resources; each becomes a DetectedIssue.

The value itself is never changed. What is a contradiction of a text comes from the study's own rows instead.
Source of the idea: Kahn et al., "A Harmonized Data Quality Assessment Terminology", eGEMs 2016;4(1):1244 (value
conformance, completeness, plausibility).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from uuid import uuid5

from service.fhir.r4 import make
from service.trial.mapping.identity import BASE, NAMESPACE
from service.trial.mapping.source import read_yaml

Resource = dict[str, Any]
ISSUES = f"{BASE}/CodeSystem/quality-issue"
CONCEPTS = f"{BASE}/CodeSystem/trial-concept"
GRADE = f"{BASE}/StructureDefinition/adverse-event-grade"
LABORATORY = "laboratory"
RESPONSE = "97509-4"
ABSENT = "2667000"
RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
# Nobody measured what was entered in error, cancelled or not done.
VOID = frozenset({"entered-in-error", "cancelled", "not-done"})


@dataclass(frozen=True, slots=True)
class Bound:
    """`low` ≤ value ≤ `high` is plausible for quantities of this code in `unit` (UCUM)."""

    system: str
    code: str
    unit: str
    low: Decimal | None
    high: Decimal | None
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One doubt: `kind` of CodeSystem quality-issue, `rule`, and the resources that it speaks of (`Type/id`)."""

    kind: str
    rule: str
    severity: str
    detail: str
    implicated: tuple[str, ...]
    subject: str | None = None


def examine(resources: Sequence[Resource], folder: Path) -> list[Resource]:
    """DetectedIssues for `resources` by the bounds in `folder`/quality.yaml; without that file, by the rules alone."""
    path = folder / "quality.yaml"
    bounds = plausibility(read_yaml(path, path.name).value) if path.is_file() else ()
    return [detected_issue(finding) for finding in findings(resources, bounds)]


def plausibility(value: Any) -> tuple[Bound, ...]:
    """The bounds of a quality file."""
    return tuple(
        Bound(
            entry["code"]["system"],
            entry["code"]["code"],
            entry["unit"],
            _decimal(entry.get("low")),
            _decimal(entry.get("high")),
            entry["reason"],
        )
        for entry in (value or {}).get("plausibility", [])
    )


def findings(resources: Iterable[Resource], bounds: Sequence[Bound]) -> list[Finding]:
    """Everything that the rules find, in the order of the rules. Pure."""
    valid = [resource for resource in resources if resource.get("status") not in VOID]
    found = list(_implausible(valid, bounds))
    for rule in RULES:
        found.extend(rule(valid))
    return found


def detected_issue(finding: Finding) -> Resource:
    """The DetectedIssue of a finding; the same finding has the same id each time."""
    name = f"quality/{finding.rule}/{' '.join(finding.implicated)}"
    return make(
        "DetectedIssue",
        id=str(uuid5(NAMESPACE, name)),
        meta={"profile": [f"{BASE}/StructureDefinition/trial-detected-issue"], "security": [RESTRICTED]},
        status="final",
        code={"coding": [{"system": ISSUES, "code": finding.kind}]},
        severity=finding.severity,
        patient={"reference": finding.subject} if (finding.subject or "").startswith("Patient/") else None,
        implicated=[{"reference": reference} for reference in finding.implicated],
        detail=finding.detail,
    )


def _implausible(resources: Iterable[Resource], bounds: Sequence[Bound]) -> Iterator[Finding]:
    for resource in resources:
        quantity = resource.get("valueQuantity", {})
        value = _decimal(quantity.get("value"))
        for bound in bounds:
            if value is None or not _has(resource.get("code"), bound.system, bound.code):
                continue
            if quantity.get("code", bound.unit) == bound.unit and not _within(value, bound):
                stated = "" if "code" in quantity else f"; no unit is stated, {bound.unit} is assumed"
                detail = f"The value is implausible and kept as it stands: {bound.reason}{stated}."
                yield _about("implausible-value", "plausibility", "moderate", detail, [resource])


def _unit_missing(resources: Sequence[Resource]) -> Iterator[Finding]:
    """One finding for each subject whose laboratory quantities have no unit."""
    lacking: dict[str, list[Resource]] = {}
    for resource in resources:
        laboratory = any(_codes(category) & {LABORATORY} for category in resource.get("category", []) or [])
        if resource["resourceType"] == "Observation" and laboratory:
            quantity = resource.get("valueQuantity")
            if quantity and "value" in quantity and "code" not in quantity:
                lacking.setdefault(subject_of(resource) or "", []).append(resource)
    for group in lacking.values():
        detail = "The source states no unit for these values. They have no UCUM code and are left out of indices."
        yield _about("unit-missing", "unit", "moderate", detail, group)


def _responses_differ(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Two best responses of one subject that are not the same."""
    found: dict[str, list[Resource]] = {}
    for resource in resources:
        if resource["resourceType"] == "Observation" and RESPONSE in _codes(resource.get("code")):
            found.setdefault(subject_of(resource) or "", []).append(resource)
    for group in found.values():
        if len({frozenset(_codes(one.get("valueCodeableConcept"))) for one in group}) > 1:
            yield _about("contradiction", "responses", "high", "One subject has two different responses.", group)


def _toxicity_denied(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Toxicity is said to be absent for a subject with an adverse event."""
    events: dict[str | None, list[Resource]] = {}
    for resource in resources:
        if resource["resourceType"] == "AdverseEvent" and resource.get("actuality") == "actual":
            events.setdefault(subject_of(resource), []).append(resource)
    for resource in resources:
        denied = _has(resource.get("code"), CONCEPTS, "toxicity") and ABSENT in _codes(
            resource.get("valueCodeableConcept")
        )
        if denied and (against := events.get(subject_of(resource))):
            detail = "Toxicity is recorded as absent for a subject with adverse events."
            yield _about("contradiction", "toxicity", "high", detail, [resource, *against])


def _grades_differ(resources: Sequence[Resource]) -> Iterator[Finding]:
    """The grade on an adverse event is not the grade that was observed for it."""
    events = {_reference(one): one for one in resources if one["resourceType"] == "AdverseEvent"}
    for observation in resources:
        for focus in observation.get("focus", []) if observation["resourceType"] == "Observation" else []:
            event = events.get(focus.get("reference"))
            extensions = [one for one in (event or {}).get("extension", []) if one.get("url") == GRADE]
            observed = _codes(observation.get("valueCodeableConcept"))
            if event and any(not _codes(one.get("valueCodeableConcept")) & observed for one in extensions):
                detail = "The grade of the adverse event is not the grade that was observed for it."
                yield _about("contradiction", "grade", "high", detail, [observation, event])


def _members_miscounted(resources: Sequence[Resource]) -> Iterator[Finding]:
    """A group that lists its members and says another number."""
    for resource in resources:
        members = [one for one in resource.get("member", []) if not one.get("inactive")]
        if resource["resourceType"] == "Group" and members and resource.get("quantity") != len(members):
            detail = f"The group states {resource.get('quantity')} and lists {len(members)} members."
            yield _about("count-mismatch", "members", "moderate", detail, [resource])


def _rates_differ(resources: Sequence[Resource]) -> Iterator[Finding]:
    """A published rate that is not the computed one at the published precision."""
    for resource in resources:
        for group in resource.get("group", []) if resource["resourceType"] == "MeasureReport" else []:
            score = _decimal(group.get("measureScore", {}).get("value"))
            for printed in published_values(group):
                if score is not None and not same_at_precision(score, printed):
                    detail = f"The published rate is {printed} %, the counts give {score * 100:.1f} %."
                    yield _about("rate-mismatch", "rate", "low", detail, [resource])


RULES: tuple[Callable[[Sequence[Resource]], Iterator[Finding]], ...] = (
    _unit_missing,
    _responses_differ,
    _toxicity_denied,
    _grades_differ,
    _members_miscounted,
    _rates_differ,
)


def published_values(group: Resource) -> list[str]:
    """The published percentages on a group of a MeasureReport, as printed, without the percent sign."""
    url = f"{BASE}/StructureDefinition/published-value"
    values = [one.get("valueString") for one in group.get("extension", []) if one.get("url") == url]
    return [value.rstrip("%").strip() for value in values if value and value.rstrip("%").strip().isdecimal()]


def same_at_precision(score: Decimal, printed: str) -> bool:
    """Whether `score` (0 to 1) rounds to the percentage `printed`, half up, at the decimals that are printed."""
    percentage = Decimal(printed)
    return (score * 100).quantize(percentage, ROUND_HALF_UP) == percentage


def subject_of(resource: Resource) -> str | None:
    """The reference to the subject: `Patient/id`."""
    reference = resource.get("subject") or resource.get("individual") or resource.get("patient") or {}
    return reference.get("reference")


def _about(kind: str, rule: str, severity: str, detail: str, implicated: Sequence[Resource]) -> Finding:
    return Finding(kind, rule, severity, detail, tuple(map(_reference, implicated)), subject_of(implicated[0]))


def _reference(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _codes(concept: Any) -> set[str]:
    coding = concept.get("coding", []) if isinstance(concept, dict) else []
    return {one["code"] for one in coding if "code" in one}


def _has(concept: Any, system: str, code: str) -> bool:
    coding = concept.get("coding", []) if isinstance(concept, dict) else []
    return any(one.get("system") == system and one.get("code") == code for one in coding)


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _within(value: Decimal, bound: Bound) -> bool:
    return (bound.low is None or value >= bound.low) and (bound.high is None or value <= bound.high)
