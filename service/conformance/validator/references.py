"""What type a reference points at, by its text alone. Source: https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from service.conformance.validator.findings import Check, Finding, listed, one


def type_of(reference: str, resource_types: Collection[str]) -> str | None:
    """The type in `Patient/7`, `https://…/Patient/7/_history/2` or `Patient?identifier=…`; None: it does not say."""
    path, question, _ = reference.partition("?")
    if path[:1] in ("#", "") or path.startswith("urn:"):
        return None
    parts = path.split("/")
    if question:
        return parts[-1] if parts[-1] in resource_types else None
    if len(parts) >= 4 and parts[-2] == "_history":
        parts = parts[:-2]
    if len(parts) >= 2 and parts[-2] in resource_types:
        return parts[-2]
    return None


def target_check(targets: Collection[str], resource_types: Collection[str], source: str | None = None) -> Check:
    """A Reference that may only point at the types `targets`."""
    allowed = frozenset(targets)
    text = f"This reference may point at {listed(allowed)} only"

    def check(value: Any) -> list[Finding] | None:
        if type(value) is not dict:
            return None
        found: list[Finding] = []
        reference, said = value.get("reference"), value.get("type")
        if isinstance(reference, str):
            target = type_of(reference, resource_types)
            if target is not None and target not in allowed:
                found += one("value", "reference-target", text, ".reference")
        if isinstance(said, str) and said in resource_types and said not in allowed:
            found += one("value", "reference-target", text, ".type")
        for finding in found:
            finding.source = source
        return found or None

    return check


def reference_rule(resource_types: Collection[str]) -> Check:
    """Every Reference: `type` agrees with the text, a relative one names a known type, `#id` is looked up later."""

    def check(value: dict[str, Any]) -> list[Finding] | None:
        reference = value.get("reference")
        if type(reference) is not str:
            return None
        if reference[:1] == "#":
            finding = Finding("invariant", "ref-1", "A local reference names a contained resource by #id", ".reference")
            finding.fragment = reference[1:]
            return [finding]
        target = type_of(reference, resource_types)
        if target is None:
            return _unknown_relative(reference)
        said = value.get("type")
        if isinstance(said, str) and said in resource_types and said != target:
            return one("value", "reference-type", "Reference.type is not the type that the reference names", ".type")
        return None

    return check


def _unknown_relative(reference: str) -> list[Finding] | None:
    head, slash, rest = reference.partition("/")
    if slash and rest and "/" not in rest and ":" not in reference and "?" not in reference and "." not in head:
        text = "A relative reference is Type/id, and this type does not exist in R4"
        return one("value", "reference-type", text, ".reference")
    return None
