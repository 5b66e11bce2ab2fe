"""UCUM units to a canonical one, exactly: `mg/dL` is 1/100 of a kilogram by cubic metre's thousandth, as a fraction.

Scope: the units of clinical laboratories, medication, vital signs and radiation, with all prefixes, products, powers
and annotations. On purpose narrower than UCUM where it would mislead: amount (mol), equivalents (eq), osmoles,
international units, absorbed and equivalent dose and activity are quantities of their own, so nothing is converted
between mass and amount. Logarithmic units and those by an irrational factor are not known: None, never a guess.
Source: https://ucum.org/ucum (tables 1 to 22)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

SYSTEM = "http://unitsofmeasure.org"
LONGEST = 60  # characters of a unit
WIDEST = 60  # digits or exponent of a number

_PREFIXES = {
    name: Fraction(10) ** power
    for name, power in zip(
        ("Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da", "d", "c", "m", "u", "n", "p", "f", "a", "z", "y"),
        (24, 21, 18, 15, 12, 9, 6, 3, 2, 1, -1, -2, -3, -6, -9, -12, -15, -18, -21, -24),
        strict=True,
    )
}
_BASES = "m s g K C cd rad mol eq osm Gy Sv Bq [iU] [arb'U] [USP'U] [GPL'U] [MPL'U] [APL'U] [beth'U]".split()
# Units that take a prefix, by others; numbers are exact.
_METRIC = {
    "L": "1/1000 m3", "l": "1/1000 m3", "t": "1000000 g", "Hz": "1 s-1", "N": "1000 g.m.s-2", "Pa": "1000 g.m-1.s-2",
    "J": "1000 g.m2.s-2", "W": "1000 g.m2.s-3", "A": "1 C.s-1", "V": "1000 g.m2.s-2.C-1", "kat": "1 mol.s-1",
    "U": "1/60000000 mol.s-1", "bar": "100000000 g.m-1.s-2", "m[Hg]": "133322000 g.m-1.s-2",
    "m[H2O]": "9806650 g.m-1.s-2", "cal": "4184 g.m2.s-2", "dyn": "1/100 g.m.s-2", "Ci": "37000000000 Bq",
    "RAD": "1/100 Gy", "REM": "1/100 Sv", "[IU]": "1 [iU]", "lm": "1 cd",
}  # fmt: skip
_PLAIN = {
    "10*": "10", "10^": "10", "%": "1/100", "[ppth]": "1/1000", "[ppm]": "1/1000000", "[ppb]": "1/1000000000",
    "min": "60 s", "h": "3600 s", "d": "86400 s", "wk": "604800 s", "mo": "2629800 s", "mo_j": "2629800 s",
    "a": "31557600 s", "a_j": "31557600 s", "[in_i]": "127/5000 m", "[ft_i]": "381/1250 m",
    "[lb_av]": "45359237/100000 g", "[oz_av]": "45359237/1600000 g", "atm": "101325000 g.m-1.s-2",
    "[HPF]": "1 [HPF]", "[LPF]": "1 [LPF]", "[CFU]": "1 [CFU]", "[PFU]": "1 [PFU]", "deg": "1 deg",
}  # fmt: skip
# Scales with a zero of their own: kelvin = (value + offset) × factor.
_SCALES = {"Cel": (Fraction(1), Fraction(27315, 100)), "[degF]": (Fraction(5, 9), Fraction(45967, 100))}

_TOKEN = re.compile(
    r"(?P<annotation>\{[^{}]*\})|(?P<operator>[./()])"
    r"|(?P<atom>10[*^]|%|(?:[A-Za-z_]|\[[^\[\]\s]*\])+)(?P<power>[+-]?\d{1,2})?|(?P<number>\d{1,9})"
)

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
    if text in _SCALES:
        factor, offset = _SCALES[text]
        return Unit(factor, "K1", offset)
    tokens = _tokens(text)
    try:
        factor, powers = _term(tokens)
    except ValueError:
        return None
    if tokens or not text:
        return None
    return Unit(factor, "".join(f"{name}{powers[name]}" for name in sorted(powers) if powers[name]) or "1")


def _term(tokens: list[re.Match[str]]) -> Measure:
    """Factors joined by `.` and `/`, up to a closing parenthesis or the end; takes them off `tokens` (reversed)."""
    sign = -1 if _takes(tokens, "/") else 1
    factor, powers = _component(tokens, sign)
    while tokens and tokens[-1]["operator"] in (".", "/"):
        sign = -1 if tokens.pop()["operator"] == "/" else 1
        other, more = _component(tokens, sign)
        factor *= other
        for name, power in more.items():
            powers[name] = powers.get(name, 0) + power
    return factor, powers


def _component(tokens: list[re.Match[str]], sign: int) -> Measure:
    """One factor to the power of `sign`. Raises ValueError."""
    if _takes(tokens, "("):
        factor, powers = _term(tokens)
        if not _takes(tokens, ")"):
            raise ValueError("an open parenthesis")
    elif tokens and tokens[-1]["annotation"]:
        # "per {1.73_m2}" is no unit of UCUM's, but what is measured by it is not what is measured without.
        annotation = tokens.pop()["annotation"]
        return Fraction(1), {annotation: -1} if sign < 0 else {}
    elif tokens and not tokens[-1]["operator"]:
        factor, powers = _factor(tokens.pop())
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


def _tokens(text: str) -> list[re.Match[str]]:
    """The tokens of a unit, the first one last; none where something is no token."""
    tokens: list[re.Match[str]] = []
    place = 0
    while place < len(text) <= LONGEST:
        match = _TOKEN.match(text, place)
        if match is None:
            return []
        tokens.append(match)
        place = match.end()
    return tokens[::-1]


def _factor(token: re.Match[str]) -> Measure:
    if token["number"]:
        if not int(token["number"]):
            raise ValueError("nothing is measured in zeros")
        return Fraction(int(token["number"])), {}
    factor, powers = _atom(token["atom"])
    power = int(token["power"] or 1)
    return factor**power, {name: one * power for name, one in powers.items()}


@lru_cache(maxsize=512)
def _atom(name: str) -> Measure:
    if name in _PLAIN or name in _METRIC or name in _BASES:
        return _defined(name)
    for length in (1, 2):
        prefix, rest = name[:length], name[length:]
        if prefix in _PREFIXES and (rest in _METRIC or rest in _BASES):
            factor, powers = _defined(rest)
            return _PREFIXES[prefix] * factor, powers
    raise ValueError("an unknown unit")


def _defined(name: str) -> Measure:
    if name in _BASES:
        return Fraction(1), {name: 1}
    number, _, terms = (_PLAIN.get(name) or _METRIC[name]).partition(" ")
    powers = {}
    for term in terms.split(".") if terms else ():
        match = re.fullmatch(r"(.*?)(-?\d+)?", term)
        assert match is not None
        powers[match[1]] = int(match[2] or 1)
    return Fraction(number), powers
