"""Profiles and extension definitions: what they add to the R4 types, compiled at the first use of each.

Source: https://hl7.org/fhir/R4/profiling.html and https://hl7.org/fhir/R4/defining-extensions.html
"""

from __future__ import annotations

from typing import Any

from service.conformance.records import Structure, canonical
from service.conformance.terminology import Terminology
from service.conformance.validator.bindings import Bindings
from service.conformance.validator.choice import Choice
from service.conformance.validator.contexts import Contexts
from service.conformance.validator.findings import Check, Finding, one, settled, sourced
from service.conformance.validator.invariants import Invariants
from service.conformance.validator.narrowing import Narrowing, Rule
from service.conformance.validator.presence import chosen
from service.conformance.validator.shapes import Shapes
from service.conformance.validator.trees import ancestors, tree
from service.conformance.validator.types import Types


class Profiles:
    """Checks by canonical. A profile that is not known is reported as information, never as an error."""

    def __init__(
        self, shapes: Shapes, terminology: Terminology, types: Types, bindings: Bindings, invariants: Invariants
    ) -> None:
        self._definitions = shapes.definitions
        self._known = frozenset(self._definitions.structures())
        self.choice = Choice(self._definitions)
        self._narrowing = Narrowing(shapes, terminology, types, bindings, invariants, self.apply)
        self._contexts = Contexts(shapes)
        self._compiled: dict[str, tuple[str, Rule, bool] | None] = {}
        self._ready: dict[str, tuple[str, Rule, bool] | None] = {}
        self._lock = types.lock
        self._compiling = 0

    def claimed(self, resource: Check) -> Check:
        """A resource with the profiles that its `meta.profile` claims and those that its code requires."""

        def check(value: Any) -> list[Finding] | None:
            found = resource(value)
            if type(value) is not dict:
                return found
            for url in self.choice.required(value):
                found = (found or []) + (self.apply(url, value) or [])
            meta = value.get("meta")
            if type(meta) is not dict or "profile" not in meta or "resourceType" not in value:
                return found
            claims = meta["profile"]
            for index, url in enumerate(claims if isinstance(claims, list) else ()):
                more = self.apply(url, value, f".meta.profile[{index}]") if isinstance(url, str) else None
                if more is not None:
                    found = (found or []) + more
            return found

        return check

    def apply(self, url: str, value: Any, claim: str | None = None) -> list[Finding] | None:
        """The findings of the profile in a resource; `claim` is where the resource names the profile."""
        compiled = self._profile(canonical(url))
        if compiled is None:
            structure = self._definitions.structure(url)
            if structure is not None:
                return self._of_type(structure, url, value, claim)
            text = "This profile is not known here: the resource was checked without it"
            return [Finding("not-supported", "profile-unknown", text, claim or "", "information")]
        name, rule, _ = compiled
        if type(value) is not dict or value.get("resourceType") != name:
            return sourced(canonical(url), one("structure", "profile-type", f"The profile is for {name}", claim or ""))
        found = rule(value, value)
        found = settled(value, found) or None if found is not None else None
        return found if claim is None else self._other_version(url, claim, found)

    def _other_version(self, url: str, claim: str, found: list[Finding] | None) -> list[Finding] | None:
        """The findings, and a word where the claim is of a version that is not the one that was checked."""
        _, _, wanted = url.partition("|")
        structure = self._definitions.structure(url) if wanted else None
        if structure is None or not structure.version or structure.version == wanted:
            return found
        text = f"Version {structure.version} of this profile is known here and was checked, not the one that is named"
        return (found or []) + [Finding("not-supported", "profile-version", text, claim, "warning")]

    def _of_type(self, structure: Structure, url: str, value: Any, claim: str | None) -> list[Finding] | None:
        """A claim of a type of R4 itself, which says nothing that was not checked but the type."""
        said = value.get("resourceType") if type(value) is dict else None
        if structure.abstract or structure.kind != "resource" or said == structure.type:
            return self._other_version(url, claim, None) if claim is not None else None
        text = f"The profile is for {structure.type}"
        return sourced(structure.url, one("structure", "profile-type", text, claim or ""))

    def of_data_type(self, url: str) -> Check | None:
        """The check of a profile of a data type, e.g. SimpleQuantity; None for R4 types and unknown ones."""
        compiled = self._profile(canonical(url))
        if compiled is None:
            return None
        rule = compiled[1]
        return lambda value: rule(value, value) if type(value) is dict else None

    def extension_rule(self, modifier: bool, around: frozenset[str]) -> Check:
        """Every Extension: ext-1, and its definition where it is known.

        `modifier`: it stands in modifierExtension; `around`: what contexts may call the type that holds it.
        """

        def check(value: Any) -> list[Finding] | None:
            if type(value) is not dict:
                return None
            found: list[Finding] = []
            if ("extension" in value) == chosen(value, "value"):
                text = "ext-1: an extension has either a value or extensions of its own"
                found += sourced(_EXTENSION, one("invariant", "ext-1", text))
            url = value.get("url")
            if isinstance(url, str):
                found += self._defined(url, value, modifier)
                if url in self._known and (misplaced := self._contexts.check(url, around)) is not None:
                    found += misplaced
            return found or None

        return check

    def _defined(self, url: str, value: dict[str, Any], modifier: bool) -> list[Finding]:
        compiled = self._profile(url) if url in self._known else None
        if compiled is None or compiled[0] != "Extension":
            if not modifier:
                return []
            text = "This modifier extension is not known here: it cannot be ignored, so the resource is refused"
            return sourced(_EXTENSION, one("extension", "modifier-extension-unknown", text, ".url"))
        found = compiled[1](value, value) or []
        if compiled[2] != modifier:
            place = "modifierExtension" if compiled[2] else "extension"
            found += sourced(url, one("extension", "extension-place", f"This extension belongs in {place}", ".url"))
        return found

    def _profile(self, url: str) -> tuple[str, Rule, bool] | None:
        """(type, rule, modifier) of a known profile."""
        if url in self._ready:
            return self._ready[url]
        if url not in self._known:
            return None
        with self._lock:
            if url not in self._compiled:
                chain = ancestors(self._definitions, url)
                self._compiled[url] = self._compile(url, chain) if chain else None
            # Within the compilation of a profile that refers to itself it is not yet whole.
            if not self._compiling:
                self._ready[url] = self._compiled[url]
            return self._compiled[url]

    def _compile(self, url: str, chain: list[Any]) -> tuple[str, Rule, bool]:
        root = tree(chain)
        name = chain[-1].type
        # Profiles may refer to themselves (a slice that is an Observation of the same profile).
        cell: list[Rule] = []
        self._compiled[url] = name, lambda value, whole: cell[0](value, whole), root.modifier
        self._compiling += 1
        try:
            rule = self._narrowing.of_type(name, root)
        finally:
            self._compiling -= 1
        version = chain[-1].version
        cell.append(_sourced(rule, f"{url}|{version}" if version else url))
        return name, cell[0], root.modifier


_EXTENSION = "http://hl7.org/fhir/StructureDefinition/Extension|4.0.1"


def _sourced(rule: Rule, source: str) -> Rule:
    def check(value: Any, whole: Any) -> list[Finding] | None:
        found = rule(value, whole)
        return sourced(source, found) if found else None

    return check
