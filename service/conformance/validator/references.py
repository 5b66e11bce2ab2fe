"""What type a reference points at, by its text alone. Source: https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from service.conformance.validator.findings import Around, Check, Finding, listed, nearest, one

_OTHER_TYPE = "Reference.type is not the type that the reference names"
_WHITE_SPACE = "A literal reference is a URL and has no white space: %20 stands for a blank in a query"


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


def target_check(targets: Collection[str], resource_types: Collection[str]) -> Check:
    """A Reference that may only point at the types `targets`; one to a contained resource stays pending."""
    allowed, known = frozenset(targets), frozenset(resource_types)
    text = f"This reference may point at {listed(allowed)} only"

    def check(value: Any) -> list[Finding] | None:
        if type(value) is not dict:
            return None
        found: list[Finding] = []
        reference, said = value.get("reference"), value.get("type")
        if isinstance(reference, str):
            target = type_of(reference, resource_types)
            if target is None:
                if reference[:1] == "#":
                    found += _local(reference[1:], known - allowed, text)
            elif target not in allowed:
                found += one("value", "reference-target", text, ".reference")
        if isinstance(said, str) and said in resource_types and said not in allowed:
            found += one("value", "reference-target", text, ".type")
        return found or None

    return check


def _local(fragment: str, others: frozenset[str], text: str) -> list[Finding]:
    def broken(around: Around, path: str) -> bool:
        target = around.contained(fragment)
        return target is not None and str(target.get("resourceType")) in others

    finding = Finding("value", "reference-target", text, ".reference")
    finding.pending = broken
    return [finding]


def reference_rule(resource_types: Collection[str]) -> Check:
    """Every Reference: no white space, `type` agrees with the text, a relative one names a known type.

    `#id` is looked up later.
    """

    suggested: dict[str, str] = {}

    def check(value: dict[str, Any]) -> list[Finding] | None:
        reference, said = value.get("reference"), value.get("type")
        if said is not None and type(said) is str and said not in resource_types and said.isalpha():
            text = "Reference.type is a type of resource in R4" + nearest(said, resource_types, suggested)
            return one("value", "reference-type", text, ".type")
        if type(reference) is not str:
            return None
        if reference[:1] == "#":
            return _unresolved(reference[1:], said)
        if (" " in reference or not reference.isprintable()) and reference.split() not in ([], [reference]):
            return one("value", "reference-white-space", _WHITE_SPACE, ".reference")
        target = type_of(reference, resource_types)
        if target is None:
            return _unknown_relative(reference)
        if said is not None and said != target and isinstance(said, str) and said in resource_types:
            return one("value", "reference-type", _OTHER_TYPE, ".type")
        return None

    return check


def _unresolved(fragment: str, said: Any) -> list[Finding]:
    """The findings of a local reference that is to nothing, or to another type than it says."""
    missing = Finding("invariant", "ref-1", "ref-1: a local reference names a contained resource by #id", ".reference")
    missing.pending = lambda around, path: around.contained(fragment) is None
    if not isinstance(said, str):
        return [missing]

    def differs(around: Around, path: str) -> bool:
        target = around.contained(fragment)
        return target is not None and target.get("resourceType") != said

    other = Finding("value", "reference-type", _OTHER_TYPE, ".type")
    other.pending = differs
    return [missing, other]


def _unknown_relative(reference: str) -> list[Finding] | None:
    head, slash, rest = reference.partition("/")
    if slash and rest and "/" not in rest and ":" not in reference and "?" not in reference and "." not in head:
        text = "A relative reference is Type/id, and this type does not exist in R4"
        return one("value", "reference-type", text, ".reference")
    return None
