"""The routes of the terminology service: each operation by GET and POST, where R4 has it also for one resource.

Source: https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from service.api.operations.terminology_concepts import lookup, subsumes
from service.api.operations.terminology_expand import expand
from service.api.operations.terminology_translate import translate_code
from service.api.operations.terminology_validate import validate_in_system, validate_in_value_set
from service.conformance.capability import Interaction

Handler = Callable[[Request], Awaitable[Response]]
DEFINED = "http://hl7.org/fhir/OperationDefinition/"


def _rows(name: str, type_: str, operation: str, handler: Handler, instance: bool) -> list[tuple[Interaction, Handler]]:
    """`name` by GET, `nameByPost`, and `nameStored` for ids."""
    base, definition = f"/fhir/{type_}", f"{DEFINED}{type_}-{operation}"
    paths = [(name, f"{base}/${operation}")]
    paths += [(f"{name}Stored", f"{base}/{{id:fhir_id}}/${operation}")] if instance else []
    return [
        (Interaction(f"{name}{by}", method, path, definition=definition, of=type_), handler)
        for name, path in paths
        for method, by in (("GET", ""), ("POST", "ByPost"))
    ]


TABLE = (
    *_rows("expand", "ValueSet", "expand", expand, True),
    *_rows("validateCode", "ValueSet", "validate-code", validate_in_value_set, True),
    *_rows("validateSystemCode", "CodeSystem", "validate-code", validate_in_system, True),
    *_rows("lookup", "CodeSystem", "lookup", lookup, False),
    *_rows("subsumes", "CodeSystem", "subsumes", subsumes, True),
    *_rows("translate", "ConceptMap", "translate", translate_code, True),
)
