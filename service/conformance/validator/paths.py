"""FHIRPath invariants through fhirpathpy, compiled at their first use.

The library has no `hasValue`, prints what `trace` sees and cannot follow references: see `expressible`.
"""

from __future__ import annotations

import re
from typing import Any

from service.conformance.validator.quick import compile_quick

# What the library cannot answer, and what an element without the resource around it cannot.
_BEYOND = re.compile(r"resolve\(|htmlChecks|memberOf|conformsTo")
_AROUND = re.compile(r"%resource|%rootResource|%context|descendants\(")
_TRACE = re.compile(r"\.trace\('[^']*'(?:,[^()]*)?\)")


def _has_value(inputs: list[Any]) -> list[bool]:
    """One primitive with a value; extensions without a value come as an object."""
    return [len(inputs) == 1 and not isinstance(getattr(inputs[0], "data", inputs[0]), dict)]


_HAS_VALUE = {"hasValue": {"fn": _has_value, "arity": {0: []}}}


def expressible(expression: str, alone: bool = True) -> bool:
    """Whether the expression can be run; `alone`: on the element without the resource around it."""
    return _BEYOND.search(expression) is None and not (alone and _AROUND.search(expression))


class Expression:
    """One invariant; `path` is the type or element path that it is written for (`Questionnaire.item`)."""

    def __init__(self, expression: str, path: str) -> None:
        self._expression = _TRACE.sub("", expression)
        self._path = path
        self._run: Any = None

    def holds(self, value: Any, root: dict[str, Any] | None = None) -> bool:
        """False only where the expression gives false: what cannot be evaluated breaks no rule."""
        if self._run is None:
            self._run = compile_quick(self._expression, self._path) or _compiled(self._expression, self._path)
        try:
            result = self._run(value, root)
        except Exception:
            # Malformed data was reported by the structural checks; the expression may fail on it in any way.
            return True
        return result != [False]


def _compiled(expression: str, path: str) -> Any:
    from fhirpathpy import compile as compile_path
    from fhirpathpy.engine.nodes import ResourceNode
    from fhirpathpy.models import models

    try:
        run = compile_path(expression, models["r4"], {"userInvocationTable": _HAS_VALUE})
    except Exception:
        return lambda value, root: []
    # The node carries the path: `value` finds `valueQuantity` only where the model knows the element.
    return lambda value, root: run(
        ResourceNode.create_node(value, path), {"resource": root, "rootResource": root} if root is not None else {}
    )
