"""Retry-After: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_LONGEST = timedelta(days=366)  # what lies beyond it is a mistake


def retry_at(headers: Mapping[str, str]) -> datetime | None:
    """When the server wants to be asked again, in UTC: a whole number of seconds or an HTTP date; else None."""
    text = headers.get("retry-after", "").strip()
    now = datetime.now(UTC)
    try:
        if text.isascii() and text.isdigit():
            return now + min(timedelta(seconds=int(text[:9])), _LONGEST)
        moment = parsedate_to_datetime(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return min(moment, now + _LONGEST)
