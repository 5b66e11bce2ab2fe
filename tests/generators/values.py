"""Values of the primitive types, by their syntax in R4. All randomness is the caller's.

Source: https://hl7.org/fhir/R4/datatypes.html#primitive
"""

from __future__ import annotations

import base64
from calendar import monthrange
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

WORDS = (
    "x", "Ayşe", "Yılmaz", "İıŞşĞğ", "🧬", "a b", "1", "-", "Kayseri\u00a038", "line\r\n\ttab", " spaces around ",
    "محمد", "I\u0307", "true", "null", "<b>&amp;</b>", "'", '"', "%", "x" * 300,
)  # fmt: skip
CODES = ("x", "a b", "1.2.3", "akciğer", "A-b_C", "%")
ZONES = ("Z", "+03:00", "-13:59", "+14:00", "-00:00", "+05:45")


def _day(random: Random) -> str:
    year = random.choice((1, 1582, 1900, 1961, 2000, 2020, 2021, 2024, 9998))
    month = random.randrange(1, 13)
    return f"{year:04d}-{month:02d}-{random.randrange(1, monthrange(year, month)[1] + 1):02d}"


def _clock(random: Random) -> str:
    second = random.choice((0, 1, 30, 59, 60))
    fraction = random.choice(("", "", ".5", ".000", ".123456789"))
    return f"{random.randrange(24):02d}:{random.randrange(60):02d}:{second:02d}{fraction}"


def _instant(random: Random) -> str:
    return f"{_day(random)}T{_clock(random)}{random.choice(ZONES)}"


def _date(random: Random) -> str:
    return _day(random)[: random.choice((4, 7, 10))]


def _decimal(random: Random) -> Decimal | int:
    whole = random.randrange(-(10**6), 10**6)
    text = random.choice((f"{whole}.50", "0.000000000000000000000001", "1.10E+40", "-0.00", "1e-9", f"{whole}"))
    return int(text) if text.lstrip("-").isdigit() else Decimal(text)


def _uri(random: Random) -> str:
    return random.choice(
        ("http://x.example/a", "urn:oid:1.2.3", "urn:x:y", "abc", "https://sağlık.example/k#p", "mailto:a@x.example")
    )


MAKERS: dict[str, Callable[[Random], Any]] = {
    "base64Binary": lambda random: base64.b64encode(random.randbytes(random.randrange(1, 9))).decode(),
    "boolean": lambda random: random.random() < 0.5,
    "canonical": lambda random: "http://x.example/c" + random.choice(("", "|1.0", "|2#part")),
    "code": lambda random: random.choice(CODES),
    "date": _date,
    "dateTime": lambda random: _date(random) if random.random() < 0.5 else _instant(random),
    "decimal": _decimal,
    "id": lambda random: random.choice(("1", "a-b.C", "x" * 64)),
    "instant": _instant,
    "integer": lambda random: random.choice((-(2**31), -1, 0, 7, 2**31 - 1)),
    "markdown": lambda random: random.choice(WORDS),
    "oid": lambda random: random.choice(("urn:oid:1.2.3", "urn:oid:2.16.840.1", "urn:oid:0.0")),
    "positiveInt": lambda random: random.choice((1, 7, 2**31 - 1)),
    "string": lambda random: random.choice(WORDS),
    "time": _clock,
    "unsignedInt": lambda random: random.choice((0, 7, 2**31 - 1)),
    "uri": _uri,
    "url": _uri,
    "uuid": lambda random: UUID(int=random.getrandbits(128)).urn,
    "xhtml": lambda random: '<div xmlns="http://www.w3.org/1999/xhtml"><p>x</p> &amp; <b>Ayşe</b></div>',
}
# What is wrong in the JSON type or syntax of each.
WRONG: dict[str, tuple[Any, ...]] = {
    "base64Binary": ("abc", "ab*=", 1),
    "boolean": ("true", 1, {}),
    "canonical": ("a b", 1),
    "code": (" x", "a  b", 1, True),
    "date": ("2021-02-30", "2021-1-1", "2021-01-01T00:00:00Z", 2021),
    "dateTime": ("2021-01-01T10:00:00", "2021-02-29", "2021-01-01T24:00:00Z", 2021),
    "decimal": ("1.0", True),
    "id": ("a b", "x" * 65, 1),
    "instant": ("2021-01-01", "2021-01-01T10:00:00", 1),
    "integer": (Decimal("1.0"), "1", 2**31, True),
    "markdown": (1, "", " "),
    "oid": ("1.2.3", "urn:oid:3.1", 1),
    "positiveInt": (0, -1, Decimal("1.5"), "1"),
    "string": (1, True, "", " ", "a\x00"),
    "time": ("24:00:00", "10:00", 1),
    "unsignedInt": (-1, "1", True),
    "uri": ("a b", 1, ""),
    "url": ("a b", 1, ""),
    "uuid": ("urn:uuid:1", "x", 1),
    "xhtml": ("<p>x</p>", "x", 1),
}
