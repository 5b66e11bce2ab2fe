"""One quantity in another unit, exactly, with a trace of what was done.

Mass and amount of substance meet only where the caller names the molar mass; what is measured by an arbitrary unit
([IU]) meets nothing else. Source: https://ucum.org/ucum (section 4, conversion)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from service.errors import Unprocessable
from service.fhir import ucum, ucum_codes

DIGITS = 18  # of a result that has no end; FHIR advises no more (https://hl7.org/fhir/R4/datatypes.html#decimal)
LONGEST_RESULT = 400  # digits of an exact result
_ROUND = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)
UCUM_RULE = "UCUM"
UCUM_SOURCE = f"UCUM {ucum_codes.VERSION}, https://ucum.org/ucum"


@dataclass(frozen=True, slots=True)
class MolarMass:
    """What one mole of an analyte weighs, in g/mol, with where the number comes from."""

    analyte: str
    grams: Decimal
    source: str


FERRITIN = MolarMass(
    "ferritin",
    Decimal("445000"),
    "AMA Manual of Style, 11th ed., chapter 17: ng/mL × 2.247 = pmol/L, which is 1000/445",
)
"""445 kg/mol, the mass behind the factor 2.247 of the AMA (JAMA's instructions give the same).

Apoferritin is of 24 subunits, about 440 to 450 kg/mol; iron is extra and varies. So a result in pmol/L is a convention.
"""

CRP = MolarMass(
    "C-reactive protein",
    Decimal("105000"),
    "AMA Manual of Style, 11th ed., chapter 17: mg/L × 9.524 = nmol/L, which is 1000/105",
)
"""105 kg/mol, the mass behind the factor 9.524 of the AMA (JAMA's instructions give the same).

By its sequence (UniProt P02741, five chains of 23 kg/mol) the pentamer has 115 kg/mol: a result in nmol/L by that mass
would be 9 % lower. What is converted here follows the convention, and says so in its trace.
"""

BY_LOINC: Mapping[str, MolarMass] = {"2276-4": FERRITIN, "1988-5": CRP, "30522-7": CRP}


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted value and how it came about: value = (original + `offset`) × `factor` − `shift`.

    `exact` False: the value has no end and is rounded to 18 digits. `rule` and `source` say what the factor rests on.
    """

    value: Decimal
    unit: str
    original: Decimal
    from_unit: str
    factor: Fraction
    offset: Fraction
    shift: Fraction
    exact: bool
    rule: str
    source: str


def convert(value: Decimal, from_unit: str, to_unit: str, molar_mass: MolarMass | None = None) -> Conversion:
    """The value in `to_unit`. Raises Unprocessable: not a code of UCUM, not convertible, or a mass that is not named.

    `molar_mass` is used where one unit has a mass and the other the amount of substance in its place, else ignored.
    """
    source, target = _unit(from_unit), _unit(to_unit)
    factor, rule, origin = source.factor / target.factor, UCUM_RULE, UCUM_SOURCE
    if source.dimension != target.dimension:
        power = _moles(source.dimension, target.dimension)
        if power is None or molar_mass is None:
            raise _apart(power is not None)
        # g become mol by division by the mass, and mol in a denominator g, whatever else the unit has.
        factor *= (Fraction(molar_mass.grams)) ** power
        rule, origin = f"molar mass of {molar_mass.analyte}, {molar_mass.grams} g/mol", molar_mass.source
    exact = (_fraction(value) + source.offset) * factor - target.offset
    result, whole = decimal(exact)
    if whole and not source.offset:
        result = _as_precise(result, value)
    return Conversion(result, to_unit, value, from_unit, factor, source.offset, target.offset, whole, rule, origin)


def total_dose(per_weight: Decimal, unit: str, weight: Decimal, weight_unit: str, to_unit: str) -> Conversion:
    """A dose by body weight (`10*6/kg`) as a dose in all (`10*6`): times the weight. Raises Unprocessable."""
    return _weighed(per_weight, unit, weight, weight_unit, to_unit, 1)


def dose_by_weight(total: Decimal, unit: str, weight: Decimal, weight_unit: str, to_unit: str) -> Conversion:
    """A dose in all (`10*6`) as a dose by body weight (`10*6/kg`): by the weight. Raises Unprocessable."""
    return _weighed(total, unit, weight, weight_unit, to_unit, -1)


def _weighed(value: Decimal, unit: str, weight: Decimal, weight_unit: str, to_unit: str, power: int) -> Conversion:
    kilograms = convert(weight, weight_unit, "kg")
    if kilograms.value <= 0:
        raise Unprocessable("A body weight is more than nothing", code="value", rule="unit-not-convertible")
    per = convert(value, unit, f"({to_unit})/kg" if power > 0 else f"({to_unit}).kg")
    factor = per.factor * (_fraction(weight) * kilograms.factor) ** power
    result, whole = decimal(_fraction(value) * factor)
    rule = f"{'times' if power > 0 else 'by'} the body weight, {weight} {weight_unit}"
    return Conversion(result, to_unit, value, unit, factor, Fraction(0), Fraction(0), whole, rule, UCUM_SOURCE)


def decimal(value: Fraction) -> tuple[Decimal, bool]:
    """The fraction as a decimal, and whether it is exact: without an end it is rounded to 18 digits."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    places = max(twos, fives)
    digits = value.numerator * 10**places // value.denominator if rest == 1 else 0
    if rest == 1 and len(str(abs(digits))) <= LONGEST_RESULT:
        return Decimal((int(digits < 0), tuple(map(int, str(abs(digits)))), -places)), True
    return _ROUND.divide(Decimal(value.numerator), Decimal(value.denominator)), False


def _as_precise(result: Decimal, value: Decimal) -> Decimal:
    """The result with as many digits as the value has: 12.50 mg/dL is 125.0 mg/L."""
    digits, more = result.as_tuple().digits, len(value.as_tuple().digits) - len(result.as_tuple().digits)
    if more <= 0 or not result:
        return result
    sign, _, exponent = result.as_tuple()
    assert isinstance(exponent, int)
    return Decimal((sign, (*digits, *([0] * more)), exponent - more))


def _unit(code: str) -> ucum.Unit:
    reason = ucum_codes.wrong(code)
    if reason is not None:
        raise Unprocessable(f"The unit is {reason}", code="code-invalid", rule="ucum-code")
    unit = ucum.parse(code)
    if unit is None:
        text = "The unit is a logarithm, a ratio of angles, has pi in it or is very long: nothing is converted from it"
        raise Unprocessable(text, code="not-supported", rule="unit-not-convertible")
    return unit


def _fraction(value: Decimal) -> Fraction:
    if not value.is_finite() or len(value.as_tuple().digits) > ucum.WIDEST or abs(value.adjusted()) > ucum.WIDEST:
        raise Unprocessable("The value is beyond any measurement", code="value", rule="unit-not-convertible")
    return Fraction(value)


def _moles(source: str, target: str) -> int | None:
    """The power of the molar mass between two dimensions that differ by g against mol alone; None for others."""
    from_powers, to_powers = ucum.powers_of(source), ucum.powers_of(target)
    gained = {
        name: power
        for name in from_powers.keys() | to_powers.keys()
        if (power := to_powers.get(name, 0) - from_powers.get(name, 0))
    }
    grams, moles = gained.pop("g", 0), gained.pop("mol", 0)
    return grams if not gained and grams and grams == -moles else None


def _apart(by_mass: bool) -> Unprocessable:
    if by_mass:
        text = "Mass and amount of substance are converted only with the molar mass of the analyte, and none is stated"
    else:
        text = "The units measure different things: nothing is converted between them"
    return Unprocessable(text, code="not-supported", rule="unit-not-convertible")
