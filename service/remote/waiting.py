"""Retry-After: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_LONGEST = 366 * 24 * 3600  # seconds; a number beyond it is a mistake, and no date can hold the largest


def retry_at(headers: Mapping[str, str]) -> datetime | None:
    """When the server wants to be asked again, in UTC: a whole number of seconds or an HTTP date; else None."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return datetime.now(UTC) + timedelta(seconds=min(int(text[:12]), _LONGEST))
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
