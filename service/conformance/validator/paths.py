"""FHIRPath invariants through fhirpathpy, compiled at their first use.

The library has no `hasValue`, prints what `trace` sees and cannot follow references: see `expressible`.
"""

from __future__ import annotations

import re
from typing import Any

from service.conformance.validator.quick import compile_quick

# What needs a server or a parser of XHTML, and what needs the resource around the element.
_BEYOND = re.compile(r"resolve\(|htmlChecks|memberOf|conformsTo")
_AROUND = re.compile(r"%resource|%rootResource")
_TRACE = re.compile(r"\.trace\('[^']*'(?:,[^()]*)?\)")


def _has_value(inputs: list[Any]) -> list[bool]:
    """One primitive with a value; extensions without a value come as an object."""
    return [len(inputs) == 1 and not isinstance(getattr(inputs[0], "data", inputs[0]), dict)]


_HAS_VALUE = {"hasValue": {"fn": _has_value, "arity": {0: []}}}


def expressible(expression: str) -> bool:
    """Whether the expression can be run."""
    return _BEYOND.search(expression) is None


def looks_around(expression: str) -> bool:
    """Whether the expression needs the resource around the element."""
    return _AROUND.search(expression) is not None


def selected(expression: str, resource: Any) -> list[Any]:
    """What the expression selects in a resource; nothing where it cannot be run."""
    try:
        return list(_compiled(expression, "")(resource, resource))
    except Exception:
        return []


class Expression:
    """One invariant; `path` is the type or element path that it is written for (`Questionnaire.item`)."""

    def __init__(self, expression: str, path: str) -> None:
        self._expression = _TRACE.sub("", expression)
        self._path = path
        self._run: Any = None

    def verdict(self, value: Any, root: dict[str, Any] | None = None) -> bool | None:
        """What the expression gives, None for nothing, which breaks a rule as well; what cannot be run breaks none."""
        if self._run is None:
            self._run = compile_quick(self._expression, self._path) or _compiled(self._expression, self._path)
        try:
            result = self._run(value, root)
        except Exception:
            # Malformed data was reported by the structural checks; the expression may fail on it in any way.
            return True
        return result != [False] if result else None


def _compiled(expression: str, path: str) -> Any:
    from fhirpathpy import compile as compile_path
    from fhirpathpy.engine.nodes import ResourceNode
    from fhirpathpy.models import models

    try:
        run = compile_path(expression, models["r4"], {"userInvocationTable": _HAS_VALUE})
    except Exception:
        return lambda value, root: [True]
    beside = "extension" in expression

    def evaluate(value: Any, root: Any) -> Any:
        value = value if beside else _alone(value)
        around = {"resource": root, "rootResource": root} if root is not None else {}
        # A resource is taken as it is, for its type may stand at the start of a path. Else the node carries the path:
        # `value` finds `valueQuantity` only where the model knows the element.
        is_resource = isinstance(value, dict) and "resourceType" in value
        return run(value if is_resource else ResourceNode.create_node(value, path), around)

    return evaluate


def _alone(value: Any) -> Any:
    """The value without what stands beside a primitive that has a value: the library takes it for a second one."""
    if isinstance(value, list):
        return [_alone(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _alone(part)
        for name, part in value.items()
        if name[:1] != "_" or name[1:] not in value or isinstance(part, list)
    }
