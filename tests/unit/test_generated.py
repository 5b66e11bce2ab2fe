"""Resources made from the definitions: the valid ones pass, and no single change that breaks a rule goes unseen.

`CART_FHIR_SOAK=1` makes a hundred times as many.
"""

from __future__ import annotations

import os
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.fhir.json import decode, encode
from tests.generators.mutations import Mutation, fields, mutations, sites
from tests.generators.profiles import profile_builder_of, profiled
from tests.generators.resources import DENSITIES, builder_of, resources

Resource = dict[str, Any]
TIMES = 100 if os.environ.get("CART_FHIR_SOAK") else 1
UNBOUND = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)
KINDS = {
    "array-lost", "beyond-max", "choice-twice", "code-unknown", "empty-array", "empty-object", "null",
    "object-for-primitive", "primitive-wrong", "required-dropped", "resource-type-unknown", "string-for-object",
    "target-wrong", "unaligned", "unknown-modifier", "unknown-name",
}  # fmt: skip
OWN_KINDS = {"profile-code", "profile-pattern", "profile-required"}


@pytest.fixture(scope="module")
def validator(definitions: Definitions) -> Validator:
    return Validator(definitions)


def errors(validator: Validator, resource: Resource) -> list[tuple[str | None, str | None]]:
    """(expression, rule) of each error."""
    return [(issue.expression, issue.rule) for issue in validator.check(resource) if issue.severity == "error"]


def is_caught(validator: Validator, mutation: Mutation, resource: Resource) -> bool:
    """Whether an error stands at the changed element or above it."""
    places = {expression or "" for expression, _ in errors(validator, mutation.applied(resource))}
    place = mutation.expression
    return any(place == found or place.startswith((f"{found}.", f"{found}[")) for found in places)


def every_resource(definitions: Definitions, seeds: int) -> Any:
    """(type, seed, resource) for each type, sparse and dense by turns."""
    builder = builder_of(definitions)
    for type_ in builder.types:
        for seed in range(seeds):
            yield type_, seed, builder.resource(type_, Random(f"{type_} {seed}"), DENSITIES[seed % len(DENSITIES)])


def test_every_type_is_made_and_valid(definitions: Definitions, validator: Validator) -> None:
    made = Counter()
    for type_, seed, resource in every_resource(definitions, 8 * TIMES):
        assert errors(validator, resource) == [], (type_, seed)
        made[type_] += 1
    assert made.keys() == definitions.resource_types
    assert len(made) > 140


def test_nearly_every_element_is_made(definitions: Definitions) -> None:
    builder = builder_of(definitions)
    made = {
        field.element.path
        for _, _, resource in every_resource(definitions, 40)
        for site in sites(builder, resource)
        for field in fields(site)
    }
    known = {
        element.path
        for type_ in builder.types
        for element in definitions.structure(type_).elements
        if "." in element.path and element.max != "0"
    }
    plain = {path for path in known if not path.endswith((".id", "xtension", ".implicitRules", ".contained"))}
    assert len(plain & made) / len(plain) > 0.95


def test_made_resources_are_lossless_json(definitions: Definitions) -> None:
    for type_, seed, resource in every_resource(definitions, 2 * TIMES):
        assert decode(encode(resource)) == resource, (type_, seed)


@settings(max_examples=100 * TIMES, deadline=None, suppress_health_check=UNBOUND)
@given(data=st.data())
def test_made_is_valid(definitions: Definitions, validator: Validator, data: st.DataObject) -> None:
    type_ = data.draw(st.sampled_from(builder_of(definitions).types))
    assert errors(validator, data.draw(resources(definitions, type_))) == []


@settings(max_examples=100 * TIMES, deadline=None, suppress_health_check=UNBOUND)
@given(data=st.data())
def test_made_and_changed_is_caught(definitions: Definitions, validator: Validator, data: st.DataObject) -> None:
    builder = builder_of(definitions)
    resource = data.draw(resources(definitions, data.draw(st.sampled_from(builder.types))))
    random = Random(data.draw(st.integers(0, 2**32 - 1)))
    mutation = random.choice(mutations(builder, resource, random))
    assert is_caught(validator, mutation, resource), (mutation.kind, mutation.expression)


def test_every_kind_of_change_is_caught(definitions: Definitions, validator: Validator) -> None:
    builder = builder_of(definitions)
    kinds = Counter()
    for type_, seed, resource in every_resource(definitions, 4 * TIMES):
        random = Random(f"change {type_} {seed}")
        possible = mutations(builder, resource, random)
        rare = [one for one in possible if kinds[one.kind] < 20]
        for mutation in [*random.sample(possible, min(4, len(possible))), *random.sample(rare, min(2, len(rare)))]:
            assert is_caught(validator, mutation, resource), (type_, seed, mutation.kind, mutation.expression)
            kinds[mutation.kind] += 1
    assert kinds.keys() == KINDS
    assert min(kinds.values()) >= 5


def test_made_of_our_profiles_is_valid_and_changed_is_caught(definitions: Definitions, validator: Validator) -> None:
    builder, plain = profile_builder_of(definitions), builder_of(definitions)
    kinds = Counter()
    for url in builder.profiles:
        for seed in range(4 * TIMES):
            random = Random(f"{url} {seed}")
            resource = builder.resource(url, random, DENSITIES[seed % len(DENSITIES)])
            assert errors(validator, resource) == [], (url, seed)
            among = random.sample(mutations(plain, resource, random), 4)
            for mutation in (*builder.mutations(url, resource), *among):
                assert is_caught(validator, mutation, resource), (url, seed, mutation.kind, mutation.expression)
                kinds[mutation.kind] += 1
    assert len(builder.profiles) >= 24
    assert kinds.keys() >= OWN_KINDS


@settings(max_examples=30 * TIMES, deadline=None, suppress_health_check=UNBOUND)
@given(data=st.data())
def test_made_of_our_profile_is_valid(definitions: Definitions, validator: Validator, data: st.DataObject) -> None:
    url = data.draw(st.sampled_from(profile_builder_of(definitions).profiles))
    assert errors(validator, data.draw(profiled(definitions, url))) == []
