"""Invariants as closures give what fhirpathpy gives, and leave to it what they do not understand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator.dates import certainly_after
from service.conformance.validator.paths import Expression, _compiled, expressible, looks_around, selected
from service.conformance.validator.quick import compile_quick

ABSENT = {"extension": [{"url": "http://x", "valueCode": "unknown"}]}
OBSERVATIONS: list[dict[str, Any]] = [
    {"resourceType": "Observation", "status": "final", "code": {"text": "x"}},
    {"resourceType": "Observation", "status": "amended", "valueQuantity": {"value": Decimal("1.5"), "unit": "mg"}},
    {"resourceType": "Observation", "status": "final", "valueBoolean": False, "bodySite": {"text": "y"}},
    {"resourceType": "Observation", "_status": ABSENT, "dataAbsentReason": {"text": "z"}},
    {
        "resourceType": "Observation",
        "code": {"coding": [{"system": "s", "code": "a"}, {"system": "t", "code": "b"}]},
        "component": [
            {"code": {"text": "c"}, "valueInteger": 3},
            {"code": {"text": "d"}, "valueInteger": 30},
            {"code": {"coding": [{"system": "s", "code": "a"}]}},
        ],
        "subject": {"reference": "Patient/1"},
    },
]
EXPRESSIONS = [
    "value.exists()",
    "value.exists() or dataAbsentReason.exists()",
    "value.empty() and status = 'final'",
    "status = 'final' implies code.exists()",
    "status != 'final'",
    "status.hasValue()",
    "value.exists() xor bodySite.exists()",
    "code.coding.count() > 1",
    "code.coding.where(system = 's').exists()",
    "code.coding.where(system = 's' and code = 'b').exists().not()",
    "code.coding.all(system.exists())",
    "component.exists(code.text = 'c')",
    "component.all(code.text.exists() or code.coding.exists())",
    "component.value.first() >= 3",
    "component.value.first() < 2",
    "component.where(value > 5).count() = 1",
    "subject.reference.startsWith('Patient')",
    "subject.reference.matches('^Patient/[0-9]+$')",
    "code.text.length() = 1",
    "(value.exists() and code.exists()).not()",
    "nothing.exists() implies value.exists()",
    "%resource.status = 'final' or %resource.code.exists()",
    "code.coding.code = 'a'",
]
BEYOND = [
    "value.ofType(Quantity).exists()",
    "(value as Quantity).value > 1",
    "code.coding.code.isDistinct()",
    "status in ('a' | 'b')",
    "onset + 1 > 2",
    "code.coding.select(code) = component.code",
    "value.exists(",
    "iif(value.exists(), true, false)",
    "'a'",
    "status > 'a'",
    "",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_quick_equals_fhirpathpy(expression: str) -> None:
    quick, slow = compile_quick(expression, "Observation"), _compiled(expression, "Observation")
    assert quick is not None
    for observation in OBSERVATIONS:
        assert (quick(observation, observation) == [False]) == (slow(observation, observation) == [False])


def test_quick_has_value_is_false_for_extensions_alone() -> None:
    step = compile_quick("status.hasValue()", "Observation")
    assert step is not None
    assert [step(observation, None) for observation in OBSERVATIONS] == [[True], [True], [True], [False], [False]]


def test_quick_value_with_extension_alone_exists() -> None:
    step = compile_quick("value.exists()", "Observation")
    assert step is not None
    assert step({"_valueString": ABSENT}, None) == [True]


def test_quick_path_may_start_with_the_type() -> None:
    step = compile_quick("Observation.value.exists()", "Observation")
    assert step is not None
    assert [step(observation, None) for observation in OBSERVATIONS] == [[False], [True], [True], [False], [False]]


def test_quick_extensions_of_a_primitive_stand_beside_it() -> None:
    step = compile_quick("unit.extension.where(url = 'http://x').value = 'unknown'", "Quantity")
    assert step is not None
    assert step({"value": 1, "_unit": ABSENT}, None) == [True]
    assert step({"value": 1, "unit": "mg"}, None) == []
    choice = compile_quick("effective.extension.exists()", "Observation")
    assert choice is not None
    assert choice({"_effectiveDateTime": ABSENT}, None) == [True]
    assert choice({"effectivePeriod": {"start": "2020", **ABSENT}}, None) == [True]
    assert choice({"effectivePeriod": {"start": "2020"}}, None) == [False]


@pytest.mark.parametrize("expression", BEYOND)
def test_quick_beyond_is_left_to_fhirpathpy(expression: str) -> None:
    step = compile_quick(expression, "Observation")
    assert step is None or expression == "'a'"


def test_quick_states_most_core_invariants(definitions: Definitions) -> None:
    rules = {
        (constraint.expression, element.path)
        for url in definitions.structures()
        for element in definitions.structure(url).elements
        for constraint in element.constraints
    }
    quick = [rule for rule in rules if compile_quick(*rule) is not None]
    assert len(quick) > 0.65 * len(rules)


def test_expression_that_fails_on_the_data_breaks_no_rule() -> None:
    assert Expression("toInteger() > 'x'", "string").verdict(7) is True
    assert Expression("name.isNoFunction()", "Patient").verdict({}) is True
    boolean = {"resourceType": "Observation", "valueBoolean": False}
    assert Expression("value.ofType(boolean)", "Observation").verdict(boolean) is False


def test_expression_counts_a_value_with_an_id_once() -> None:
    counted = Expression("(subject.count() + issued.count() + value.count()) = 2", "Observation")
    value = {"issued": "2020", "_issued": {"id": "a"}, "valueString": "x", "_valueString": {"id": "b"}}
    assert counted.verdict({"resourceType": "Observation", **value}) is True


def test_expression_that_gives_nothing_is_neither_true_nor_false() -> None:
    assert Expression("value > 1", "Observation").verdict({"resourceType": "Observation"}) is None
    assert Expression("component.first().value.ofType(integer) + 1 > 2", "Observation").verdict(OBSERVATIONS[0]) is None


def test_expressible_needs_no_server() -> None:
    assert not expressible("subject.resolve().exists()")
    assert expressible("%resource.id.exists()")


def test_looks_around_names_the_resource_and_not_the_context() -> None:
    assert looks_around("%resource.id.exists()")
    assert not looks_around("grouping.all(%context.id contains $this)")


def test_selected_gives_values_and_nothing_for_what_cannot_be_run() -> None:
    assert selected("code.coding.where(system = 's')", OBSERVATIONS[4]) == [{"system": "s", "code": "a"}]
    assert selected("this is not FHIRPath ((", OBSERVATIONS[4]) == []


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("2021", "2020", True),
        ("2021", "2021-01", False),
        ("2021-02", "2021-01-31", True),
        ("2021-01-31", "2021-01", False),
        ("2021-01-01T10:00:00+03:00", "2021-01-01T07:00:00Z", False),
        ("2021-01-01T10:00:01+03:00", "2021-01-01T07:00:00Z", True),
        ("2021-01-02T01:00:00+14:00", "2021-01-01", False),
        ("2021-01-05T01:00:00Z", "2021-01-01", True),
        ("2021-01-05T01:00:00Z", "2021", False),
        ("2022-06-05T01:00:00Z", "2021", True),
        ("2021", "2022-06-05T01:00:00Z", False),
        ("2020-12-31T23:59:60Z", "2021-01-01T00:00:00Z", False),
        ("2021-01-01T10:00:00.123456789Z", "2021-01-01T10:00:00Z", True),
        (None, "2020", False),
        ("x", "2020-01-01T00:00:00Z", False),
    ],
)
def test_certainly_after(first: Any, second: Any, expected: bool) -> None:
    assert certainly_after(first, second) is expected
