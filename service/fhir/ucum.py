"""UCUM units to a canonical one, exactly: `mg/dL` is 1/100 of a kilogram by cubic metre's thousandth, as a fraction.

Scope: all units of UCUM with all prefixes, products, powers and annotations. On purpose narrower than UCUM where it
would mislead: amount (mol), equivalents (eq), osmoles, international units, absorbed and equivalent dose and activity
are quantities of their own, so nothing is converted between mass and amount. Logarithmic units and those by an
irrational factor have no canonical form here: None, never a guess.
Source: https://ucum.org/ucum
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from service.fhir.ucum_units import BASES, METRIC, OWN_METRIC, OWN_PLAIN, PLAIN

SYSTEM = "http://unitsofmeasure.org"
LONGEST = 60  # characters of a unit
WIDEST = 60  # digits or exponent of a number

PREFIXES = {
    name: Fraction(10) ** power
    for name, power in zip(
        ("Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da", "d", "c", "m", "u", "n", "p", "f", "a", "z", "y"),
        (24, 21, 18, 15, 12, 9, 6, 3, 2, 1, -1, -2, -3, -6, -9, -12, -15, -18, -21, -24),
        strict=True,
    )
} | {name: Fraction(1024) ** power for name, power in (("Ki", 1), ("Mi", 2), ("Gi", 3), ("Ti", 4))}
# Scales with a zero of their own: kelvin = (value + offset) × factor.
SCALES = {
    "Cel": (Fraction(1), Fraction(27315, 100)),
    "[degF]": (Fraction(5, 9), Fraction(45967, 100)),
    "[degRe]": (Fraction(5, 4), Fraction(21852, 100)),
}

_TOKEN = re.compile(
    r"(?P<annotation>\{[^{}]*\})|(?P<operator>[./()])"
    r"|(?P<atom>10[*^]|''?|%(?:\[slope\])?|(?:[A-Za-z_]|\[[^\[\]\s]*\])+%?)(?P<power>[+-]?\d{1,2})?|(?P<number>\d{1,9})"
)

_POWERS = re.compile(r"(\{[^{}]*\}|\[[^\[\]]*\]|[A-Za-z]*)(-?\d+)")

Measure = tuple[Fraction, dict[str, int]]  # factor, powers by base unit


@dataclass(frozen=True, slots=True)
class Unit:
    """value × `factor` (after adding `offset`) is the value in the unit that `dimension` names, such as `g1m-3`."""

    factor: Fraction
    dimension: str
    offset: Fraction = Fraction(0)

    def canonical(self, value: Decimal) -> Fraction:
        """The value in the canonical unit. Raises OverflowError where the number is beyond any measurement."""
        digits = value.as_tuple()
        if abs(digits.exponent) > WIDEST or len(digits.digits) > WIDEST:  # type: ignore[arg-type]
            raise OverflowError("not a measurable number")
        return (Fraction(value) + self.offset) * self.factor


@lru_cache(maxsize=65536)
def canonical_float(code: str, value: Decimal) -> tuple[str, float] | None:
    """The dimension and the nearest double of the value in the canonical unit; None where the unit is not known.

    Kept for the pairs seen last: laboratory values have few digits and come again. Raises OverflowError.
    """
    unit = parse(code)
    return None if unit is None else (unit.dimension, float(unit.canonical(value)))


@lru_cache(maxsize=4096)
def parse(text: str) -> Unit | None:
    """The unit, or None where `text` is not a UCUM unit that is known here."""
    if text in SCALES:
        factor, offset = SCALES[text]
        return Unit(factor, "K1", offset)
    if len(text) > LONGEST:
        return None
    try:
        factor, powers = measure(text)
    except ValueError:
        return None
    return Unit(factor, "".join(f"{name}{powers[name]}" for name in sorted(powers) if powers[name]) or "1")


def powers_of(dimension: str) -> dict[str, int]:
    """The base units of a `Unit.dimension` with their powers: `g1m-3` is g and m-3."""
    return {name: int(power) for name, power in _POWERS.findall(dimension) if name}


def written(dimension: str) -> str:
    """A `Unit.dimension` as UCUM writes it: `g1m-3` is `g.m-3`; what is divided by an annotation is `/{it}`."""
    powers = powers_of(dimension)
    named = [f"{name}{power if power != 1 else ''}" for name, power in powers.items() if name[0] != "{"]
    divided = [f"/{name}" for name, power in powers.items() if name[0] == "{" for _ in range(-power)]
    return ".".join(named) + "".join(divided) or "1"


def measure(text: str, atom: Callable[[str], Measure] | None = None) -> Measure:
    """What a unit comes to; `atom` says what each atom is, without it as UCUM defines it.

    Raises ValueError with the reason, which quotes nothing of the text.
    """
    tokens = tokens_of(text)
    found = _term(tokens, atom or _atom)
    if tokens:
        raise ValueError(
            "a '.' or '/' is missing between two parts" if tokens[-1]["operator"] != ")" else "a ')' too many"
        )
    return found


def _term(tokens: list[re.Match[str]], atom: Callable[[str], Measure]) -> Measure:
    """Factors joined by `.` and `/`, up to a closing parenthesis or the end; takes them off `tokens` (reversed)."""
    sign = -1 if _takes(tokens, "/") else 1
    factor, powers = _component(tokens, sign, atom)
    while tokens and tokens[-1]["operator"] in (".", "/"):
        sign = -1 if tokens.pop()["operator"] == "/" else 1
        other, more = _component(tokens, sign, atom)
        factor *= other
        for name, power in more.items():
            powers[name] = powers.get(name, 0) + power
    return factor, powers


def _component(tokens: list[re.Match[str]], sign: int, atom: Callable[[str], Measure]) -> Measure:
    """One factor to the power of `sign`. Raises ValueError."""
    if _takes(tokens, "("):
        factor, powers = _term(tokens, atom)
        if not _takes(tokens, ")"):
            raise ValueError("a ')' is missing")
    elif tokens and tokens[-1]["annotation"]:
        # "per {1.73_m2}" is no unit of UCUM's, but what is measured by it is not what is measured without.
        annotation = tokens.pop()["annotation"]
        return Fraction(1), {annotation: -1} if sign < 0 else {}
    elif tokens and not tokens[-1]["operator"]:
        factor, powers = _factor(tokens.pop(), atom)
    else:
        raise ValueError("a unit is missing")
    if tokens and tokens[-1]["annotation"]:
        tokens.pop()
    return factor**sign, {name: power * sign for name, power in powers.items()}


def _takes(tokens: list[re.Match[str]], operator: str) -> bool:
    if tokens and tokens[-1]["operator"] == operator:
        tokens.pop()
        return True
    return False


def tokens_of(text: str) -> list[re.Match[str]]:
    """The tokens of a unit, the first one last. Raises ValueError where something is no token."""
    tokens: list[re.Match[str]] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"what stands from character {place + 1} on is no unit")
        tokens.append(match)
        place = match.end()
    return tokens[::-1]


def _factor(token: re.Match[str], atom: Callable[[str], Measure]) -> Measure:
    if token["number"]:
        if not int(token["number"]):
            raise ValueError("nothing is measured in zeros")
        return Fraction(int(token["number"])), {}
    factor, powers = atom(token["atom"])
    power = int(token["power"] or 1)
    return factor**power, {name: one * power for name, one in powers.items()}


@lru_cache(maxsize=512)
def _atom(name: str) -> Measure:
    if name in PLAIN or name in METRIC or name in BASES or name in OWN_METRIC or name in OWN_PLAIN:
        return _defined(name)
    for length in (1, 2):
        prefix, rest = name[:length], name[length:]
        if prefix in PREFIXES and (rest in METRIC or rest in BASES or rest in OWN_METRIC):
            factor, powers = _defined(rest)
            return PREFIXES[prefix] * factor, powers
    raise ValueError("an unknown unit")


def _defined(name: str) -> Measure:
    definition = PLAIN.get(name) or METRIC.get(name)
    if definition is None:
        return Fraction(1), {name: 1}
    number, _, unit = definition.partition(" ")
    factor, powers = measure(unit)
    return Fraction(number) * factor, {base: power for base, power in powers.items() if power}
