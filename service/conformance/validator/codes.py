"""Required bindings, fixed values and patterns.

Source: https://hl7.org/fhir/R4/terminologies.html#required and
https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_
"""

from __future__ import annotations

from typing import Any

from service.conformance.terminology import Codes, Terminology
from service.conformance.validator.findings import Check, Finding, listed, one

_TEXTUAL = ("code", "string", "uri", "canonical", "url", "id")


def binding(terminology: Terminology, value_set: str, type_code: str, source: str | None = None) -> Check | None:
    """The check that a value of the type is bound to the value set; None where that cannot be known."""
    expansion = terminology.expand(value_set)
    if expansion is None:
        return None
    text = f"Not a code of {value_set}: {_allowed(expansion)}"
    makers = {"Coding": _coding, "CodeableConcept": _concept, "Quantity": _quantity}
    if type_code in _TEXTUAL:
        return _code(frozenset().union(*expansion.values()), text, source)
    maker = makers.get(type_code)
    return maker(expansion, text, source) if maker else None


def _allowed(expansion: Codes) -> str:
    parts = [f"{listed(members)} (of {system})" for system, members in sorted(expansion.items())[:4]]
    return "; ".join(parts)


def _failure(text: str, source: str | None, path: str = "") -> list[Finding]:
    found = one("code-invalid", "binding-required", text, path)
    found[0].source = source
    return found


def _code(allowed: frozenset[str], text: str, source: str | None) -> Check:
    def check(value: Any) -> list[Finding] | None:
        if type(value) is not str or value in allowed or not value.strip():
            return None
        return _failure(text, source)

    return check


def _has(expansion: Codes, coding: Any) -> bool:
    if type(coding) is not dict:
        return False
    system, code = coding.get("system"), coding.get("code")
    return isinstance(system, str) and isinstance(code, str) and code in expansion.get(system, ())


def _coding(expansion: Codes, text: str, source: str | None) -> Check:
    def check(value: Any) -> list[Finding] | None:
        if type(value) is not dict or _has(expansion, value):
            return None
        return _failure(text, source)

    return check


def _concept(expansion: Codes, text: str, source: str | None) -> Check:
    def check(value: Any) -> list[Finding] | None:
        if type(value) is not dict:
            return None
        codings = value.get("coding")
        if isinstance(codings, list):
            for coding in codings:
                if _has(expansion, coding):
                    return None
        return _failure(text, source, ".coding")

    return check


def _quantity(expansion: Codes, text: str, source: str | None) -> Check:
    def check(value: Any) -> list[Finding] | None:
        if type(value) is not dict or "code" not in value or _has(expansion, value):
            return None
        return _failure(text, source, ".code")

    return check


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
