"""What a profile adds to a type, as rules: cardinality, types, fixed values, patterns, bindings, slices, invariants.

The R4 checks report malformed data, so every rule here bears any value and stays silent about its form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.conformance.records import CORE, Element, TypeRef
from service.conformance.terminology import Terminology
from service.conformance.validator import patterns, references
from service.conformance.validator.bindings import Bindings
from service.conformance.validator.findings import Check, Finding, broken, one, refused
from service.conformance.validator.invariants import Invariants
from service.conformance.validator.occurrences import Occurrences
from service.conformance.validator.paths import Expression, expressible
from service.conformance.validator.shapes import Shape, Shapes, capitalised
from service.conformance.validator.slicing import Discriminators
from service.conformance.validator.trees import Node
from service.conformance.validator.types import Types

# A rule gets the value and the resource around it.
Rule = Callable[[Any, Any], "list[Finding] | None"]
Apply = Callable[[str, Any], "list[Finding] | None"]


class Narrowing:
    """Compiles trees of profiles; `apply` is the check of a resource against a profile by canonical."""

    def __init__(
        self,
        shapes: Shapes,
        terminology: Terminology,
        types: Types,
        bindings: Bindings,
        invariants: Invariants,
        apply: Apply,
    ) -> None:
        self._shapes = shapes
        self._bindings = bindings
        self._types = types
        self._invariants = invariants
        self._apply = apply
        self._occurrences = Occurrences(self.item, Discriminators(shapes, terminology, self._conforms), shapes)

    def of_type(self, code: str, node: Node) -> Rule:
        """The rules of a whole profile of the type."""
        shape = self._shapes.of_type(code)
        if shape is None:
            return _nothing
        return every([*self._constraints(node, code), self.object(node, shape)])

    def object(self, node: Node, shape: Shape) -> Rule:
        """The rules of the children of an object."""
        rules = [self._child(child, shape) for child in _normalised(node, shape)]
        inner = every([rule for rule in rules if rule is not _nothing])
        return inner if inner is _nothing else _of_object(inner)

    def _child(self, node: Node, shape: Shape) -> Rule:
        name = node.name
        element = shape.children.get(name) or shape.children.get(f"{name}[x]")
        if element is None:
            return _nothing
        if element.path.endswith("[x]"):
            return self._occurrences.of_choice(node, element, shape)
        return self._occurrences.of_element(node, element, shape)

    def item(self, node: Node, element: Element, shape: Shape, reference: TypeRef | None) -> Rule:
        """The rules of one value of the element, of the given type."""
        code = reference.code if reference else ""
        below = self._shapes.below(shape, element, reference)
        primitive = bool(code) and self._shapes.is_primitive(code)
        rules = [*_constant(node, code), *self._bound(node, element, code), *_sizes(node)]
        rules += self._typed(element, reference) if reference else []
        if node.children and below is not None and not primitive:
            rules.append(self.object(node, below))
        path = code if below is not None and below.path == code else element.path
        rules += self._constraints(node, path)
        return every(rules)

    def _bound(self, node: Node, element: Element, code: str) -> list[Rule]:
        binding = None if node.binding == element.binding else node.binding
        maximum = "" if node.max_value_set == element.max_value_set else node.max_value_set
        return [_alone(check) for check in self._bindings.checks(binding, maximum, code, element.path)]

    def _typed(self, element: Element, reference: TypeRef) -> list[Rule]:
        """Profiles of the type and targets of a reference, where they are narrower than those of R4."""
        base = next((known for known in element.types if known.code == reference.code), None)
        rules: list[Rule] = []
        if reference.profiles and reference.code != "Extension" and (not base or reference.profiles != base.profiles):
            rules.append(self._profiled(reference))
        if reference.code == "Reference" and reference.targets and (not base or reference.targets != base.targets):
            targets = [self._shapes.definitions.structure(url) for url in reference.targets]
            if all(targets) and CORE + "Resource" not in reference.targets:
                names = {target.type for target in targets if target}
                rules.append(_alone(references.target_check(names, self._shapes.definitions.resource_types)))
        return rules

    def _profiled(self, reference: TypeRef) -> Rule:
        """A value that keeps one of the profiles of its type; the findings of the first are reported."""

        def rule(value: Any, whole: Any) -> list[Finding] | None:
            first: list[Finding] | None = None
            for url in reference.profiles:
                found = self._findings(url, value)
                if not refused(found):
                    return found
                first = first or found
            return first

        return rule

    def _findings(self, url: str, value: Any) -> list[Finding] | None:
        """What a profile says of a resource or of a value of a data type."""
        if isinstance(value, dict) and "resourceType" in value:
            return self._apply(url, value)
        check = self._types.of_profile(url)
        return check(value) if check else None

    def _conforms(self, url: str, value: Any) -> bool:
        structure = self._shapes.definitions.structure(url)
        if structure is None or not isinstance(value, dict):
            return False
        return value.get("resourceType", structure.type) == structure.type and not refused(self._findings(url, value))

    def _constraints(self, node: Node, path: str) -> list[Rule]:
        rules: list[Rule] = []
        for constraint in node.constraints:
            if expressible(constraint.expression):
                expression = Expression(constraint.expression, path)
                rules.append(_invariant(expression, constraint.key, constraint.human, constraint.severity))
            else:
                self._invariants.left_out.add(constraint.key)
        return rules


def _normalised(node: Node, shape: Shape) -> list[Node]:
    """The children; older profiles write `valueQuantity` for today's `value[x]` that is only a Quantity."""
    children = {name: child for name, child in node.children.items() if name not in shape.choices}
    said = {name for name, child in children.items() if child.types or child.slices}
    for name, child in node.children.items():
        if name not in shape.choices:
            continue
        group, reference = shape.choices[name]
        whole = children.setdefault(group, Node(group))
        if group not in said:
            whole.types += (reference,)
        child.types = child.types or (reference,)
        whole.slices[name] = child
    return list(children.values())


