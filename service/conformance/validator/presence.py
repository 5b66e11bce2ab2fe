"""What natively written invariants ask: is an element there, is a concept coded so, do numbers and dates follow.

Everything here bears malformed data, which is reported elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from service.conformance.validator.dates import certainly_after

Object = dict[str, Any]
Holds = Callable[[Object], bool]


def has(value: Object, *names: str) -> bool:
    """Whether one of the elements is there, as value or as extension of a primitive."""
    return any(name in value or f"_{name}" in value for name in names)


def chosen(value: Object, element: str) -> bool:
    """Whether `element[x]` is there in some type."""
    start = len(element)
    return any(
        name.removeprefix("_").startswith(element) and name.removeprefix("_")[start : start + 1].isupper()
        for name in value
    )


def objects(value: Any) -> list[Object]:
    """The objects of an element that repeats; none where it is malformed."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def coded(concept: Any, system: str, *codes: str) -> bool:
    """Whether a CodeableConcept has one of the codes of the system."""
    codings = [coding for part in objects(concept) for coding in objects(part.get("coding"))]
    return any(coding.get("system") == system and coding.get("code") in codes for coding in codings)


def number(value: Any) -> Decimal | int | None:
    """The value if it is a number."""
    return value if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else None


def implies(first: str, *then: str) -> Holds:
    """If `first` is there, one of the others is."""
    return lambda value: not has(value, first) or has(value, *then)


def some(*names: str) -> Holds:
    """At least one of the elements."""
    return lambda value: has(value, *names)


def not_both(first: str, second: str) -> Holds:
    """Not the two together."""
    return lambda value: not (has(value, first) and has(value, second))


def exactly_one(first: str, second: str) -> Holds:
    """One of the two, not both."""
    return lambda value: has(value, first) != has(value, second)


def distinct(values: Iterable[Any]) -> bool:
    """No value stands twice."""
    texts = [value for value in values if isinstance(value, str)]
    return len(texts) == len(set(texts))


def not_negative(name: str) -> Holds:
    """The number is 0 or more."""
    return lambda value: (found := number(value.get(name))) is None or found >= 0


def in_order(start: str, end: str) -> Holds:
    """`start` is not certainly after `end`."""
    return lambda value: not certainly_after(value.get(start), value.get(end))
