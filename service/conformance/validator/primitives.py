"""Checks for the primitive types: JSON type, syntax and range.

Source: https://hl7.org/fhir/R4/datatypes.html#primitive
"""

from __future__ import annotations

import binascii
import re
from calendar import monthrange
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from service.conformance.validator.findings import Check, Finding, one, wrong_kind
from service.conformance.validator.narrative import check_xhtml

_MAX_STRING = 1024 * 1024
_INT_MAX = 2**31 - 1
_YEAR = r"(?!0000)[0-9]{4}"
_DAY = r"-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
# ASCII classes on purpose: Python's \d and \s take other scripts' digits and the no-break space.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}").fullmatch
_DATE = re.compile(rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])|{_DAY})?").fullmatch
_DATE_TIME = re.compile(rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])|{_DAY}(?:T{_TIME}{_ZONE})?)?").fullmatch
_INSTANT = re.compile(rf"{_YEAR}{_DAY}T{_TIME}{_ZONE}").fullmatch
_CLOCK = re.compile(_TIME).fullmatch
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+").fullmatch
_PART = re.compile("#")
_VERSION_OR_PART = re.compile("[|#]")


def check_string(value: Any) -> list[Finding] | None:
    """A string: not blank, at most 1 MB, no control characters."""
    if type(value) is str and value and value.isprintable() and value[0] != " " and len(value) <= _MAX_STRING:
        return None
    if not isinstance(value, str):
        return wrong_kind(value, "a string")
    if not value or value.isspace():
        return one("value", "string-blank", "A string must not be empty or blank: leave the element out")
    if len(value) > _MAX_STRING:
        return one("too-long", "string-too-long", "A string has at most 1,048,576 characters")
    if _FORBIDDEN.search(value):
        return one("value", "string-control-character", "A string must not contain control characters")
    return None


def _text(rule: str, says: str, well_formed: Callable[[str], Any]) -> Check:
    def check(value: Any) -> list[Finding] | None:
        if type(value) is str and well_formed(value):
            return None
        if not isinstance(value, str):
            return wrong_kind(value, "a string")
        if not value or value.isspace():
            return one("value", "string-blank", "A string must not be empty or blank: leave the element out")
        return one("value", rule, says)

    return check


def _is_code(value: str) -> bool:
    return value.isprintable() and value != "" and value[0] != " " and value[-1] != " " and "  " not in value


def _is_uri(value: str) -> bool:
    if value.isprintable():
        return value != "" and " " not in value
    return not _FORBIDDEN.search(value) and not any(char.isspace() for char in value)


def _uri(rule: str, says: str, end: re.Pattern[str] = _PART) -> Check:
    """A uri; one that begins as a UUID or an OID is such, up to `end`.

    Source: https://hl7.org/fhir/R4/datatypes.html#uri
    """
    refused = _text(rule, says, _is_uri)

    def check(value: Any) -> list[Finding] | None:
        if type(value) is not str or not _is_uri(value):
            return refused(value)
        if value[:4] != "urn:":
            return None
        kind = _URN_KINDS.get(value[:9]) or _URN_KINDS.get(value[:8])
        found = kind(value) if kind else None
        return kind(end.split(value, 1)[0]) if kind and found else None

    return check


def _calendar(pattern: Callable[[str], Any]) -> Callable[[str], bool]:
    def well_formed(value: str) -> bool:
        if not pattern(value):
            return False
        day = value[8:10]
        return day <= "28" or int(day) <= monthrange(int(value[:4]), int(value[5:7]))[1]

    return well_formed


def check_boolean(value: Any) -> list[Finding] | None:
    """`true` or `false`, not a string."""
    return None if type(value) is bool else wrong_kind(value, "true or false")


def _whole(name: str, low: int) -> Check:
    def check(value: Any) -> list[Finding] | None:
        if type(value) is int:
            if low <= value <= _INT_MAX:
                return None
            return one("value", "integer-range", f"A {name} lies between {low} and {_INT_MAX}")
        return wrong_kind(value, "a whole number")

    return check


def check_decimal(value: Any) -> list[Finding] | None:
    """A JSON number of any precision."""
    kind = type(value)
    if kind is int:
        return None
    if isinstance(value, (Decimal, float)):
        finite = value.is_finite() if isinstance(value, Decimal) else value - value == 0
        return None if finite else one("value", "format-decimal", "A decimal is a finite number")
    return wrong_kind(value, "a number")


def _is_base64(value: str) -> bool:
    packed = value if value.isalnum() else "".join(value.split())
    try:
        return bool(binascii.a2b_base64(packed.encode("ascii"), strict_mode=True))
    except (binascii.Error, ValueError):
        return False


_DATE_SAYS = "A date is YYYY, YYYY-MM or YYYY-MM-DD and exists in the calendar"
_DATE_TIME_SAYS = (
    "A dateTime is YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with fraction as needed and with a zone "
    "(Z or +hh:mm), and exists in the calendar"
)

_CANONICAL_SAYS = "A canonical is a uri without white space, '|version' may follow"
_URN_KINDS: dict[str, Check] = {
    "urn:uuid:": _text("format-uuid", "A uuid is urn:uuid: and a UUID in lower case", _UUID),
    "urn:oid:": _text("format-oid", "An oid is urn:oid: and numbers joined by '.'", _OID),
}

CHECKS: dict[str, Check] = {
    "string": check_string,
    "markdown": check_string,
    "boolean": check_boolean,
    "decimal": check_decimal,
    "integer": _whole("integer", -(2**31)),
    "unsignedInt": _whole("unsignedInt", 0),
    "positiveInt": _whole("positiveInt", 1),
    "code": _text("format-code", "A code has no leading, trailing or double spaces", _is_code),
    "id": _text("format-id", "An id has 1 to 64 characters of A-Z, a-z, 0-9, '-' and '.'", _ID),
    "uri": _uri("format-uri", "A uri has no white space"),
    "url": _uri("format-url", "A url has no white space"),
    "canonical": _uri("format-canonical", _CANONICAL_SAYS, _VERSION_OR_PART),
    "uuid": _URN_KINDS["urn:uuid:"],
    "oid": _URN_KINDS["urn:oid:"],
    "date": _text("format-date", _DATE_SAYS, _calendar(_DATE)),
    "dateTime": _text("format-dateTime", _DATE_TIME_SAYS, _calendar(_DATE_TIME)),
    "instant": _text(
        "format-instant", "An instant is YYYY-MM-DDThh:mm:ss with a zone (Z or +hh:mm)", _calendar(_INSTANT)
    ),
    "time": _text("format-time", "A time is hh:mm:ss, with a fraction as needed and without a zone", _CLOCK),
    "base64Binary": _text("format-base64Binary", "base64 is needed, in groups of four characters", _is_base64),
    "xhtml": check_xhtml,
}
