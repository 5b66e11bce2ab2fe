"""Order of FHIR dates of any precision: only what is certain counts.

Source: http://hl7.org/fhirpath/#comparison: a comparison that precision leaves open is empty, which breaks no rule.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta
from typing import Any

_DATE = 10


def certainly_after(first: Any, second: Any) -> bool:
    """Whether `first` lies after `second` at every moment that the two texts may mean."""
    if not isinstance(first, str) or not isinstance(second, str):
        return False
    zoned, other_zoned = len(first) > _DATE, len(second) > _DATE
    if not zoned and not other_zoned:
        shared = min(len(first), len(second))
        return first[:shared] > second[:shared]
    try:
        earliest, latest = _bounds(first)[0], _bounds(second)[1]
    except (ValueError, OverflowError):
        return False
    if zoned and other_zoned:
        return earliest > latest
    # A day without a zone is a day somewhere on earth: a day to each side stays open.
    return earliest.replace(tzinfo=None) - latest.replace(tzinfo=None) > timedelta(days=1)


def _bounds(text: str) -> tuple[datetime, datetime]:
    """The first and the last moment that the text may mean; a day, month or year counts to its last day's end."""
    if len(text) > _DATE:
        moment = datetime.fromisoformat(text.replace(":60", ":59"))
        if moment.tzinfo is None:
            raise ValueError("a time without a zone is no moment")
        return moment, moment
    year, month, day = (int(part) for part in (text + "-00-00"[len(text) - 4 :])[:_DATE].split("-"))
    last_month = month or 12
    last_day = day or monthrange(year, last_month)[1]
    return datetime(year, month or 1, day or 1), datetime(year, last_month, last_day, 23, 59, 59)
