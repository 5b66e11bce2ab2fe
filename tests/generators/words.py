"""Words of which the repairs of values are made: what is there, what goes, what comes, and when."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

Object = dict[str, Any]
Rule = Callable[[Object, Random], None]


def has(value: Object, *names: str) -> bool:
    """Whether one of the elements is there."""
    return any(name in value or f"_{name}" in value for name in names)


def drop(value: Object, *names: str) -> None:
    """Without the elements and what stands beside them."""
    for name in names:
        value.pop(name, None)
        value.pop(f"_{name}", None)


def put(value: Object, /, **elements: Any) -> None:
    """With the elements, and nothing beside them."""
    drop(value, *elements)
    value.update(elements)


def choice(value: Object, element: str) -> list[str]:
    """The JSON names of a choice that are there."""
    plain = [name.removeprefix("_") for name in value]
    return [name for name in plain if name.startswith(element) and name[len(element) : len(element) + 1].isupper()]


def only(*names: str) -> Rule:
    """Only these elements, and what stands around every one."""
    kept = {"id", "extension", *names}
    return lambda value, random: drop(value, *[name for name in value if name.removeprefix("_") not in kept])


def needs(first: str, **then: Any) -> Rule:
    """If the first is there, the others are."""

    def rule(value: Object, random: Random) -> None:
        if has(value, first):
            put(value, **{name: part for name, part in then.items() if not has(value, name)})

    return rule


def some(*names: str, **default: Any) -> Rule:
    """One of the elements."""
    return lambda value, random: None if has(value, *names, *default) else put(value, **default)


def one_of(*names: str, **default: Any) -> Rule:
    """Exactly one of the elements."""

    def rule(value: Object, random: Random) -> None:
        there = [name for name in (*default, *names) if has(value, name)]
        if len(there) != 1:
            drop(value, *names)
            put(value, **{name: part for name, part in default.items() if not has(value, name)})

    return rule


def without(*names: str) -> Rule:
    """None of the elements."""
    return lambda value, random: drop(value, *names)


def always(**elements: Any) -> Rule:
    """These elements as they stand here."""
    return lambda value, random: put(value, **elements)


def of_choice(element: str, needed: str, part: Any) -> Rule:
    """If a choice is there, the other element is."""
    return lambda value, random: (
        put(value, **{needed: part}) if choice(value, element) and not has(value, needed) else None
    )


def not_both(first: str, second: str) -> Rule:
    """At most one of the two."""

    def rule(value: Object, random: Random) -> None:
        if has(value, first) and has(value, second):
            drop(value, random.choice((first, second)))

    return rule


def every(*rules: Rule) -> Rule:
    """One rule of several, in their order."""

    def rule(value: Object, random: Random) -> None:
        for part in rules:
            part(value, random)

    return rule
