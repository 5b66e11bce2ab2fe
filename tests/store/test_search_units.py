"""Quantities by what they are, whatever their unit: UCUM units to a canonical one, exactly."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.fhir import json, ucum
from service.fhir.operations import Plan, Update
from service.store.database import Database
from tests.store.asking import found

SAME = [  # value, unit, value, unit: the same quantity
    ("8.9", "mg/dL", "89", "mg/L"),
    ("8.9", "mg/dL", "0.089", "g/L"),
    ("1541", "ng/mL", "1541", "ug/L"),
    ("4.5", "10*3/uL", "4.5", "10*9/L"),
    ("4500", "/uL", "4.5", "10*9/L"),
    ("4500", "{cells}/uL", "4.5", "10*9/L"),
    ("60", "U/L", "1", "ukat/L"),
    ("120", "mm[Hg]", "15.99864", "kPa"),
    ("37", "Cel", "98.6", "[degF]"),
    ("1", "d", "24", "h"),
    ("90", "min", "1.5", "h"),
    ("12", "mo", "1", "a"),
    ("1", "[lb_av]", "453.59237", "g"),
    ("2", "mmol/L", "2000", "umol/L"),
    ("1", "[IU]/mL", "1000", "[iU]/L"),
    ("2", "10*6/kg", "2000000", "/kg"),
    ("5", "mL/min", "0.3", "L/h"),
    ("15", "mg/kg/d", "15", "mg/(kg.d)"),
    ("50", "%", "0.5", "1"),
    ("3", "m2", "30000", "cm2"),
    ("1", "kg.m/s2", "1", "N"),
    ("2", "g/(24.h)", "2", "g/d"),
]


@pytest.mark.parametrize(("value", "unit", "other", "other_unit"), SAME)
def test_unit_has_the_same_canonical_value(value: str, unit: str, other: str, other_unit: str) -> None:
    here, there = ucum.parse(unit), ucum.parse(other_unit)
    assert here is not None
    assert there is not None
    assert here.dimension == there.dimension
    assert here.canonical(Decimal(value)) == there.canonical(Decimal(other))


@pytest.mark.parametrize(
    ("unit", "other"),
    [("mg/dL", "mmol/L"), ("meq/L", "mmol/L"), ("[iU]/L", "U/L"), ("Gy", "Sv"), ("mL/min", "mL/min/{1.73_m2}"),
     ("g", "mol"), ("Bq", "Hz"), ("[HPF]", "1")],
)  # fmt: skip
def test_unit_of_another_kind_is_never_converted(unit: str, other: str) -> None:
    here, there = ucum.parse(unit), ucum.parse(other)
    assert here is not None
    assert there is not None
    assert here.dimension != there.dimension


@pytest.mark.parametrize(
    "unit",
    ["", "foo", "mg//L", "mg..L", "(mg", "mg)", ")", ".", "/", "mg dL", "mCel", "m(", "0", "[pH]", "B[SPL]", "(" * 61,
     "MG/DL/", "mg/", "kkg", "mmin", "{open", "ng/ml²"],
)  # fmt: skip
def test_unit_that_is_unknown_is_not_guessed(unit: str) -> None:
    assert ucum.parse(unit) is None


@given(st.text(alphabet="mgLkd/.(){}[]10*-+'% iU", max_size=24))
def test_any_text_is_a_unit_or_none(text: str) -> None:
    unit = ucum.parse(text)
    assert unit is None or (unit.factor > 0 and unit.dimension)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**6), max_value=10**6))
def test_conversion_is_exact(value: Decimal) -> None:
    gram, milligram = ucum.parse("g/dL"), ucum.parse("mg/L")
    assert gram is not None
    assert milligram is not None
    assert gram.canonical(value) == milligram.canonical(value * 10000) == Fraction(value) * 10000


def test_number_beyond_measure_has_no_canonical_value() -> None:
    unit = ucum.parse("mg")
    assert unit is not None
    with pytest.raises(OverflowError):
        unit.canonical(Decimal("1e999999"))


def crp(id_: str, value: str, code: str | None, **quantity: Any) -> dict[str, Any]:
    coded = {"unit": code, "system": ucum.SYSTEM, "code": code} if code else {}
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "1988-5"}]},
        "valueQuantity": {"value": json.decode(value.encode()), **coded, **quantity},
    }


@pytest.fixture
async def measured(database: Database) -> Database:
    resources = [
        crp("dl", "8.9", "mg/dL"),
        crp("l", "50", "mg/L"),
        crp("mol", "500", "mmol/L"),
        crp("text", "70", None, unit="mg/L"),
        crp("bare", "89", None),
        crp("above", "200", "mg/L", comparator=">"),
        crp("huge", "1e200", "mg/L"),  # no measurement: it has no canonical value
        crp("odd", "5", "furlong"),
    ]
    await database.write(Plan(tuple(Update(resource) for resource in resources)))
    return database


UNITS = [
    (f"value-quantity=gt50|{ucum.SYSTEM}|mg/L", "dl above"),
    ("value-quantity=gt50||mg/L", "dl text above huge"),
    (f"value-quantity=89|{ucum.SYSTEM}|mg/L", "dl"),
    ("value-quantity=89||mg/L", "dl"),
    ("value-quantity=89", "bare"),
    (f"value-quantity=0.089|{ucum.SYSTEM}|g/L", "dl"),
    (f"value-quantity=50.0|{ucum.SYSTEM}|mg/L", "l"),
    (f"value-quantity=lt50|{ucum.SYSTEM}|mg/L", ""),
    (f"value-quantity=le50|{ucum.SYSTEM}|mg/L", "l"),
    (f"value-quantity=ge5|{ucum.SYSTEM}|mg/dL", "dl l above"),
    (f"value-quantity=ap85|{ucum.SYSTEM}|mg/L", "dl"),
    (f"value-quantity=sa60|{ucum.SYSTEM}|mg/L", "dl above"),
    (f"value-quantity=eb60|{ucum.SYSTEM}|mg/L", "l"),
    (f"value-quantity=ne89|{ucum.SYSTEM}|mg/L", "l above"),
    (f"value-quantity=0.5|{ucum.SYSTEM}|mol/L", "mol"),
    (f"value-quantity=5|{ucum.SYSTEM}|furlong", "odd"),
    (f"combo-value-quantity=89|{ucum.SYSTEM}|mg/L", "dl"),
    ("value-quantity:missing=true", ""),
    ("value-quantity=gt1|http://other.example|mg/L", ""),
]


@pytest.mark.parametrize(("text", "expected"), UNITS)
async def test_search_by_quantity_converts_units(measured: Database, text: str, expected: str) -> None:
    assert sorted((await found(measured, "Observation", text)).split()) == sorted(expected.split())
