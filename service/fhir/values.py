"""Values of search parameters: codes, ranges, references, each parsed from its text once.

Source: https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from service.errors import BadRequest
from service.fhir import ucum
from service.fhir.dates import date_range
from service.fhir.parameters import SearchParameter

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
_REFERENCE = re.compile(
    r"(?:(?P<type>[A-Z][A-Za-z]+)/)?(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?\Z"
)


@dataclass(frozen=True, slots=True)
class Token:
    """`[system]|[code]`: system None is any, "" is none; code None is any code of the system."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Text:
    """A string or uri as it was asked for."""

    text: str


@dataclass(frozen=True, slots=True)
class Canonical:
    """The same range in the canonical unit of `dimension`."""

    low: float
    high: float
    dimension: str


@dataclass(frozen=True, slots=True)
class Range:
    """A prefix and the half-open range [low, high) that the text stands for: microseconds or numbers.

    A quantity by a UCUM unit also has its `canonical` range.
    """

    prefix: str
    low: int | float
    high: int | float
    system: str | None = None
    code: str | None = None
    canonical: Canonical | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A reference: type (None: any that the parameter allows) and id, or the absolute `url` of another server."""

    type: str | None
    id: str | None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Composite:
    """Values that must stand in one element, in the order of the parameter's components."""

    values: tuple[Token | Text | Range | Target, ...]


Value = Token | Text | Range | Target | Composite


@lru_cache(maxsize=65536)
def normalize(text: str) -> str:
    """A string without case and accents, `İ`, `I`, `ı` and `i` being one letter: what string search compares."""
    folded = unicodedata.normalize("NFKD", text.replace("ı", "i").casefold())
    return " ".join("".join(char for char in folded if not unicodedata.combining(char)).split())


def ancestors(uri: str) -> list[str]:
    """The URI and all that stand above it by its path, the nearest first."""
    found, (head, slashes, path) = [uri], uri.partition("://")
    if not slashes:
        return found
    while "/" in path:
        path = path.rpartition("/")[0]
        found += [f"{head}://{path}", f"{head}://{path}/"]
    return found


def number_range(text: str) -> tuple[Decimal, Decimal]:
    """The implicit range of a number by its digits: 100 is [99.5, 100.5), 5.40 is [5.395, 5.405)."""
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError("not a finite number")
    exponent = value.as_tuple().exponent
    half = Decimal(5).scaleb(int(exponent) - 1)
    return value - half, value + half


def parse_values(
    parameter: SearchParameter, modifier: str, text: str, target: str | None, zone: tzinfo, name: str
) -> tuple[Value, ...]:
    """The values of `a,b,c`, commas escaped by `\\,` kept. Raises BadRequest that names the parameter only."""
    with named(name):
        return tuple(parse_value(parameter, modifier, part, target, zone) for part in split(text, ","))


@contextmanager
def named(name: str) -> Iterator[None]:
    """Turns what is wrong with a value into a BadRequest that names its parameter, never the value."""
    try:
        yield
    except (ValueError, InvalidOperation, OverflowError) as error:
        reason = str(error) if isinstance(error, ValueError) else "not a number"
        text = f"The search parameter {name[:64]!r} has a value that is {reason}"
        raise BadRequest(text, code="invalid", rule="invalid-parameter") from None


def parse_value(parameter: SearchParameter, modifier: str, text: str, target: str | None, zone: tzinfo) -> Value:
    """One value by the parameter's type. Raises ValueError, InvalidOperation or OverflowError."""
    if not text:
        raise ValueError("empty")
    if parameter.type == "token":
        if modifier == "of-type":
            return _typed(text)
        return Text(unescape(text)) if modifier in ("text", "in", "not-in") else _token(text)
    if parameter.type in ("string", "uri"):
        return Text(unescape(text))
    if parameter.type == "reference":
        return _token(text) if modifier == "identifier" else _target(unescape(text), target)
    prefix, rest = (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)
    if parameter.type == "date":
        # A '+' that was not percent-encoded arrives as a space.
        return Range(prefix, *date_range(rest.replace(" ", "+"), zone))
    parts = split(rest, "|")
    if len(parts) not in ((1, 3) if parameter.type == "quantity" else (1,)):
        raise ValueError("not [number]|[system]|[code]" if parameter.type == "quantity" else "not a number")
    low, high = _bounds(prefix, parts[0])
    system, code = (unescape(parts[1]) or None, unescape(parts[2]) or None) if len(parts) == 3 else (None, None)
    return Range(prefix, float(low), float(high), system, code, _canonical(low, high, system, code))


def _bounds(prefix: str, text: str) -> tuple[Decimal, Decimal]:
    """What the number stands for: the range of its digits where equality is asked, itself where a side is."""
    low, high = number_range(text)
    value = Decimal(text)
    if prefix == "ap":
        # "Approximately" is the server's choice; R4 recommends 10 % of the value.
        tenth = abs(value) / 10
        return min(low, value - tenth), max(high, value + tenth)
    return (low, high) if prefix in ("eq", "ne") else (value, value)


def _canonical(low: Decimal, high: Decimal, system: str | None, code: str | None) -> Canonical | None:
    """The range in the canonical unit; a unit without a system is taken for UCUM's where it has one of that name."""
    unit = ucum.parse(code) if code and system in (None, ucum.SYSTEM) else None
    if unit is None:
        return None
    try:
        return Canonical(float(unit.canonical(low)), float(unit.canonical(high)), unit.dimension)
    except OverflowError:
        return None


def _typed(text: str) -> Token:
    """`[system]|[code]|[value]`: an identifier of a type; the code holds type and value as the index does."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) != 3 or not all(parts[1:]):
        raise ValueError("not [system]|[code]|[value]")
    return Token(parts[0] or None, typed(parts[1], parts[2]))


def typed(code: str, value: str) -> str:
    """The code by which an identifier of a type is indexed."""
    return f"{code}|{value}"


def _token(text: str) -> Token:
    parts = split(text, "|")
    if len(parts) == 1:
        return Token(None, unescape(parts[0]))
    if len(parts) > 2 or parts == ["", ""]:
        raise ValueError("not [system]|[code]")
    return Token(unescape(parts[0]), unescape(parts[1]) or None)


def _target(text: str, type_: str | None) -> Target:
    match = _REFERENCE.match(text)
    if match is None:
        if ":" not in text:
            raise ValueError("not a reference ([id], [type]/[id] or a URL)")
        return Target(None, None, text)
    if type_ and match["type"] not in (None, type_):
        raise ValueError("of another type than the modifier names")
    return Target(match["type"] or type_, match["id"])


def split(text: str, separator: str) -> list[str]:
    """Parts between separators that no backslash escapes; escapes stay in the parts."""
    if "\\" not in text:
        return text.split(separator)
    parts, part, escaped = [], "", False
    for char in text:
        if char == separator and not escaped:
            parts.append(part)
            part = ""
            continue
        part += char
        escaped = char == "\\" and not escaped
    return [*parts, part]


def unescape(text: str) -> str:
    """`\\,` `\\|` `\\$` and `\\\\` without their backslash."""
    return re.sub(r"\\([,|$\\])", r"\1", text) if "\\" in text else text
