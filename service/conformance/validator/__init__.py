"""Is this resource valid: against R4, and against the profiles that it claims, its code chooses or the caller names.

Every finding of a resource is given at once. Source: https://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from service.conformance.definitions import Definitions
from service.conformance.terminology import Terminology
from service.conformance.validator.bindings import Bindings
from service.conformance.validator.containment import contained_check, standalone_check
from service.conformance.validator.findings import Check, Finding, at, certain
from service.conformance.validator.invariants import Invariants
from service.conformance.validator.profiles import Profiles
from service.conformance.validator.shapes import Shapes
from service.conformance.validator.types import Types
from service.errors import BadRequest, CartFhirError, Issue, Unprocessable

__all__ = ["Validator"]

MAX_ISSUES = 1000


class Validator:
    """Checks resources; what a type or profile needs is compiled at its first use and kept."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self.terminology = Terminology(definitions)
        shapes = Shapes(definitions)
        self._invariants = Invariants()
        bindings = Bindings(self.terminology, definitions)
        self._types = types = Types(shapes, self.terminology, bindings, self._invariants)
        self._profiles = Profiles(shapes, self.terminology, types, bindings, self._invariants)
        resource = self._profiles.claimed(types.resource)
        self._standalone: Check = standalone_check(resource)
        types.standalone = self._standalone
        types.contained = contained_check(resource)
        types.of_profile = self._profiles.of_data_type
        types.extension_rule = self._profiles.extension_rule

    def check(self, resource: Any, profiles: Sequence[str] = (), advice: bool = True) -> list[Issue]:
        """All findings, errors first; `profiles` are applied besides those of `meta.profile`. Never raises.

        `advice`: also, as warnings, what profiles find that a public code chooses.
        """
        try:
            found = self._standalone(resource) or []
            for url in profiles:
                found += self._profiles.apply(url, resource, None) or []
            if advice:
                found = [*self._advice(resource), *found]  # of equal findings the later one, an error, counts
        except RecursionError:
            found = [Finding("structure", "json-too-deep", "The resource nests too deep")]
        if not found:
            return []
        name = resource.get("resourceType") if isinstance(resource, dict) else None
        root = name if isinstance(name, str) and name in self._definitions.resource_types else "Resource"
        unique = {(finding.path, finding.rule, finding.text): finding for finding in certain(at(root, found))}
        issues = sorted(map(_issue, unique.values()), key=lambda issue: issue.severity != "error")
        if len(issues) > MAX_ISSUES:
            text = f"{len(issues) - MAX_ISSUES} more findings are left out"
            issues[MAX_ISSUES:] = [Issue("incomplete", text, root, "findings-cut", "information")]
        return issues

    def require(self, resource: Any, profiles: Sequence[str] = ()) -> None:
        """Raises BadRequest where R4 itself is violated, Unprocessable where only profiles are."""
        errors = self.errors(resource, profiles)
        if errors:
            raise self.refusal(errors)

    def errors(self, resource: Any, profiles: Sequence[str] = ()) -> list[Issue]:
        """The findings for which a resource is refused."""
        found = self.check(resource, profiles, advice=False)
        return [issue for issue in found if issue.severity == "error"] if found else found

    def refusal(self, errors: Sequence[Issue]) -> CartFhirError:
        """BadRequest where an error is against R4 itself, else Unprocessable."""
        return (BadRequest if any(map(self.is_base, errors)) else Unprocessable)(issues=list(errors))

    def _advice(self, resource: Any) -> Iterator[Finding]:
        for url, place, one in self._profiles.choice.advised(resource):
            for finding in at(place, self._profiles.apply(url, one) or []):
                if finding.severity == "error":
                    finding.severity = "warning"
                yield finding

    def is_base(self, issue: Issue) -> bool:
        """Whether the issue is against R4 itself: a rule of a type, not of a profile."""
        structure = self._definitions.structure(issue.source) if issue.source else None
        return structure is None or structure.derivation != "constraint"


def _issue(finding: Finding) -> Issue:
    return Issue(
        finding.code,
        finding.text,
        finding.path,
        finding.rule,
        finding.severity,
        source=finding.source,
    )