def _alone(check: Check) -> Rule:
    return lambda value, whole: check(value)


def _nothing(value: Any, whole: Any) -> list[Finding] | None:
    return None


def every(rules: list[Rule]) -> Rule:
    """One rule of several."""
    kept = [rule for rule in rules if rule is not _nothing]
    if len(kept) <= 1:
        return kept[0] if kept else _nothing

    def check(value: Any, whole: Any) -> list[Finding] | None:
        found: list[Finding] | None = None
        for rule in kept:
            bad = rule(value, whole)
            if bad is not None:
                found = bad if found is None else found + bad
        return found

    return check


def _of_object(rule: Rule) -> Rule:
    return lambda value, whole: rule(value, whole) if type(value) is dict else None


def _constant(node: Node, code: str) -> list[Rule]:
    rules: list[Rule] = []
    if node.fixed is not None and node.fixed[0] == capitalised(code):
        fixed = node.fixed[1]
        text = f"This element is fixed: {patterns.shown(fixed)}"
        rules.append(_unless(lambda value: patterns.equal(fixed, value), "fixed-value", text))
    if node.pattern is not None and node.pattern[0] == capitalised(code):
        pattern = node.pattern[1]
        says = f"This element must hold {patterns.shown(pattern)}"
        rules.append(_unless(lambda value: patterns.matches(pattern, value), "pattern-value", says))
    return rules


def _unless(holds: Callable[[Any], bool], rule: str, text: str, code: str = "value") -> Rule:
    return lambda value, whole: None if holds(value) else one(code, rule, text)


def _sizes(node: Node) -> list[Rule]:
    rules: list[Rule] = []
    most = node.max_length
    if most is not None:
        rules.append(
            _unless(
                lambda value: not isinstance(value, str) or len(value) <= most,
                "string-too-long",
                f"At most {most} characters are allowed here",
                "too-long",
            )
        )
    low, high = node.bounds or (None, None)
    for bound, sign in ((low, 1), (high, -1)):
        if bound is not None:
            word = "least" if sign == 1 else "most"
            rules.append(
                _unless(_within(bound[1], sign), "value-range", f"The value is at {word} {patterns.shown(bound[1])}")
            )
    return rules


def _within(bound: Any, sign: int) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        limit, amount = bound, value
        if isinstance(bound, dict) and isinstance(value, dict):
            if bound.get("code") != value.get("code"):
                return True
            limit, amount = bound.get("value"), value.get("value")
        try:
            return bool((amount - limit) * sign >= 0)
        except (TypeError, ArithmeticError):
            return not (isinstance(amount, str) and isinstance(limit, str)) or (
                amount >= limit if sign == 1 else amount <= limit
            )

    return holds


def _invariant(expression: Expression, key: str, human: str, severity: str) -> Rule:
    def check(value: Any, whole: Any) -> list[Finding] | None:
        verdict = expression.verdict(value, whole if isinstance(whole, dict) else None)
        return None if verdict is True else broken(key, f"{key}: {human}", severity, verdict)

    return check
