"""Which slice an item of an array belongs to, by the discriminators of its slicing.

Source: https://hl7.org/fhir/R4/profiling.html#discriminator
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from service.conformance.records import CORE, Slicing
from service.conformance.terminology import Terminology
from service.conformance.validator.patterns import equal, matches
from service.conformance.validator.references import type_of
from service.conformance.validator.shapes import Shapes
from service.conformance.validator.trees import Node

Belongs = Callable[[Any], bool]
BY_URL = Slicing((("value", "url"),), "open", False)
_STEP = re.compile(r"extension\('([^']+)'\)|(\w+|\$this)(\([^)]*\))?")


class Discriminators:
    """Makes predicates of slices; `keeps` tells whether a value conforms to the profile of a canonical."""

    def __init__(self, shapes: Shapes, terminology: Terminology, keeps: Callable[[str, Any], bool]) -> None:
        self._shapes = shapes
        self._keeps = keeps
        self._terminology = terminology
        self._resource_types = shapes.definitions.resource_types

    def of(self, slicing: Slicing, node: Node, conforms: Belongs) -> Belongs:
        """The predicate of one slice: every discriminator must say yes.

        `conforms`, whether an item keeps all rules of the slice, is the last resort.
        """
        tests = []
        for kind, path in slicing.discriminators:
            steps = [
                f"extension:{url}" if url else name
                for url, name, arguments in _STEP.findall(path)
                if name not in ("$this", "resolve", "ofType")
            ]
            tests.append(self._test(kind, steps, node) or conforms)
        if not tests:
            return conforms
        return lambda item: all(test(item) for test in tests)

    def _test(self, kind: str, steps: list[str], node: Node) -> Belongs | None:
        if kind == "exists":
            return self._exists(steps, node)
        if kind == "type":
            return self._type(steps, node)
        if kind == "profile":
            return self._profile(steps, node)
        return self._value(steps, node)

    def _value(self, steps: list[str], node: Node) -> Belongs | None:
        """By fixed value, pattern or required binding at the path or above it."""
        here: Node | None = node
        for taken in range(len(steps) + 1):
            if here is None:
                return None
            test = self._constant(here, steps, taken)
            if test is not None:
                return test
            if taken < len(steps):
                here = _step_down(here, steps[taken])
        return None

    def _constant(self, node: Node, steps: list[str], taken: int) -> Belongs | None:
        rest = steps[taken:]
        if node.fixed is not None or node.pattern is not None:
            said = node.fixed or node.pattern
            expected = list(values_at(said[1], rest)) if said else []
            compare = equal if node.fixed is not None else matches
            if not expected:
                return None
            return lambda item: all(
                any(compare(wanted, value) for value in values_at(item, steps)) for wanted in expected
            )
        if rest == ["url"] and node.types and node.types[0].profiles:
            url = node.types[0].profiles[0]
            return lambda item: any(value == url for value in values_at(item, steps))
        if not rest and node.binding and node.binding[0] == "required":
            value_set = node.binding[1]
            return lambda item: any(self._bound(value_set, value) for value in values_at(item, steps))
        return None

    def _bound(self, value_set: str, value: Any) -> bool:
        if isinstance(value, str):
            return self._terminology.contains(value_set, None, value) is True
        codings = value.get("coding", [value]) if isinstance(value, dict) else []
        for coding in codings if isinstance(codings, list) else []:
            system, code = (coding.get("system"), coding.get("code")) if isinstance(coding, dict) else (None, None)
            known = isinstance(system, str) and isinstance(code, str)
            if known and self._terminology.contains(value_set, system, code):
                return True
        return False

    def _exists(self, steps: list[str], node: Node) -> Belongs | None:
        here: Node | None = node
        for step in steps:
            here = _step_down(here, step) if here else None
        if here is None:
            return None
        wanted = here.max != "0"
        return lambda item: any(True for _ in values_at(item, steps)) == wanted

    def _profile(self, steps: list[str], node: Node) -> Belongs | None:
        """By the profiles of the value; those of a reference's target say its type, for it is not read here."""
        here: Node | None = node
        for step in steps:
            here = _step_down(here, step) if here else None
        urls = [url for reference in here.types for url in reference.profiles] if here else []
        if not urls:
            return self._type(steps, node)
        return lambda item: any(self._keeps(url, value) for value in values_at(item, steps) for url in urls)

    def _type(self, steps: list[str], node: Node) -> Belongs | None:
        here: Node | None = node
        for step in steps:
            here = _step_down(here, step) if here else None
        if here is None or not here.types:
            return None
        names = {reference.code for reference in here.types}
        names |= {self._profiled(url) for reference in here.types for url in (*reference.targets, *reference.profiles)}
        return lambda item: (
            any(self._is_of(value, names) for value in values_at(item, steps))
            or (bool(steps) and any(name in names for name in _choice_types(item, steps[-1])))
        )

    def _profiled(self, url: str) -> str:
        structure = self._shapes.definitions.structure(url)
        return structure.type if structure else url.removeprefix(CORE)

    def _is_of(self, value: Any, names: set[str]) -> bool:
        if not isinstance(value, dict):
            return False
        if isinstance(value.get("resourceType"), str):
            return value["resourceType"] in names
        reference, said = value.get("reference"), value.get("type")
        target = type_of(reference, self._resource_types) if isinstance(reference, str) else None
        target = target or said
        return isinstance(target, str) and target in names


def _step_down(node: Node, step: str) -> Node | None:
    if step.startswith("extension:"):
        extension = node.children.get("extension")
        url = step.removeprefix("extension:")
        for part in extension.slices.values() if extension else ():
            if part.types and url in part.types[0].profiles:
                return part
        return None
    return node.children.get(step) or node.children.get(f"{step}[x]")


def _choice_types(item: Any, name: str) -> Iterator[str]:
    for key in item if isinstance(item, dict) else ():
        if key.startswith(name) and key[len(name) : len(name) + 1].isupper():
            yield key[len(name) :]
            yield key[len(name) : len(name) + 1].lower() + key[len(name) + 1 :]


def values_at(item: Any, steps: list[str]) -> Iterator[Any]:
    """The values at a path of element names; arrays are opened, choices are found by their JSON name."""
    if isinstance(item, list):
        for part in item:
            yield from values_at(part, steps)
    elif not steps:
        yield item
    elif isinstance(item, dict):
        name = steps[0]
        if name.startswith("extension:"):
            url = name.removeprefix("extension:")
            extensions = item.get("extension")
            for part in extensions if isinstance(extensions, list) else ():
                if isinstance(part, dict) and part.get("url") == url:
                    yield from values_at(part, steps[1:])
        elif name in item:
            yield from values_at(item[name], steps[1:])
        else:
            for key, value in item.items():
                if key.startswith(name) and key[len(name) : len(name) + 1].isupper():
                    yield from values_at(value, steps[1:])
