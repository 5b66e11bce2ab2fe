"""Which resources a search means. Only the parameters of PARAMETERS are known; modifiers are not.

Source: https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from service.simulators.ehr.resources import Version
from service.simulators.wire import Refusal

RESULT_PARAMETERS = frozenset({"_count", "_sort", "_format", "_pretty", "_total", "_since"})
PARAMETERS = frozenset(
    {"_id", "_lastUpdated", "identifier", "patient", "subject", "code", "category", "status", "date"}
)
_PATIENTS = ("subject", "patient", "individual", "beneficiary")
_CODES = ("code", "medicationCodeableConcept", "vaccineCode", "type")
_DATES = (
    "effectiveDateTime effectiveInstant effectivePeriod performedDateTime performedPeriod onsetDateTime occurrence"
    "DateTime authoredOn recordedDate issued dateTime date period"
).split()
_DATE = re.compile(
    r"(?P<prefix>eq|ge|gt|le|lt)?(?P<text>(?P<day>\d{4}(-\d\d(-\d\d)?)?)"
    r"(T\d\d:\d\d(?P<second>:\d\d(?P<fraction>\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?)"
)

Bounds = tuple[datetime, datetime]


def check(name: str, value: str) -> None:
    """Raises Refusal where a date of the search is none."""
    if name in ("_lastUpdated", "date"):
        for each in value.split(","):
            _wanted(each)


def matches(version: Version, name: str, value: str) -> bool:
    """Whether a living version meets one parameter; commas in `value` are alternatives. Raises Refusal."""
    return any(_meets(version, name, each) for each in value.split(","))


def _meets(version: Version, name: str, value: str) -> bool:
    resource = version.resource or {}
    if name == "_id":
        return version.id == value
    if name == "_lastUpdated":
        return _compare(*_wanted(value), (version.instant, version.instant + timedelta(milliseconds=1)))
    if name == "date":
        wanted = _wanted(value)
        return any(_compare(*wanted, held) for held in _dates(resource))
    if name in ("patient", "subject"):
        return any(_refers(resource.get(element), value, name) for element in _PATIENTS)
    if name == "status":
        return resource.get("status") == value.rpartition("|")[2]
    tokens = _identifiers(resource) if name == "identifier" else _codings(resource, name)
    return any(_is(system, code, value) for system, code in tokens)


def _is(system: object, code: object, value: str) -> bool:
    wanted_system, bar, wanted = value.rpartition("|")
    return (not wanted or code == wanted) and (not bar or (system or "") == wanted_system)


def _identifiers(resource: dict[str, Any]) -> Iterator[tuple[object, object]]:
    for identifier in _many(resource.get("identifier")):
        yield identifier.get("system"), identifier.get("value")


def _codings(resource: dict[str, Any], name: str) -> Iterator[tuple[object, object]]:
    for element in _CODES if name == "code" else (name,):
        for concept in _many(resource.get(element)):
            for coding in _many(concept.get("coding")):
                yield coding.get("system"), coding.get("code")


def _many(value: object) -> list[dict[str, Any]]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]


def _refers(element: object, value: str, name: str) -> bool:
    for reference in _many(element):
        target = str(reference.get("reference", ""))
        if name == "patient" and "Patient/" not in target:
            continue
        if "/".join(target.split("/")[-2:]) == "/".join(value.split("/")[-2:]):
            return True
        if "/" not in value and target.rpartition("/")[2] == value:
            return True
    return False


def _dates(resource: dict[str, Any]) -> Iterator[Bounds]:
    for element in _DATES:
        held = resource.get(element)
        if isinstance(held, str) and (bounds := _bounds(held)):
            yield bounds
        elif isinstance(held, dict):
            start, end = _bounds(str(held.get("start"))), _bounds(str(held.get("end")))
            low, high = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
            yield (start[0] if start else low, end[1] if end else high)


def since(text: str) -> datetime:
    """The instant of `_since`. Raises Refusal."""
    return _wanted(text)[1][0]


def _wanted(value: str) -> tuple[str, Bounds]:
    found = _DATE.fullmatch(value.replace(" ", "+"))
    bounds = _bounds(found["text"]) if found else None
    if found is None or bounds is None:
        raise Refusal(400, "value", "A date of the search is not one")
    return found["prefix"] or "eq", bounds


def _bounds(text: str) -> Bounds | None:
    """The first instant of a dateTime and the first after it; UTC where it names no zone; None where it is no date."""
    found = _DATE.fullmatch(text)
    if found is None or found["prefix"]:
        return None
    day = found["day"]
    try:
        start = datetime.fromisoformat(day + "-01-01"[len(day) - 4 :] if text == day else text)
        start = start if start.tzinfo else start.replace(tzinfo=UTC)
        return start, start + _width(found, start)
    except (ValueError, OverflowError):
        return None


def _width(found: re.Match[str], start: datetime) -> timedelta:
    if found["text"] != found["day"]:
        return timedelta(milliseconds=1 if found["fraction"] else 1000 if found["second"] else 60_000)
    days = {4: 366 if calendar.isleap(start.year) else 365, 7: calendar.monthrange(start.year, start.month)[1]}
    return timedelta(days=days.get(len(found["day"]), 1))


def _compare(prefix: str, wanted: Bounds, held: Bounds) -> bool:
    if prefix == "eq":
        return wanted[0] <= held[0] and held[1] <= wanted[1]
    if prefix == "ge":
        return held[1] > wanted[0]
    if prefix == "gt":
        return held[1] > wanted[1]
    return held[0] < wanted[1] if prefix == "le" else held[0] < wanted[0]
