"""Where an extension may stand: the `context` of its definition, against the element that holds it.

Most contexts are decided by the type around the extension alone. Where a definition names an element of a resource
(`Patient.birthDate`), another extension or a FHIRPath, the resource decides, when it has been walked.
Source: https://hl7.org/fhir/R4/defining-extensions.html#context
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.conformance.records import CORE
from service.conformance.validator.findings import Finding
from service.conformance.validator.paths import selected
from service.conformance.validator.shapes import Shape, Shapes
from service.fhir.positions import steps

# HL7 writes `Element` for every place, resources too.
_ANYWHERE = frozenset({"Element", "*"})
# Definitions of R4 whose context is narrower than what HL7's own definitions of R4 do with them.
_WIDER = {
    CORE + "structuredefinition-fhir-type": "ElementDefinition.type",
    CORE + "structuredefinition-normative-version": "Element",
    CORE + "regex": "ElementDefinition.type",
    CORE + "valueset-concept-comments": "CodeSystem.concept",
}
_SLICE = re.compile(r":[^.]+")
_NO_DOMAIN = frozenset({"Bundle", "Binary", "Parameters"})


class Contexts:
    """The contexts of extension definitions; `None` stands for everywhere."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._known: dict[str, frozenset[str] | None] = {}

    def check(self, url: str, around: frozenset[str]) -> list[Finding] | None:
        """The finding of an extension in an element whose type has the names `around`; it may stay pending."""
        if url not in self._known:
            self._known[url] = self._named(url)
        named = self._known[url]
        if named is None or not named.isdisjoint(around):
            return None
        structure = self._shapes.definitions.structure(url)
        if structure is None:
            return None
        context = structure.context
        if url in _WIDER:
            context = (*context, ("element", _WIDER[url]))
        places = ", ".join(sorted(expression for _, expression in context))
        finding = Finding("extension", "extension-context", f"This extension may stand in {places} only", ".url")
        finding.source = url
        finding.pending = lambda around, path: not self._fits(context, around.resource, path)
        return [finding]

    def _named(self, url: str) -> frozenset[str] | None:
        structure = self._shapes.definitions.structure(url)
        if structure is None or not structure.context:
            return None
        names = {_element_id(expression) for kind, expression in structure.context if kind == "element"}
        names.add(_WIDER.get(url, ""))
        return None if names & _ANYWHERE else frozenset(names)

    def _fits(self, context: tuple[tuple[str, str], ...], resource: Any, path: str) -> bool:
        """Whether one of the contexts is the element that holds the extension whose url stands at `path`."""
        here = self._root(resource)
        for step in steps("Resource" + path)[:-3]:
            found = _item(self._root, here, step) if isinstance(step, int) else self._child(here, step)
            if found is None:
                return True  # an element that R4 does not have is reported as such
            here = found
        return any(_matches(kind, expression, here) for kind, expression in context)

    def _root(self, resource: dict[str, Any]) -> _Holder:
        code = str(resource.get("resourceType"))
        return _Holder(names_of(code, True), resource, resource, self._shapes.of_type(code))

    def _child(self, here: _Holder, name: str) -> _Holder | None:
        """The child by its JSON name."""
        if here.shape is None:
            return None
        group, reference = here.shape.choices.get(name.removeprefix("_"), (name.removeprefix("_"), None))
        element = here.shape.children.get(group)
        if element is None:
            return None
        reference = reference or (element.types[0] if element.types else None)
        code = reference.code if reference else ""
        value = here.value.get(name) if isinstance(here.value, dict) else None
        if code == "Resource":
            return self._root(value) if isinstance(value, dict) else _Holder(here.names, value, value, None)
        names = {f"{known}.{group.removesuffix('[x]')}" for known in here.names}
        below = self._shapes.below(here.shape, element, reference)
        return _Holder(frozenset(names | {code, element.reference}), value, here.resource, below)


@dataclass(frozen=True, slots=True)
class _Holder:
    """An element on the way down: its ids and types as `names`, its value, the resource around it, its children."""

    names: frozenset[str]
    value: Any
    resource: Any
    shape: Shape | None


def _item(root: Callable[[dict[str, Any]], _Holder], here: _Holder, index: int) -> _Holder:
    items = here.value
    value = items[index] if isinstance(items, list) and index < len(items) else None
    if isinstance(value, dict) and here.shape is None and "resourceType" in value:
        return root(value)
    return _Holder(here.names, value, here.resource, here.shape)


def _matches(kind: str, expression: str, here: _Holder) -> bool:
    if kind == "element":
        return _element_id(expression) in here.names
    if kind == "extension":
        return isinstance(here.value, dict) and here.value.get("url") == expression
    return kind == "fhirpath" and any(item == here.value for item in selected(expression, here.resource))


def _element_id(expression: str) -> str:
    """`Patient.birthDate` of that, of `…/StructureDefinition/x#Patient.birthDate` and of `Observation.value[x]:y`."""
    name = expression.rpartition("#")[2].removeprefix(CORE)
    return _SLICE.sub("", name).replace("[x]", "")


def names_of(code: str, is_resource: bool) -> frozenset[str]:
    """What contexts call a type: a resource is its type and those that it derives from."""
    if not is_resource:
        return frozenset({code})
    return frozenset({code, "Resource"} if code in _NO_DOMAIN else {code, "Resource", "DomainResource"})
