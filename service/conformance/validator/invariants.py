"""Invariants of definitions as checks: natively where `NATIVE` has the key, by FHIRPath else.

fhirpathpy costs 0.2 s to import and an expression 0.05 ms to run, so both wait until the first value needs them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.conformance.records import Constraint, Element
from service.conformance.validator.findings import Check, Finding
from service.conformance.validator.native import NATIVE
from service.conformance.validator.paths import Expression, expressible
from service.conformance.validator.shapes import Shape

# Checked by references, narrative, containment, objects and profiles.
ELSEWHERE = frozenset({"ref-1", "txt-1", "txt-2", "dom-2", "dom-3", "dom-4", "dom-5", "ele-1", "ext-1"})
# bdl-7 (fullUrl unique for each version) is left to the bundle reader, which names both entries.
LEFT_OUT = frozenset({"bdl-7"})


class Invariants:
    """The checks of constraints; a rule that neither way can state is left out (`left_out` names them)."""

    def __init__(self) -> None:
        self.left_out: set[str] = set()

    def rules(
        self,
        constraints: Iterable[Constraint],
        shape: Shape,
        element: Element | None = None,
        type_code: str | None = None,
    ) -> list[Check]:
        """A check of the object for each constraint of severity error of a type."""
        checks = []
        for constraint in constraints:
            if constraint.severity != "error" or constraint.key in ELSEWHERE:
                continue
            path = type_code or (element.path if element else shape.path)
            check = None if constraint.key in LEFT_OUT else self.rule(constraint, path)
            if check is None:
                self.left_out.add(constraint.key)
            else:
                checks.append(check)
        return checks

    def rule(self, constraint: Constraint, path: str) -> Check | None:
        """One constraint of an element that has the type or path `path`."""
        key = constraint.key
        holds = NATIVE.get(f"{key}@{path}") or NATIVE.get(key)
        text = f"{key}: {constraint.human}"
        if holds is None:
            if not expressible(constraint.expression):
                return None
            holds = Expression(constraint.expression, path).holds

        def check(value: Any) -> list[Finding] | None:
            if type(value) is not dict or holds(value):
                return None
            return [Finding("invariant", key, text, severity=constraint.severity)]

        return check
