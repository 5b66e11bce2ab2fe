"""What the service keeps of a definition: compact values instead of the full conformance resources.

`of(resource)` reduces one decoded JSON resource. A StructureDefinition of a type keeps its snapshot; a profile keeps
its differential, because a profile only ever narrows what its base allows: the resource is checked against the base
and then against each differential. Source: https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

CORE = "http://hl7.org/fhir/StructureDefinition/"
MAX_VALUE_SET = CORE + "elementdefinition-maxValueSet"
# Checked natively on every element or resource: no need to carry thousands of copies.
NATIVE_EVERYWHERE = frozenset({"ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "dom-6"})


class TypeRef(msgspec.Struct, array_like=True, frozen=True):
    """One allowed type; `profiles` narrow the type itself, `targets` what a reference may point at."""

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


class Constraint(msgspec.Struct, array_like=True, frozen=True):
    """One invariant: FHIRPath `expression`, `human` text, severity `error` or `warning`."""

    key: str
    severity: str
    human: str
    expression: str
    source: str = ""


class Slicing(msgspec.Struct, array_like=True, frozen=True):
    """How slices are told apart: `discriminators` are (type, path)."""

    discriminators: tuple[tuple[str, str], ...]
    rules: str
    ordered: bool


class Element(msgspec.Struct, array_like=True, frozen=True):
    """One ElementDefinition. `fixed` and `pattern` hold (type, value) or nothing; `binding` (strength, value set).

    `max_value_set` is what codes must come from though the binding itself is not required.
    """

    id: str
    path: str
    min: int | None = None
    max: str | None = None
    types: tuple[TypeRef, ...] = ()
    reference: str = ""
    binding: tuple[str, str] | None = None
    fixed: tuple[str, Any] | None = None
    pattern: tuple[str, Any] | None = None
    constraints: tuple[Constraint, ...] = ()
    slicing: Slicing | None = None
    slice: str = ""
    max_length: int | None = None
    bounds: tuple[Any, Any] | None = None
    modifier: bool = False
    summary: bool = False
    max_value_set: str = ""


class Structure(msgspec.Struct, array_like=True, frozen=True):
    """A type (snapshot) or a profile (differential).

    `context` are the places where an extension may stand, `focus` the codes (system, code) that choose the profile.
    """

    url: str
    version: str
    name: str
    kind: str
    type: str
    base: str
    derivation: str
    abstract: bool
    elements: tuple[Element, ...]
    context: tuple[tuple[str, str], ...] = ()
    focus: tuple[tuple[str, str], ...] = ()


def canonical(url: str) -> str:
    """The canonical without its version and fragment."""
    return url.partition("|")[0].partition("#")[0]


def structure(source: dict[str, Any]) -> Structure:
    """The record of a StructureDefinition."""
    profile = source.get("derivation") == "constraint"
    view = source.get("differential" if profile else "snapshot") or {}
    context = tuple((c.get("type", ""), c.get("expression", "")) for c in source.get("context", ()))
    return Structure(
        source["url"],
        source.get("version", ""),
        source.get("name", ""),
        source["kind"],
        source["type"],
        source.get("baseDefinition", ""),
        source.get("derivation", "specialization"),
        source.get("abstract", False),
        tuple(_element(element) for element in view.get("element", ())),
        context,
        tuple(_focus(source)),
    )


def _focus(source: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for use in source.get("useContext", ()):
        if use.get("code", {}).get("code") == "focus":
            for coding in use.get("valueCodeableConcept", {}).get("coding", ()):
                yield coding.get("system", ""), coding.get("code", "")


def _element(source: dict[str, Any]) -> Element:
    binding = source.get("binding")
    slicing = source.get("slicing")
    bounds = (_choice(source, "minValue"), _choice(source, "maxValue"))
    return Element(
        source.get("id", source["path"]),
        source["path"],
        source.get("min"),
        source.get("max"),
        tuple(_type(reference) for reference in source.get("type", ())),
        source.get("contentReference", "").rpartition("#")[2],
        (binding["strength"], canonical(binding.get("valueSet", ""))) if binding else None,
        _choice(source, "fixed"),
        _choice(source, "pattern"),
        tuple(_constraint(c) for c in source.get("constraint", ()) if _kept(c)),
        _slicing(slicing) if slicing else None,
        source.get("sliceName", ""),
        source.get("maxLength"),
        bounds if bounds != (None, None) else None,
        source.get("isModifier", False),
        source.get("isSummary", False),
        _max_value_set(binding) if binding else "",
    )


def _max_value_set(binding: dict[str, Any]) -> str:
    for extension in binding.get("extension", ()):
        if extension.get("url") == MAX_VALUE_SET:
            return canonical(extension.get("valueCanonical") or extension.get("valueUri") or "")
    return ""


def _choice(source: dict[str, Any], prefix: str) -> tuple[str, Any] | None:
    for name, value in source.items():
        if name.startswith(prefix) and name[len(prefix) :][:1].isupper():
            return name[len(prefix) :], value
    return None


def _type(source: dict[str, Any]) -> TypeRef:
    code = source.get("code", "")
    if "://hl7.org/fhirpath/" in code:
        # `id` and `url` attributes, and the value of a primitive: the FHIR type stands in an extension.
        real = [x.get("valueUrl") for x in source.get("extension", ()) if x.get("url", "").endswith("fhir-type")]
        code = real[0] if real and real[0] else code.rpartition(".")[2].lower()
    return TypeRef(
        code.removeprefix(CORE),
        tuple(canonical(url) for url in source.get("profile", ())),
        tuple(canonical(url) for url in source.get("targetProfile", ())),
    )


def _kept(source: dict[str, Any]) -> bool:
    return source["key"] not in NATIVE_EVERYWHERE and bool(source.get("expression"))


def _constraint(source: dict[str, Any]) -> Constraint:
    text = re.sub(r"\s+", " ", source.get("human", ""))
    return Constraint(source["key"], source["severity"], text, source["expression"], source.get("source", ""))


def _slicing(source: dict[str, Any]) -> Slicing:
    discriminators = tuple((d["type"], d["path"]) for d in source.get("discriminator", ()))
    return Slicing(discriminators, source.get("rules", "open"), source.get("ordered", False))
