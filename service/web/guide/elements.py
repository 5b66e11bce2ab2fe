"""The rows of a profile's tables: one for each element, with all that a reader asks of it.

Source: https://hl7.org/fhir/R4/elementdefinition.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from service.conformance.records import CORE
from service.fhir.json import encode
from service.web.guide import links
from service.web.guide.content import BASE, Guide, Resource
from service.web.guide.links import Link

FLAGS = {
    "mustSupport": ("MS", "must be supported"),
    "isModifier": ("?!", "changes the meaning of the rest"),
    "isSummary": ("Σ", "part of the summary"),
}
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"


@dataclass(frozen=True, slots=True)
class Type:
    """An allowed type; `narrowed` are its profiles, or what a reference may point at."""

    link: Link
    narrowed: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One element: `depth` counts from 0; `constant` is (fixed or pattern, the value); `own` says that the profile
    itself speaks of it."""

    id: str
    depth: int
    name: str
    slice: str
    cardinality: str
    flags: tuple[tuple[str, str], ...]
    types: tuple[Type, ...]
    binding: tuple[str, Link] | None
    constant: tuple[str, str] | None
    slicing: str
    short: str
    rules: tuple[str, ...]
    own: bool


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule of an element; `own` is false for those of R4."""

    key: str
    severity: str
    human: str
    expression: str
    element: str
    own: bool


def rows(guide: Guide, structure: Resource) -> list[Row]:
    """Every element of the snapshot."""
    said = {element["id"] for element in structure["differential"]["element"]}
    return [_row(guide, element, element["id"] in said) for element in structure["snapshot"]["element"]]


def changed(all_rows: Iterable[Row]) -> list[Row]:
    """The rows of which the profile speaks, each with those that it stands in."""
    listed = list(all_rows)
    wanted: set[str] = set()
    for row in listed:
        if row.own:
            steps = row.id.split(".")
            wanted |= {".".join(steps[:length]) for length in range(1, len(steps) + 1)}
    return [row for row in listed if row.id in wanted]


def invariants(structure: Resource) -> list[Invariant]:
    """The rules of all elements, ours first."""
    found = [
        Invariant(
            one["key"],
            one["severity"],
            " ".join(one["human"].split()),
            one.get("expression", ""),
            element["id"],
            one.get("source", "").startswith(BASE),
        )
        for element in structure["snapshot"]["element"]
        for one in element.get("constraint", ())
        # These two stand on every element of R4.
        if one["key"] not in ("ele-1", "ext-1")
    ]
    return sorted(found, key=lambda one: not one.own)


def _row(guide: Guide, element: Resource, own: bool) -> Row:
    last = element["id"].rpartition(".")[2]
    name, _, slice_ = last.partition(":")
    constant = _constant(element)
    binding = element.get("binding")
    if binding and constant and binding["strength"] == "example":
        binding = None  # one code is asked for: R4's example of others would mislead
    return Row(
        element["id"],
        element["id"].count("."),
        name,
        slice_,
        f"{element['min']}..{element['max']}",
        tuple(FLAGS[flag] for flag in FLAGS if element.get(flag)),
        tuple(_types(guide, element)),
        (binding["strength"], links.to(guide, binding.get("valueSet", ""))) if binding else None,
        constant,
        _slicing(element.get("slicing")),
        element.get("short", ""),
        tuple(one["key"] for one in element.get("constraint", ()) if one.get("source", "").startswith(BASE)),
        own,
    )


def _types(guide: Guide, element: Resource) -> Iterable[Type]:
    if "contentReference" in element:
        yield Type(Link("as " + element["contentReference"].rpartition("#")[2]))
    for one in element.get("type", ()):
        code = next((x["valueUrl"] for x in one.get("extension", ()) if x["url"] == FHIR_TYPE), one["code"])
        narrowed = (*one.get("targetProfile", ()), *one.get("profile", ()))
        yield Type(links.to_type(code.removeprefix(CORE)), tuple(links.to(guide, url) for url in narrowed))


def _constant(element: Resource) -> tuple[str, str] | None:
    for name, value in element.items():
        for prefix in ("fixed", "pattern"):
            if name.startswith(prefix) and name[len(prefix) :][:1].isupper():
                return prefix, shown(value)
    return None


def shown(value: Any) -> str:
    """A constant in few words: codings as `system|code`."""
    if isinstance(value, dict):
        if "coding" in value:
            return ", ".join(shown(one) for one in value["coding"])
        if "code" in value:
            return f"{value.get('system', '')}|{value['code']}"
        return encode(value).decode()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _slicing(slicing: Resource | None) -> str:
    if slicing is None:
        return ""
    by = ", ".join(f"{one['type']} of {one['path']}" for one in slicing.get("discriminator", ()))
    order = ", in order" if slicing.get("ordered") else ""
    return f"Slices, {slicing['rules']}{order}" + (f", told apart by {by}" if by else "")
