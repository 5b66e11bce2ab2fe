"""Checks for the R4 types, compiled from their snapshots when first needed.

One closure for each resource type, data type and backbone element; they call each other, so a type that contains
itself (Identifier, Questionnaire.item) is one closure as well.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any

from service.conformance.records import CORE, Element, TypeRef
from service.conformance.terminology import Terminology
from service.conformance.validator import references, wording
from service.conformance.validator.bindings import Bindings
from service.conformance.validator.contexts import names_of
from service.conformance.validator.findings import Check, Finding, both, nearest, one, wrong_kind
from service.conformance.validator.grammars import FORMAT
from service.conformance.validator.ids import element_id
from service.conformance.validator.invariants import Invariants
from service.conformance.validator.objects import Fields, Sibling, array_of, object_of, sibling_object
from service.conformance.validator.primitives import CHECKS
from service.conformance.validator.shapes import ID, Shape, Shapes, capitalised

OfProfile = Callable[[str], "Check | None"]
_QUANTITIES = ("Quantity", "Age", "Count", "Distance", "Duration")


class Types:
    """Checks by type name. `of_profile` gives the check of a profile of a data type, `of_extension` of an extension."""

    def __init__(self, shapes: Shapes, terminology: Terminology, bindings: Bindings, invariants: Invariants) -> None:
        self._shapes = shapes
        self._bindings = bindings
        self._invariants = invariants
        self._resource_types = shapes.definitions.resource_types
        self._compiled: dict[tuple[str, str], Check] = {}
        # What is half compiled must not be run by another thread: only whole types are published in `_ready`.
        self.lock = RLock()
        self._ready: dict[str, Check] = {}
        self._siblings: Sibling | None = None
        self._suggested: dict[str, str] = {}
        self._targets: dict[frozenset[str], Check] = {}
        self._primitives: dict[Any, Check] = {}
        self.of_profile: OfProfile = lambda url: None
        self.extension_rule: Callable[[bool, frozenset[str]], Check] = lambda modifier, around: lambda value: None
        self.standalone: Check = self.resource
        self.contained: Check = self.resource
        quantity = dict.fromkeys(_QUANTITIES, wording.quantity_rule)
        self._worded: dict[str, Check] = {
            **quantity,
            "Reference": references.reference_rule(self._resource_types),
            "Coding": wording.coding_rule(terminology),
            "Attachment": wording.attachment_rule,
            "Bundle.entry": wording.full_url_rule(self._resource_types),
        }

    def resource(self, value: Any) -> list[Finding] | None:
        """A resource of any type by its `resourceType`."""
        if type(value) is not dict:
            return wrong_kind(value, "an object")
        name = value.get("resourceType")
        ready = self._ready.get(name) if type(name) is str else None
        if ready is not None:
            return ready(value)
        if not isinstance(name, str) or not name:
            return one("structure", "resource-type-missing", "resourceType names the type of the resource")
        if name not in self._resource_types:
            text = "This resource type does not exist in R4" + nearest(name, self._resource_types, self._suggested)
            return one("not-supported", "resource-type-unknown", text, ".resourceType")
        with self.lock:
            check = self._ready[name] = self.of_type(name)
        return check(value)

    def of_type(self, code: str) -> Check:
        """The check of a resource, data or primitive type."""
        primitive = CHECKS.get(code)
        if primitive is not None:
            return primitive
        shape = self._shapes.of_type(code)
        if shape is None:
            raise LookupError(f"no R4 type: {code}")
        return self._of_shape(shape)

    def _of_shape(self, shape: Shape) -> Check:
        key = shape.structure.type, shape.path
        if key in self._compiled:
            return self._compiled[key]
        is_root = shape.structure.kind == "resource" and shape.path == shape.structure.type
        fields = Fields(shape.source)
        self._compiled[key] = check = object_of(fields, is_root)
        if is_root:
            fields.rules["resourceType"] = _accept
        for name, element in shape.children.items():
            self._add(fields, shape, name, element)
        if not is_root and "id" in fields.rules:
            fields.rules["id"] = both(fields.rules["id"], element_id)
        root = next(element for element in shape.structure.elements if element.path == shape.path)
        fields.object_rules.extend(self._invariants.rules(root.constraints, shape))
        if shape.path in self._worded:
            fields.object_rules.append(self._worded[shape.path])
        if shape.path in _QUANTITIES:
            bound = self._bindings.checks(root.binding, root.max_value_set, "Quantity")
            # age-1, dis-1 and drt-1 report another system.
            fields.object_rules.extend(map(_of_ucum, bound))
        return check

    def _add(self, fields: Fields, shape: Shape, name: str, element: Element) -> None:
        repeats = element.max not in ("1", "0")
        if name.endswith("[x]"):
            names = {name[:-3] + capitalised(reference.code): reference for reference in element.types}
            fields.groups.update(dict.fromkeys(names, name[:-3]))
            fields.types_of[name[:-3]] = tuple(reference.code for reference in element.types)
            if element.min:
                fields.required_choices.append((name[:-3], frozenset(names)))
            for json_name, reference in names.items():
                self._add_field(fields, json_name, self._item(shape, element, reference), reference, False)
            return
        reference = element.types[0] if element.types else TypeRef("")
        if name == "id" and shape.structure.kind == "resource" and shape.path == shape.structure.type:
            reference = ID
        if element.min:
            fields.required[name] = shape.path
        most = int(element.max) if element.max not in (None, "*", "1", "0") else None
        item = self._item(shape, element, reference)
        self._add_field(fields, name, array_of(item, most) if repeats else item, reference, repeats)

    def _add_field(self, fields: Fields, name: str, rule: Check, reference: TypeRef, repeats: bool) -> None:
        fields.rules[name] = rule
        if reference.code in CHECKS:
            fields.siblings[f"_{name}"] = Sibling(repeats, self._sibling())

    def _item(self, shape: Shape, element: Element, reference: TypeRef) -> Check:
        """One value of the element, of the given type."""
        if element.reference or reference.code in ("BackboneElement", "Element"):
            below = self._shapes.below(shape, element, reference)
            if below is None:
                raise LookupError(f"no definition of {element.path}")
            return self._of_shape(below)
        if reference.code in ("Resource", "DomainResource"):
            return self._contained if element.path.endswith(".contained") else self._standalone
        if reference.code in self._resource_types:
            return self._only(reference.code)
        if reference.code == "Extension":
            is_resource = shape.structure.kind == "resource" and shape.path == shape.structure.type
            return self._extension(element.path.endswith(".modifierExtension"), names_of(shape.path, is_resource))
        check = self._narrowed(element, reference)
        for constraint in self._invariants.rules(element.constraints, shape, element, reference.code):
            check = both(check, constraint)
        return check

    def _narrowed(self, element: Element, reference: TypeRef) -> Check:
        """The type with the binding, target and profile that the element adds."""
        key = reference, element.binding, element.max_value_set, element.path if element.path == FORMAT else ""
        if key in self._primitives:
            return self._primitives[key]
        check = self.of_type(reference.code)
        for bound in self._bindings.checks(element.binding, element.max_value_set, reference.code, element.path):
            check = both(check, bound)
        targets = {url.removeprefix(CORE) for url in reference.targets}
        if reference.code == "Reference" and targets and "Resource" not in targets:
            names = frozenset(targets)
            if names not in self._targets:
                self._targets[names] = references.target_check(names, self._resource_types)
            check = both(check, self._targets[names])
        for url in reference.profiles:
            check = both(check, self._later(url))
        self._primitives[key] = check
        return check

    def _later(self, url: str) -> Check:
        """The check of a profile, looked up at its first use."""
        cell: list[Check | None] = []

        def check(value: Any) -> list[Finding] | None:
            if not cell:
                cell.append(self.of_profile(url))
            found = cell[0](value) if cell[0] is not None else None
            for finding in found or ():
                # R4 itself asks for this profile here, so what is violated is the R4 type around the value.
                finding.source = None
            return found

        return check

    def _extension(self, modifier: bool, around: frozenset[str]) -> Check:
        structure, rule = self.of_type("Extension"), self.extension_rule(modifier, around)
        return both(structure, rule)

    def _sibling(self) -> Check:
        if self._siblings is None:
            cell: list[Check] = []
            self._siblings = Sibling(False, sibling_object(lambda value: cell[0](value)))
            cell.append(self._extension(False, frozenset()))
        return self._siblings.check

    def _only(self, code: str) -> Check:
        """A resource of one type."""

        def check(value: Any) -> list[Finding] | None:
            name = value.get("resourceType") if type(value) is dict else code
            if isinstance(name, str) and name and name != code:
                return one("structure", "resource-type-unknown", f"This element takes {code} only", ".resourceType")
            return self.standalone(value)

        return check

    def _contained(self, value: Any) -> list[Finding] | None:
        return self.contained(value)

    def _standalone(self, value: Any) -> list[Finding] | None:
        return self.standalone(value)


def _of_ucum(check: Check) -> Check:
    return lambda value: check(value) if value.get("system") == wording.UCUM else None


def _accept(value: Any) -> list[Finding] | None:
    return None
