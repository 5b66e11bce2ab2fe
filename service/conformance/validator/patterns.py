"""Fixed values and patterns: whether a value is, or holds, what a definition says.

Source: https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_
"""

from __future__ import annotations

from typing import Any


def equal(expected: Any, value: Any) -> bool:
    """Equal as JSON: true is not 1; decimals compare by value."""
    if isinstance(expected, bool) or isinstance(value, bool):
        return expected is value
    if isinstance(expected, dict):
        return (
            isinstance(value, dict)
            and expected.keys() == value.keys()
            and all(equal(expected[name], value[name]) for name in expected)
        )
    if isinstance(expected, list):
        return isinstance(value, list) and len(expected) == len(value) and all(map(equal, expected, value))
    return bool(expected == value)


def matches(pattern: Any, value: Any) -> bool:
    """Whether the value holds all that the pattern holds; each item of a list is met by some item of the value."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name in value and matches(expected, value[name]) for name, expected in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(matches(item, other) for other in value) for item in pattern)
    return equal(pattern, value)


def shown(value: Any) -> str:
    """A value of a definition, for a text: codings as code (system), the rest as it is."""
    if isinstance(value, dict):
        if "code" in value:
            return f"{value['code']} ({value.get('system', 'no system')})"
        return "{" + ", ".join(f"{name}: {shown(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return ", ".join(shown(item) for item in value)
    return str(value)
