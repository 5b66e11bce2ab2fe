"""UCUM: which texts are units, what they come to, and what was meant by those that are none."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.conformance.definitions import Definitions
from service.fhir import ucum, ucum_codes
from service.fhir.ucum_units import METRIC, OTHER_METRIC, OTHER_PLAIN, OWN_METRIC, OWN_PLAIN, PLAIN

COMMON = "http://hl7.org/fhir/ValueSet/ucum-common"


def common(definitions: Definitions) -> list[str]:
    """The codes of R4's list of common UCUM units."""
    found = definitions.value_set(COMMON)
    assert found is not None
    return [code for part in found.include for code, _ in part.codes]


def test_every_common_unit_is_a_code(definitions: Definitions) -> None:
    codes = common(definitions)
    assert len(codes) > 1300
    assert {code: ucum_codes.wrong(code) for code in codes if ucum_codes.wrong(code)} == {}


def test_common_units_without_a_canonical_form_are_logarithms_angles_and_pi(definitions: Definitions) -> None:
    without = {code for code in common(definitions) if ucum.parse(code) is None}
    assert without == {*OTHER_METRIC, *OTHER_PLAIN, "dB", "[pi].rad/min"} - {
        "B[10.nV]", "[hp'_X]", "[hp'_C]", "[hp'_M]", "[hp'_Q]", "[m/s2/Hz^(1/2)]",
    }  # fmt: skip


def test_a_dimension_as_it_is_written_is_a_unit_of_that_dimension(definitions: Definitions) -> None:
    for code in common(definitions):
        unit = ucum.parse(code)
        if unit is not None:
            written = ucum.parse(ucum.written(unit.dimension))
            assert written == ucum.Unit(Fraction(1), unit.dimension), code


def test_every_unit_is_defined_by_others() -> None:
    for name in (*METRIC, *PLAIN, *OWN_METRIC, *OWN_PLAIN):
        assert ucum.parse(name) is not None, name
    for name in (*METRIC, *OWN_METRIC):
        unit, thousand = ucum.parse(name), ucum.parse(f"k{name}")
        assert unit is not None
        assert thousand is not None
        assert thousand.factor == 1000 * unit.factor, name


@pytest.mark.parametrize(
    ("code", "factor", "dimension"),
    [
        ("mg/dL", Fraction(10), "g1m-3"),
        ("U/L", Fraction(1, 60_000), "m-3mol1s-1"),
        ("ukat/L", Fraction(1, 1000), "m-3mol1s-1"),
        ("10*6/kg", Fraction(1000), "g-1"),
        ("[lb_av]", Fraction(45_359_237, 100_000), "g1"),
        ("mm[Hg]", Fraction(133_322), "g1m-1s-2"),
        ("g%", Fraction(10_000), "g1m-3"),
        ("mo", Fraction(2_629_800), "s1"),
        ("[smoot]", Fraction(8509, 5000), "m1"),
        ("'", Fraction(1, 60), "deg1"),
        ("KiBy", Fraction(8192), "bit1"),
    ],
)
def test_parse_is_exact(code: str, factor: Fraction, dimension: str) -> None:
    unit = ucum.parse(code)
    assert unit is not None
    assert (unit.factor, unit.dimension) == (factor, dimension)


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("NG/ML", "ng/mL"),
        ("iu/L", "[IU]/L"),
        ("mcg/dL", "ug/dL"),
        ("µg/L", "ug/L"),
        ("mmHg", "mm[Hg]"),
        ("x10^9/L", "10*9/L"),
        ("10*6/Kg", "10*6/kg"),
        ("cells/uL", "{cells}/uL"),
        ("mg / dL", "mg/dL"),
        ("sec", "s"),
        ("mEq/L", "meq/L"),
    ],
)
def test_wrong_says_what_was_meant(code: str, meant: str) -> None:
    text = ucum_codes.wrong(code)
    assert text is not None
    assert text.endswith(f"did you mean {meant}?")
    assert ucum_codes.wrong(meant) is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "empty"),
        ("x" * 300, "more than 255"),
        ("mg dL", "blanks"),
        ("mg/", "a unit is missing"),
        ("(mg", "')' is missing"),
        ("mg)", "')' too many"),
        ("mg{a}{b}", "'.' or '/' is missing"),
        ("{é}/L", "printable ASCII"),
        ("k[degF]", "no unit k[degF]"),
        ("ng/mL,", "from character 6"),
    ],
)
def test_wrong_says_why(code: str, reason: str) -> None:
    assert reason in (ucum_codes.wrong(code) or "")


@pytest.mark.parametrize(
    ("code", "better"),
    [("ng/ml", "ng/mL"), ("l", "L"), ("10*9/l", "10*9/L"), ("mol/l{x}", "mol/L{x}"), ("cal", "cal"), ("no", "no")],
)
def test_preferred_writes_litres_large(code: str, better: str) -> None:
    assert ucum_codes.preferred(code) == better
    if ucum_codes.wrong(code) is None:
        assert ucum.parse(code) == ucum.parse(better)


@given(st.text(max_size=40))
def test_any_text_is_judged_and_what_parses_is_a_code(text: str) -> None:
    reason = ucum_codes.wrong(text)
    if ucum.parse(text) is not None and text.isascii() and text.isprintable():
        assert reason is None or "zeros" not in reason
    meant = ucum_codes.suggestion(text)
    assert meant is None or ucum_codes.wrong(meant) is None


atoms = st.sampled_from(sorted({*METRIC, *PLAIN, *OWN_METRIC, *OWN_PLAIN}))


@given(atoms, atoms, st.integers(-3, 3).filter(bool), st.decimals("-1e6", "1e6", places=3))
def test_product_and_quotient_are_those_of_the_factors(one: str, other: str, power: int, value: Decimal) -> None:
    first, second = ucum.parse(one), ucum.parse(other)
    product = ucum.parse(f"{one}.({other}.{other})/{other}") if len(one + 3 * other) < 50 else None
    powered = ucum.parse(f"{one}{power}") if one not in ("10*", "10^") else None
    assert first is not None
    assert second is not None
    if product is not None:
        assert product.factor == first.factor * second.factor
        assert product.canonical(value) == Fraction(value) * first.factor * second.factor
    if powered is not None:
        assert powered.factor == first.factor**power
