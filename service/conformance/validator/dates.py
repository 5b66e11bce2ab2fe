"""Order of FHIR dates of any precision: only what is certain counts.

Source: http://hl7.org/fhirpath/#comparison: a comparison that precision leaves open is empty, which breaks no rule.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

_DATE = 10


def certainly_after(first: Any, second: Any) -> bool:
    """Whether `first` lies after `second` at every moment that the two texts may mean."""
    if not isinstance(first, str) or not isinstance(second, str):
        return False
    if len(first) > _DATE and len(second) > _DATE:
        one, other = _moment(first), _moment(second)
        if one is None or other is None:
            return False
        return one > other
    if len(first) == len(second) or (len(first) <= _DATE and len(second) <= _DATE):
        shared = min(len(first), len(second))
        return first[:shared] > second[:shared]
    # One has a zone and the other is a day somewhere on earth: a day either way stays open.
    one, other = _moment(first), _moment(second)
    if one is None or other is None:
        return False
    return one.replace(tzinfo=None) - other.replace(tzinfo=None) > timedelta(days=2)


def _moment(text: str) -> datetime | None:
    padded = text if len(text) > _DATE else (text + "-01-01"[max(0, len(text) - 4) :])[:_DATE]
    try:
        return datetime.fromisoformat(padded.replace(":60", ":59"))
    except ValueError:
        return None
