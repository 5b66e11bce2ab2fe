"""The three-way merge: what one side changed is taken, what both changed otherwise is a conflict."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from service.sync.echo import dropped
from service.sync.merge import GROWING, changed, element, merge, put

WORDS = some.text("abc", min_size=1, max_size=3)
CODES = some.fixed_dictionaries({"text": WORDS})
VALUES = some.one_of(WORDS, some.booleans(), CODES, some.lists(CODES, min_size=1, max_size=4))
NAMES = ("status", "code", "category", "issued", "note", "component", "performer", "valueQuantity")
RESOURCES = some.dictionaries(some.sampled_from(NAMES), VALUES, max_size=6).map(
    lambda found: {"resourceType": "Observation", "id": "o", **found}
)


def observation(**changes: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "LDH"}, **changes}


@given(RESOURCES, RESOURCES)
def test_what_one_side_changed_is_taken(base: dict[str, Any], side: dict[str, Any]) -> None:
    assert merge(base, side, base).resource == side
    assert merge(base, base, side).resource == side
    assert merge(base, side, side).resource == side
    assert not merge(base, side, side).elements


@given(RESOURCES, RESOURCES, some.sets(some.sampled_from(NAMES)))
def test_changes_of_different_elements_are_both_applied(
    base: dict[str, Any], wanted: dict[str, Any], names: set[str]
) -> None:
    ours, theirs = deepcopy(base), deepcopy(base)
    for name in changed(base, wanted):
        put(ours if name in names else theirs, name, element(wanted, name))
    merged = merge(base, ours, theirs)
    assert merged.resource == wanted
    assert not merged.elements


@given(RESOURCES, RESOURCES, RESOURCES)
def test_sides_may_be_exchanged(base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    one, other = merge(base, ours, theirs), merge(base, theirs, ours)
    assert set(one.elements) == set(other.elements)
    for name in set(NAMES) - GROWING:
        assert element(one.resource, name) == element(other.resource, name)


@given(RESOURCES, RESOURCES, RESOURCES)
def test_nothing_is_invented(base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    merged = merge(base, ours, theirs)
    for name in NAMES:
        value = element(merged.resource, name)[0]
        said = [element(side, name)[0] for side in (base, ours, theirs)]
        if isinstance(value, list):
            said = [item for one in said if isinstance(one, list) for item in one] + said
            assert all(item in said for item in value) or value in said
        else:
            assert value in said
        if f"Observation.{name}" in merged.elements:
            assert value == element(base, name)[0]


@given(RESOURCES, RESOURCES, RESOURCES, some.sampled_from(("ours", "theirs")))
def test_preference_settles_every_conflict(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any], side: str
) -> None:
    open_ = merge(base, ours, theirs)
    settled = merge(base, ours, theirs, prefer=side)
    assert not settled.elements
    for name in NAMES:
        wanted = {"ours": ours, "theirs": theirs}[side] if f"Observation.{name}" in open_.elements else open_.resource
        assert element(settled.resource, name) == element(wanted, name)


def test_value_and_unit_are_one_element() -> None:
    base = observation(valueQuantity={"value": 38, "unit": "Cel"})
    ours = observation(valueQuantity={"value": 39, "unit": "Cel"})
    theirs = observation(valueQuantity={"value": 38, "unit": "[degF]"})
    assert merge(base, ours, theirs).elements == ("Observation.valueQuantity",)


def test_element_and_its_extension_are_one() -> None:
    base, ours, theirs = observation(), observation(status="amended"), observation(_status={"id": "s"})
    assert merge(base, ours, theirs).elements == ("Observation.status",)


def test_items_changed_apart_and_added_go_together() -> None:
    base = observation(component=[{"id": "1"}, {"id": "2"}], note=[{"text": "a"}])
    ours = observation(component=[{"id": "1x"}, {"id": "2"}], note=[{"text": "a"}, {"text": "b"}])
    theirs = observation(component=[{"id": "1"}, {"id": "2"}, {"id": "3"}], note=[{"text": "a"}, {"text": "c"}])
    merged = merge(base, ours, theirs)
    assert not merged.elements
    assert merged.resource["component"] == [{"id": "1x"}, {"id": "2"}, {"id": "3"}]
    assert merged.resource["note"] == [{"text": "a"}, {"text": "b"}, {"text": "c"}]


@pytest.mark.parametrize("theirs", [[{"id": "1"}], [{"id": "1"}, {"id": "2y"}], None])
def test_item_that_was_changed_and_taken_away_is_a_conflict(theirs: list[Any] | None) -> None:
    base = observation(component=[{"id": "1"}, {"id": "2"}])
    ours = observation(component=[{"id": "1"}, {"id": "2x"}])
    other = observation() if theirs is None else observation(component=theirs)
    assert merge(base, ours, other).elements == ("Observation.component",)


def test_both_adding_where_order_counts_is_a_conflict() -> None:
    ours, theirs = observation(component=[{"id": "1"}]), observation(component=[{"id": "2"}])
    assert merge(observation(), ours, theirs).elements == ("Observation.component",)


def test_generated_narrative_of_one_side_is_left_out() -> None:
    text = {"status": "generated", "div": "<div>final</div>"}
    ours = observation(status="amended", text={**text, "div": "<div>amended</div>"})
    theirs = observation(text=text, issued="2026-01-01T00:00:00Z")
    merged = merge(observation(text=text), ours, theirs)
    assert not merged.elements
    assert "text" not in merged.resource
    assert merge(observation(text=text), ours, observation(text=text)).resource == ours


def test_precision_alone_is_no_change() -> None:
    base = observation(valueQuantity={"value": Decimal("1.0")})
    ours = observation(valueQuantity={"value": Decimal("1.00")})
    assert merge(base, ours, base).resource["valueQuantity"]["value"] == Decimal("1")


def test_dropped_elements_are_named_without_values() -> None:
    sent = observation(
        note=[{"text": "a"}],
        valueQuantity={"value": Decimal("1.50"), "unit": "x", "code": "y"},
        component=[{"code": {"text": "a"}}, {"code": {"text": "b"}, "interpretation": [{"text": "H"}]}],
        _issued={"extension": [{"url": "u"}]},
    )
    kept = observation(
        valueQuantity={"value": Decimal("1.5"), "unit": "z"},
        component=[{"code": {"text": "a"}}, {"code": {"text": "b"}}],
        identifier=[{"value": "theirs"}],
    )
    assert dropped(sent, kept) == [
        "Observation.note",
        "Observation.valueQuantity.unit",
        "Observation.valueQuantity.code",
        "Observation.component[1].interpretation",
        "Observation.issued.extension",
    ]
    assert dropped(sent, {**sent, "extension": [{"url": "theirs"}]}) == []
