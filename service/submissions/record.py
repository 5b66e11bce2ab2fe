"""A patient's record as a form sees it: resources by type and code, in the order of their dates, within a period."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from service.fhir.dates import date_range
from service.fhir.operations import Resource
from service.submissions.forms import Query

_DATES = ("effectiveDateTime", "effectiveInstant", "performedDateTime", "date", "onsetDateTime", "authoredOn")
_PERIODS = ("effectivePeriod", "performedPeriod", "onsetPeriod")
_CODES = {"AdverseEvent": "event", "MedicationAdministration": "medicationCodeableConcept"}
_NEVER = 2**62
_RETRACTED = "entered-in-error"
# Doubts about what is said of all, not about the resource: a rate, a count, a gap, the smallness of a cohort.
_OF_ALL = frozenset({"rate-mismatch", "count-mismatch", "not-stated", "re-identification"})


@dataclass(frozen=True, slots=True)
class Held:
    """A resource of the record and the version of it that was read (None: unknown)."""

    resource: Resource
    version: str | None = None

    @property
    def reference(self) -> str:
        """`Type/id`, with the version where it is known."""
        bare = f"{self.resource['resourceType']}/{self.resource['id']}"
        return f"{bare}/_history/{self.version}" if self.version else bare


@dataclass(frozen=True, slots=True)
class Bounds:
    """Half-open ranges in microseconds since 1970; None: not known. `infused` is the start of the day of infusion."""

    start: int | None = None
    end: int | None = None
    infused: int | None = None

    def hold(self, query: Query, at: tuple[int, int] | None) -> bool:
        """Whether a resource with this date is one of the query's.

        A date that is not precise enough to tell is out. Without a date it is in where no period was asked for,
        unless the query counts from the infusion within the period, for which a date is needed.
        """
        bounds = query.bounds
        if not bounds:
            return True
        counted = "infusion.performed" in bounds and "from" in bounds
        if at is None:
            return self.start is None and self.end is None and not counted
        if counted and self.infused is None:
            return False
        low, high = at
        return (
            ("from" not in bounds or self.start is None or low >= self.start)
            and ("to" not in bounds or self.end is None or high <= self.end)
            and ("infusion.performed" not in bounds or self.infused is None or low >= self.infused)
        )


class Record:
    """What is held of one patient; what was entered in error is left out."""

    def __init__(self, held: Iterable[Held], zone: tzinfo) -> None:
        self.held = {f"{one.resource['resourceType']}/{one.resource['id']}": one for one in held if _stands(one)}
        self.dates = {name: date_of(one.resource, zone) for name, one in self.held.items()}
        self.doubts: dict[str, list[str]] = {}
        self._by_type: dict[str, list[str]] = {}
        self._by_code: dict[tuple[str, str, str], list[str]] = {}
        for name in sorted(self.held, key=lambda name: ((self.dates[name] or (_NEVER,))[0], name)):
            self._index(name, self.held[name].resource)

    def _index(self, name: str, resource: Resource) -> None:
        type_ = resource["resourceType"]
        self._by_type.setdefault(type_, []).append(name)
        concept = resource.get(_CODES.get(type_, "code"))
        for coding in concept.get("coding", ()) if isinstance(concept, dict) else ():
            self._by_code.setdefault((type_, coding.get("system", ""), coding.get("code", "")), []).append(name)
        if type_ == "DetectedIssue" and not _codes(resource) & _OF_ALL:
            for implicated in resource.get("implicated", ()):
                self.doubts.setdefault(implicated.get("reference", ""), []).append(self.held[name].reference)

    def of_type(self, type_: str) -> list[Resource]:
        """The resources of a type, the oldest first."""
        return [self.held[name].resource for name in self._by_type.get(type_, ())]

    def find(self, query: Query, bounds: Bounds | None) -> list[Resource]:
        """What the query finds, the oldest first and those without a date last; bounds None: at any time."""
        if query.codes:
            found = dict.fromkeys(name for code in query.codes for name in self._by_code.get((query.type, *code), ()))
            names: Iterable[str] = found
            if len(query.codes) > 1:
                names = sorted(found, key=lambda name: ((self.dates[name] or (_NEVER,))[0], name))
        else:
            names = self._by_type.get(query.type, ())
        kept = (name for name in names if bounds is None or bounds.hold(query, self.dates[name]))
        return [self.held[name].resource for name in kept]


def date_of(resource: Resource, zone: tzinfo) -> tuple[int, int] | None:
    """When it happened, as a range of microseconds; None where that is not recorded."""
    for text in _texts(resource):
        try:
            return date_range(text, zone)
        except (ValueError, OverflowError):
            return None
    return None


def _codes(resource: Resource) -> set[str]:
    codings = resource.get("code", {}).get("coding", ())
    return {coding.get("code", "") for coding in codings}


def _texts(resource: Resource) -> Iterator[str]:
    yield from (resource[name] for name in _DATES if isinstance(resource.get(name), str))
    for name in _PERIODS:
        period: Any = resource.get(name)
        if isinstance(period, dict) and isinstance(period.get("start"), str):
            yield period["start"]


def _stands(one: Held) -> bool:
    resource = one.resource
    verification = resource.get("verificationStatus")
    codings = verification.get("coding", ()) if isinstance(verification, dict) else ()
    return resource.get("status") != _RETRACTED and all(coding.get("code") != _RETRACTED for coding in codings)
