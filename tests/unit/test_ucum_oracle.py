"""Our UCUM against ucumvert, which reads the same specification by other means: docs/decisions/0005-ucum.md."""

from __future__ import annotations

from fractions import Fraction

import pint
import pytest
from lark import Token
from lark.exceptions import VisitError
from ucumvert import InvalidUcumError, PintUcumRegistry, xml_util

from service.conformance.definitions import Definitions
from service.fhir import ucum, ucum_codes
from service.fhir.ucum_units import METRIC, OTHER_METRIC, OTHER_PLAIN, OWN_METRIC, OWN_PLAIN, PLAIN

COMMON = "http://hl7.org/fhir/ValueSet/ucum-common"
TOLERANCE = 1e-6  # ucumvert counts in doubles
# Where ucumvert leaves UCUM's own table: it takes pint's unit of a like name, of another standard or size.
ELSEWHERE = {
    "time in place of an angle": ("'", "''"),
    "a prefix and another unit": ("[cft_i]", "[cyd_i]"),
    "small calories": ("[Cal]",),
    "pint's chain and link": ("[ch_br]", "[lk_br]", "[rd_br]"),
    "pint's inch, not the British one of UCUM": (
        "[acr_br]", "[ft_br]", "[fth_br]", "[in_br]", "[kn_br]", "[mi_br]", "[nmi_br]", "[pc_br]", "[yd_br]",
    ),
    "pint's mercury, water and heat": (
        "[Btu]", "[in_i'H2O]", "[in_i'Hg]", "[PRU]", "cal_[15]", "cm[Hg]", "m[Hg]", "mm[Hg]",
    ),
    "pint's points": ("[cicero]", "[didot]"),
    "centimetre-gram-second units of another dimension": ("G", "Mx", "g%"),
}  # fmt: skip


@pytest.fixture(scope="module")
def registry() -> PintUcumRegistry:
    return PintUcumRegistry()


@pytest.fixture(scope="module")
def theirs(definitions: Definitions, registry: PintUcumRegistry) -> dict[str, pint.Quantity | None]:
    """R4's common units as ucumvert reads them; None where it refuses one."""
    found = definitions.value_set(COMMON)
    assert found is not None
    read: dict[str, pint.Quantity | None] = {}
    for code in (code for part in found.include for code, _ in part.codes):
        try:
            quantity = registry.from_ucum(code)
        except InvalidUcumError:
            read[code] = None
        except VisitError:
            assert code == "[pH]"
        else:
            # An annotation alone comes back as the parser's own token, and {x}/{y} as a number.
            plain = isinstance(quantity, Token | int | float)
            read[code] = registry.Quantity(1) if plain else quantity
    return read


def test_every_common_unit_has_the_same_size_in_ucumvert(theirs: dict[str, pint.Quantity | None]) -> None:
    """Each against the first of its kind; on the scales with a zero of their own ucumvert takes no ratios."""
    first: dict[str, tuple[ucum.Unit, pint.Quantity]] = {}
    compared, other = 0, set()
    for code, quantity in theirs.items():
        unit = ucum.parse(code)
        if unit is None or quantity is None or unit.dimension == "K1":
            continue
        unit_of_kind, like = first.setdefault(unit.dimension, (unit, quantity))
        compared += 1
        try:
            ratio = quantity.to(like.units).magnitude / like.magnitude
        except pint.DimensionalityError:
            other.add(code)
            continue
        ours = float(unit.factor / unit_of_kind.factor)
        if abs(ratio / ours - 1) > TOLERANCE:
            other.add(code)
    assert compared > 1000
    assert other == {code for codes in ELSEWHERE.values() for code in codes}


def test_only_annotations_with_blanks_are_units_here_and_not_there(theirs: dict[str, pint.Quantity | None]) -> None:
    refused = {code for code, quantity in theirs.items() if quantity is None}
    assert refused == {code for code in theirs if " " in code}
    assert [code for code in theirs if ucum_codes.wrong(code)] == []


@pytest.mark.parametrize(
    "code",
    ["NG/ML", "iu/L", "mcg", "cells/uL", "sec", "mg dL", "m/", "(m", "mg{a}{b}", "{a}mg", "(s)2", "", "k[degF]", "µg"],
)
def test_what_is_no_unit_here_is_none_there(code: str, registry: PintUcumRegistry) -> None:
    assert ucum_codes.wrong(code) is not None
    with pytest.raises(InvalidUcumError):
        registry.from_ucum(code)


def test_every_definition_of_the_specification_is_ours() -> None:
    """The table that ucumvert brings is UCUM's own file: unit by unit, as exact fractions."""
    compared = 0
    for one in xml_util.get_units_with_full_definition():
        code = one.code_cs
        assert ucum_codes.wrong(code) is None, code
        unit = ucum.parse(code)
        if code in {*OWN_METRIC, *OWN_PLAIN, *OTHER_METRIC, *OTHER_PLAIN, *ucum.SCALES}:
            continue
        defining = ucum.parse(one.defining_unit)
        assert unit is not None, code
        if defining is None or code in ("RAD", "REM"):  # pi; and the doses, which are no J/kg here
            assert code in ("'", "gon", "deg", "circ", "RAD", "REM"), code
            continue
        assert unit.factor == Fraction(str(one.conversion_factor)) * defining.factor, code
        assert unit.dimension == defining.dimension, code
        compared += 1
    assert compared > 180
    assert set(xml_util.get_metric_units()) == {*METRIC, *OWN_METRIC, *OTHER_METRIC, "Cel"}
    assert {*PLAIN, *OWN_PLAIN, *OTHER_PLAIN, "[degF]", "[degRe]"} == set(xml_util.get_non_metric_units())
