"""Where the reference parameters of the types lead: what `_include` and `_revinclude` can bring.

A parameter whose elements are canonicals leads nowhere: those are compared as text and not followed.
Source: https://hl7.org/fhir/R4/search.html#revinclude
"""

from __future__ import annotations

import re
from functools import lru_cache

from service.conformance.definitions import Definitions
from service.conformance.records import TypeRef
from service.conformance.validator.shapes import Shape, Shapes
from service.fhir.parameters import SearchParameter, searchable

_WHERE = re.compile(r"\.where\((?:resolve\(\) is (\w+)|[^()]*)\)")
_CAST = re.compile(r"\(([\w.]+) as (\w+)\)")


@lru_cache(maxsize=2)
def links(definitions: Definitions) -> dict[tuple[str, str], frozenset[str]]:
    """(type, code) → the types that references of the parameter may point to; only of parameters that lead anywhere.

    Both are narrowed: by the targets of the parameter, and by those that its elements may have.
    """
    shapes = Shapes(definitions)
    found = {}
    for type_ in sorted(definitions.resource_types):
        for parameter in definitions.search_parameters.of(type_).values():
            if parameter.type == "reference" and searchable(parameter):
                targets = _targets(shapes, definitions, type_, parameter)
                if targets:
                    found[type_, parameter.code] = targets
    return found


def _targets(shapes: Shapes, definitions: Definitions, type_: str, parameter: SearchParameter) -> frozenset[str]:
    known = definitions.resource_types
    parts = (_reached(shapes, type_, part) for part in parameter.alternatives)
    reached = frozenset[str]().union(*(known if "Resource" in part else part for part in parts))
    return reached & frozenset(parameter.target or known)


def _reached(shapes: Shapes, type_: str, text: str) -> frozenset[str]:
    """The targets of the references at one path, `Resource` for any."""
    cast = _CAST.fullmatch(text)
    asked = _WHERE.search(text)
    _, *names = _WHERE.sub("", cast[1] if cast else text).split(".")
    ends: list[TypeRef] = []
    here: list[Shape | None] = [shapes.of_type(type_)]
    for name in names:
        steps = [(shape, shape.children.get(name) or shape.children.get(f"{name}[x]")) for shape in here if shape]
        ends = [reference for _, element in steps if element for reference in element.types]
        here = [
            shapes.below(shape, element, one) for shape, element in steps if element for one in element.types or [None]
        ]
    references = [one for one in ends if one.code == "Reference" and (cast is None or cast[2] == "Reference")]
    targets = frozenset(url.rpartition("/")[2] for one in references for url in one.targets or ("Resource",))
    if asked is None or asked[1] is None:
        return targets
    return frozenset({asked[1]}) if targets & {asked[1], "Resource"} else frozenset()
