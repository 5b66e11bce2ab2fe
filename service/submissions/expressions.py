"""FHIRPath of forms through fhirpathpy, each text compiled once.

Environment variables are lists of resources as plain objects: to them `is` and `ofType` on a resource are blind, so
expressions ask for an element that only the wanted type has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from service.fhir.operations import Resource

Environment = Mapping[str, Any]
Evaluate = Callable[[Resource | None, Environment], list[Any]]


@cache
def compiled(text: str) -> Evaluate:
    """The expression as a function of a resource (None: no context) and of the variables, which gives a list.

    Raises whatever the library raises for a text that is not FHIRPath. Data that no resource should have may make the
    function raise as well.
    """
    from fhirpathpy import compile as compile_path
    from fhirpathpy.engine.nodes import ResourceNode
    from fhirpathpy.models import models

    run = compile_path(text, models["r4"])

    def evaluate(resource: Resource | None, variables: Environment) -> list[Any]:
        context = {} if resource is None else ResourceNode.create_node(resource, resource["resourceType"])
        return list(run(context, variables))

    return evaluate
