"""Invariants of definitions as checks: natively where `NATIVE` has the key, by FHIRPath else.

fhirpathpy costs 0.2 s to import and an expression 0.05 ms to run, so both wait until the first value needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from service.conformance.records import Constraint, Element
from service.conformance.validator.findings import Around, Check, Finding, broken
from service.conformance.validator.native import AROUND, NATIVE
from service.conformance.validator.paths import Expression, expressible, looks_around
from service.conformance.validator.shapes import Shape

# Checked while a resource is walked: by references, narrative, containment, objects and profiles.
ELSEWHERE = frozenset({"ref-1", "txt-1", "txt-2", "dom-2", "dom-3", "dom-4", "dom-5", "ele-1", "ext-1"})


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
        """A check of the value for each constraint of a type."""
        is_resource = element is None and shape.structure.kind == "resource" and shape.path == shape.structure.type
        path = type_code or (element.path if element else shape.path)
        checks = []
        for constraint in constraints:
            if constraint.key in ELSEWHERE:
                continue
            check = self.rule(constraint, path, is_resource)
            if check is None:
                self.left_out.add(constraint.key)
            else:
                checks.append(check)
        return checks

    def rule(self, constraint: Constraint, path: str, is_resource: bool = False) -> Check | None:
        """One constraint of an element that has the type or path `path`."""
        key = constraint.key
        text, severity = f"{key}: {constraint.human}", constraint.severity
        native = NATIVE.get(f"{key}@{path}") or NATIVE.get(key)
        if native is not None:
            return _of_object(native, key, text, severity)
        if key in AROUND:
            native_around = AROUND[key]
            return _later(lambda value, around, path: native_around(value, around), key, text, severity)
        if not expressible(constraint.expression):
            return None
        expression = Expression(constraint.expression, path)
        if not looks_around(constraint.expression):
            return _of_value(expression, key, text, severity)
        if is_resource:
            return _of_resource(expression, key, text, severity)

        def verdict(value: Any, around: Around, path: str) -> bool | None:
            return expression.verdict(value, _resource(around.resource, path))

        return _later(verdict, key, text, severity)


def _of_object(holds: Callable[[dict[str, Any]], bool], key: str, text: str, severity: str) -> Check:
    def check(value: Any) -> list[Finding] | None:
        if type(value) is not dict or holds(value):
            return None
        return [Finding("invariant", key, text, severity=severity)]

    return check


def _of_value(expression: Expression, key: str, text: str, severity: str) -> Check:
    def check(value: Any) -> list[Finding] | None:
        verdict = expression.verdict(value)
        return None if verdict is True else broken(key, text, severity, verdict)

    return check


def _of_resource(expression: Expression, key: str, text: str, severity: str) -> Check:
    def check(value: Any) -> list[Finding] | None:
        verdict = expression.verdict(value, value) if type(value) is dict else True
        return None if verdict is True else broken(key, text, severity, verdict)

    return check


def _later(verdict: Callable[[Any, Around, str], bool | None], key: str, text: str, severity: str) -> Check:
    """The rule asks what is around the element: it is answered when the resource has been walked."""

    def check(value: Any) -> list[Finding] | None:
        if type(value) is not dict:
            return None
        finding = Finding("invariant", key, text, severity=severity)

        def is_broken(around: Around, path: str) -> bool:
            found = verdict(value, around, path)
            finding.vague = found is None
            return found is False or (found is None and severity == "error")

        finding.pending = is_broken
        return [finding]

    return check


def _resource(resource: Any, path: str) -> Any:
    """`%resource` of a place: the contained resource that it stands in, else the whole."""
    contained = resource.get("contained") if isinstance(resource, dict) else None
    if path.startswith(".contained[") and isinstance(contained, list):
        return contained[int(path[len(".contained[") :].partition("]")[0])]
    return resource
