"""FHIR dates as half-open ranges of microseconds since 1970 UTC: `2021-03` is the whole of that March.

Source: https://hl7.org/fhir/R4/search.html#date and https://hl7.org/fhir/R4/datatypes.html#dateTime
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = -(2**62), 2**62

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?\Z"
)


def micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC of an aware datetime."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(value: int) -> datetime:
    """The aware UTC datetime of a number of microseconds."""
    return EPOCH + timedelta(microseconds=value)


@lru_cache(maxsize=64)
def instant(value: int) -> str:
    """Microseconds as a FHIR instant in UTC with milliseconds."""
    return (EPOCH + timedelta(microseconds=value)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@lru_cache(maxsize=4096)
def date_range(text: str, zone: tzinfo) -> tuple[int, int]:
    """[low, high) of a date, dateTime or instant; without an offset it is read in `zone`. Raises ValueError."""
    match = _DATE.match(text)
    if match is None:
        raise ValueError("not a FHIR date")
    year, month, day = (int(match[name] or 1) for name in ("year", "month", "day"))
    offset = _offset(match["zone"]) or zone
    if match["hour"] is None:
        start = datetime(year, month, day, tzinfo=offset)
        return micros(start), _after(start, match, offset)
    second = int(match["second"] or 0)
    leap, second = second == 60, min(second, 59)
    start = datetime(year, month, day, int(match["hour"]), int(match["minute"]), second, tzinfo=offset)
    low = micros(start) + (1_000_000 if leap else 0)
    if match["second"] is None:
        return low, low + 60_000_000
    if match["fraction"] is None:
        return low, low + 1_000_000
    digits = match["fraction"][:6]
    unit = 10 ** (6 - len(digits))
    low += int(digits) * unit
    return low, low + unit


def _offset(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text == "Z":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[4:6])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _after(start: datetime, match: re.Match[str], zone: tzinfo) -> int:
    if match["month"] is None:
        after = (start.year + 1, 1, 1)
    elif match["day"] is None:
        after = (start.year + start.month // 12, start.month % 12 + 1, 1)
    else:
        if start.year == 9999 and start.month == 12 and start.day == 31:
            return LATEST
        following = start.date() + timedelta(days=1)
        after = (following.year, following.month, following.day)
    return LATEST if after[0] > 9999 else micros(datetime(*after, tzinfo=zone))
