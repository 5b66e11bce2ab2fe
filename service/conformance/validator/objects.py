"""The closures that walk objects, arrays and the `_name` siblings of primitives.

They are written for the case that all is well: a dictionary look-up and a call for each element. What is wrong is
worked out apart. Source: https://hl7.org/fhir/R4/json.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.conformance.validator.findings import Check, Finding, at, both, nearest, one, place, sourced, wrong_kind
from service.conformance.validator.ids import element_id
from service.conformance.validator.primitives import check_string

ObjectRule = Callable[[dict[str, Any]], "list[Finding] | None"]


@dataclass
class Fields:
    """What an object may hold. `rules` by JSON name; `siblings` by `_name`; `groups` are JSON names → choice.

    `required` names, and `required_choices` as (element, JSON names), must be there; `object_rules` see the whole.
    """

    source: str
    rules: dict[str, Check] = field(default_factory=dict)
    siblings: dict[str, Sibling] = field(default_factory=dict)
    required: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    required_choices: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    object_rules: list[ObjectRule] = field(default_factory=list)
    types_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    suggested: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sibling:
    """How the `_name` object of a primitive looks: `repeats` as the primitive does."""

    repeats: bool
    check: Check


def array_of(item: Check, most: int | None = None) -> Check:
    """An array, not empty, of what `item` checks; at most `most` of them."""

    def check(values: Any) -> list[Finding] | None:
        if type(values) is not list:
            if values is None:
                return wrong_kind(values, "an array")
            return one("structure", "array-expected", "This element repeats: an array is needed, even for one value")
        if not values:
            return one("structure", "array-empty", "An array must not be empty: leave the element out")
        found: list[Finding] | None = None
        for index, value in enumerate(values):
            bad = item(value)
            if bad is not None:
                found = (found or []) + at(f"[{index}]", bad)
        if most is not None and len(values) > most:
            found = (found or []) + one("structure", "cardinality-max", f"At most {most} are allowed here")
        return found

    return check


def object_of(fields: Fields, is_root: bool = False) -> Check:
    """An object with the given fields; `fields` may be filled after this call (types refer to themselves)."""
    rules, source = fields.rules, fields.source
    choice_names: Mapping[str, str] = fields.groups
    object_rules = fields.object_rules
    required_choices = fields.required_choices

    def check(value: Any) -> list[Finding] | None:
        if type(value) is not dict:
            return wrong_kind(value, "an object")
        found: list[Finding] = []
        odd = not value
        choices = 0
        for name, child in value.items():
            rule = rules.get(name)
            if rule is None:
                odd = True
                continue
            bad = rule(child)
            if bad is not None:
                found += at(f".{name}", bad)
            if name in choice_names:
                choices += 1
        if odd or (len(value) == 1 and "id" in value and not is_root):
            found = _odd(fields, value, found, is_root)
        for name in fields.required:
            if name not in value:
                _missing(fields, value, name, found)
        if choices > 1 or (odd and choice_names):
            found += _several_choices(fields, value)
        for element, names in required_choices:
            if names.isdisjoint(value):
                _missing_choice(fields, value, element, names, found)
        for object_rule in object_rules:
            bad = object_rule(value)
            if bad is not None:
                found += bad
        return sourced(source, found) if found else None

    return check


def _odd(fields: Fields, value: dict[str, Any], found: list[Finding], is_root: bool) -> list[Finding]:
    """Empty objects, unknown names and `_name` siblings."""
    if not is_root and not (value.keys() - {"id"}):
        return found + one("structure", "object-empty", "An element must have a value or children besides its id")
    for name, child in value.items():
        if name in fields.rules:
            continue
        sibling = fields.siblings.get(name)
        if sibling is None:
            found += _unknown(fields, name)
        else:
            found = _sibling(sibling, value, name, child, found)
    return found


def _unknown(fields: Fields, name: Any) -> list[Finding]:
    if not isinstance(name, str):
        return one("structure", "element-unknown", "The name of an element is a string")
    for element, types in fields.types_of.items():
        if name.startswith(element) and name[len(element) : len(element) + 1].isupper():
            text = f"{element}[x] takes other types: {', '.join(types)}"
            return one("structure", "choice-type", text, place(name))
    text = "This element does not exist here in R4" + nearest(name, fields.rules, fields.suggested)
    return one("structure", "element-unknown", text, place(name))


def _sibling(sibling: Sibling, value: dict[str, Any], name: str, child: Any, found: list[Finding]) -> list[Finding]:
    primitive = value.get(name[1:])
    if not sibling.repeats:
        return found + at(f".{name}", _beside(sibling, child, primitive))
    if type(child) is not list:
        text = "This element repeats: its extensions are an array, aligned with the values"
        return found + one("structure", "array-expected", text, f".{name}")
    if not child or all(item is None for item in child):
        text = "An array must hold something: leave the element out"
        return found + one("structure", "array-empty", text, f".{name}")
    if primitive is not None and (not isinstance(primitive, list) or len(primitive) != len(child)):
        text = "The array of extensions has as many items as the array of values, null where there is none"
        found = found + one("structure", "array-unaligned", text, f".{name}")
    filled = set()
    for index, item in enumerate(child):
        if item is not None:
            filled.add(f".{name[1:]}[{index}]")
            beside = primitive[index] if isinstance(primitive, list) and index < len(primitive) else None
            found = found + at(f".{name}[{index}]", _beside(sibling, item, beside))
        elif primitive is None:
            text = "null stands for no extension only where there is a value beside it"
            found = found + one("structure", "null-value", text, f".{name}[{index}]")
    # A null among the values is right where the extension at the same index stands for it.
    return [bad for bad in found if not (bad.rule == "null-value" and bad.path in filled)]


def _beside(sibling: Sibling, item: Any, primitive: Any) -> list[Finding]:
    """An id alone is enough beside a value, not in place of one."""
    if isinstance(item, dict) and not (item.keys() - {"id"}) and not (item and primitive is not None):
        return one("structure", "object-empty", "What stands for a value needs an extension")
    return sibling.check(item) or []


def _missing(fields: Fields, value: dict[str, Any], name: str, found: list[Finding]) -> None:
    if f"_{name}" not in value or f"_{name}" not in fields.siblings:
        found += one("required", "element-required", f"{fields.required[name]}.{name} is required", f".{name}")


def _missing_choice(
    fields: Fields, value: dict[str, Any], element: str, names: frozenset[str], found: list[Finding]
) -> None:
    if not any(f"_{name}" in value for name in names):
        text = f"{element}[x] is required: one of {', '.join(sorted(names))}"
        found += one("required", "element-required", text, f".{element}")


def _several_choices(fields: Fields, value: dict[str, Any]) -> list[Finding]:
    seen: dict[str, list[str]] = {}
    for name in value:
        plain = name.removeprefix("_")
        if plain in fields.groups and plain not in seen.setdefault(fields.groups[plain], []):
            seen[fields.groups[plain]].append(plain)
    found: list[Finding] = []
    for element, names in seen.items():
        if len(names) > 1:
            text = f"{element}[x] has one value only, not {' and '.join(sorted(names))} together"
            found += one("structure", "choice-several", text, f".{names[1]}")
    return found


def sibling_object(extension: Check) -> Check:
    """What may stand in `_name`: `id` and `extension`."""
    fields = Fields("")
    fields.rules.update(id=both(check_string, element_id), extension=array_of(extension))
    inner = object_of(fields, is_root=True)

    def check(value: Any) -> list[Finding] | None:
        found = inner(value)
        for finding in found or ():
            finding.source = finding.source or None
            if finding.rule == "element-unknown":
                finding.text = "Only id and extension may stand beside a primitive value"
        return found

    return check
