"""Conversions are exact, say how they came about, and are refused where they would mislead."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Unprocessable
from service.fhir import ucum_codes
from service.fhir.ucum_conversion import (
    BY_LOINC,
    CRP,
    FERRITIN,
    MolarMass,
    convert,
    decimal,
    dose_by_weight,
    total_dose,
)
from service.settings import shipped


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "mass", "expected"),
    [
        ("252", "U/L", "ukat/L", None, "4.20"),
        ("4.2", "ukat/L", "U/L", None, "252"),
        ("650", "ng/mL", "ug/L", None, "650"),
        ("0.65", "mg/L", "ng/mL", None, "650"),
        ("12.50", "mg/dL", "mg/L", None, "125.0"),
        ("3.0", "mg/L", "mg/dL", None, "0.30"),
        ("445", "ng/mL", "pmol/L", FERRITIN, "1000"),
        ("1000", "pmol/L", "ug/L", FERRITIN, "445.0"),
        ("10.5", "mg/L", "nmol/L", CRP, "100"),
        ("1.05", "mg/dL", "nmol/L", CRP, "100"),
        ("2.5", "10*6/kg", "/kg", None, "2500000"),
        ("2.5", "10*6{CAR-T cells}/kg", "10*8/kg", None, "0.025"),
        ("17.3", "pg/mL", "ng/L", None, "17.3"),
        ("1.5", "10*9/L", "/uL", None, "1500"),
        ("1.5", "10*9/L", "10*3/uL", None, "1.5"),
        ("1500", "{cells}/uL", "10*9/L", None, "1.500"),
        ("37.0", "Cel", "[degF]", None, "98.6"),
        ("1", "[IU]/mL", "k[IU]/L", None, "1"),
    ],
)
def test_convert_is_exact(value: str, from_unit: str, to_unit: str, mass: MolarMass | None, expected: str) -> None:
    found = convert(Decimal(value), from_unit, to_unit, mass)
    assert found.value == Decimal(expected)
    assert found.exact
    assert (found.original, found.from_unit, found.unit) == (Decimal(value), from_unit, to_unit)
    assert Fraction(found.value) == (Fraction(Decimal(value)) + found.offset) * found.factor - found.shift


def test_convert_keeps_the_digits_of_the_value() -> None:
    assert str(convert(Decimal("12.50"), "mg/dL", "mg/L").value) == "125.0"
    assert str(convert(Decimal("5.40"), "10*9/L", "10*3/uL").value) == "5.40"
    assert str(convert(Decimal("5.4"), "10*9/L", "/uL").value) == "5400"


def test_convert_without_an_end_is_rounded_and_says_so() -> None:
    found = convert(Decimal("250"), "U/L", "ukat/L")
    assert (str(found.value), found.exact, found.factor) == ("4.16666666666666667", False, Fraction(1, 60))


def test_convert_by_mass_names_the_analyte_and_the_source() -> None:
    found = convert(Decimal("100"), "ng/mL", "pmol/L", FERRITIN)
    assert round(found.value, 1) == Decimal("224.7")
    assert found.rule == "molar mass of ferritin, 445000 g/mol"
    assert "AMA" in found.source
    assert convert(Decimal("100"), "ng/mL", "ug/L", FERRITIN).rule == "UCUM"


def test_molar_masses_are_those_behind_the_published_factors() -> None:
    # AMA Manual of Style, chapter 17: ferritin ng/mL × 2.247 = pmol/L; C-reactive protein mg/L × 9.524 = nmol/L.
    assert round(convert(Decimal(1), "ng/mL", "pmol/L", BY_LOINC["2276-4"]).value, 3) == Decimal("2.247")
    assert round(convert(Decimal(1), "mg/L", "nmol/L", BY_LOINC["1988-5"]).value, 3) == Decimal("9.524")


@pytest.mark.parametrize(
    ("from_unit", "to_unit", "mass", "code", "text"),
    [
        ("ng/mL", "pmol/L", None, "not-supported", "molar mass"),
        ("ng/mL", "pmol/kg", FERRITIN, "not-supported", "different things"),
        ("[IU]/mL", "ng/mL", FERRITIN, "not-supported", "different things"),
        ("mg", "mL", None, "not-supported", "different things"),
        ("U/L", "[IU]/L", None, "not-supported", "different things"),
        ("mL/min/{1.73_m2}", "mL/min", None, "not-supported", "different things"),
        ("[pH]", "mol/L", None, "not-supported", "logarithm"),
        ("NG/ML", "ug/L", None, "code-invalid", "did you mean ng/mL"),
    ],
)
def test_convert_refuses(from_unit: str, to_unit: str, mass: MolarMass | None, code: str, text: str) -> None:
    with pytest.raises(Unprocessable) as caught:
        convert(Decimal(1), from_unit, to_unit, mass)
    (issue,) = caught.value.issues
    assert issue.code == code
    assert text in issue.text


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e99"])
def test_convert_refuses_what_nobody_measures(value: str) -> None:
    with pytest.raises(Unprocessable):
        convert(Decimal(value), "mg", "g")


def test_total_dose_and_back() -> None:
    total = total_dose(Decimal("2.5"), "10*6/kg", Decimal("70.5"), "kg", "10*6")
    assert (total.value, total.exact, total.rule) == (Decimal("176.25"), True, "times the body weight, 70.5 kg")
    assert total_dose(Decimal("2.5"), "10*6/kg", Decimal("70500"), "g", "10*8").value == Decimal("1.7625")
    assert dose_by_weight(total.value, "10*6", Decimal("70.5"), "kg", "10*6/kg").value == Decimal("2.5")
    for weight, unit in ((Decimal(0), "kg"), (Decimal(1), "m")):
        with pytest.raises(Unprocessable):
            total_dose(Decimal("2.5"), "10*6/kg", weight, unit, "10*6")


def test_units_of_the_mappings_are_codes_that_convert() -> None:
    units = set()
    for path in shipped("mappings").rglob("*.yaml"):
        units |= set(_units(yaml.safe_load(path.read_text("utf-8"))))
    assert {"U/L", "ng/mL", "mg/L", "10*6/kg"} <= units
    for unit in units:
        assert ucum_codes.wrong(unit) is None, unit
        assert convert(Decimal("1.5"), unit, unit).value == Decimal("1.5")


def _units(value: object) -> list[str]:
    """What every `unit:` of a dictionary or of quality rules names."""
    if isinstance(value, list):
        return [unit for one in value for unit in _units(one)]
    if not isinstance(value, dict):
        return []
    named = value.get("unit")
    code = named.get("code") if isinstance(named, dict) else named
    own = [code] if isinstance(code, str) and code != "unknown" else []
    return own + [unit for one in value.values() for unit in _units(one)]


values = st.decimals("-1e12", "1e12", allow_nan=False, allow_infinity=False, places=6)
units = st.sampled_from(["g/L", "mg/dL", "ng/mL", "pg/mL", "ug/uL", "kg/m3", "g%", "[oz_av]/[gal_us]"])


@given(values, units, units, units)
def test_convert_there_and_back_and_by_a_third_unit(value: Decimal, one: str, other: str, third: str) -> None:
    there = convert(value, one, other)
    assert there.factor * convert(value, other, one).factor == 1
    assert there.factor == convert(value, one, third).factor * convert(value, third, other).factor
    if there.exact:
        assert convert(there.value, other, one).value == value


@given(st.fractions(max_denominator=10**6))
def test_decimal_is_exact_or_says_that_it_is_not(value: Fraction) -> None:
    found, exact = decimal(value)
    assert (Fraction(found) == value) is exact
