"""The operations and their routes; one table for the routes, the CapabilityStatement and Swagger.

Source: https://hl7.org/fhir/R4/operationslist.html
"""

from __future__ import annotations

import re

from starlette.requests import Request

from service.api.operations.everything import everything
from service.api.operations.lastn import lastn
from service.api.operations.meta import meta, meta_add, meta_delete
from service.api.operations.populate import populate_named, populate_stored
from service.api.operations.process_message import process_message
from service.api.operations.terminology_table import TABLE as TERMINOLOGY
from service.api.operations.validate import validate_instance, validate_type
from service.conformance.capability import Interaction
from service.errors import CartFhirError, NotFound

BASE = "/fhir"
ANY = BASE + "/{type:type_name}"
ONE = ANY + "/{id:fhir_id}"
DEFINED = "http://hl7.org/fhir/OperationDefinition/"
EVERYTHING = BASE + "/Patient/{id:fhir_id}/$everything"
POPULATE = "http://hl7.org/fhir/uv/sdc/OperationDefinition/Questionnaire-populate"
FORM = BASE + "/Questionnaire/{id:fhir_id}/$populate"
FORMS = BASE + "/Questionnaire/$populate"
PROCESS = BASE + "/$process-message"
LASTN = BASE + "/Observation/$lastn"


def _operation(name: str, method: str, path: str, definition: str, of: str = "Resource") -> Interaction:
    return Interaction(name, method, path, definition=DEFINED + definition, of=of)


TABLE = (
    (_operation("everything", "GET", EVERYTHING, "Patient-everything", "Patient"), everything),
    (_operation("everythingByPost", "POST", EVERYTHING, "Patient-everything", "Patient"), everything),
    (_operation("lastn", "GET", LASTN, "Observation-lastn", "Observation"), lastn),
    (_operation("lastnByPost", "POST", LASTN, "Observation-lastn", "Observation"), lastn),
    (_operation("validate", "POST", ANY + "/$validate", "Resource-validate"), validate_type),
    (_operation("validateStored", "GET", ONE + "/$validate", "Resource-validate"), validate_instance),
    (_operation("validateInstance", "POST", ONE + "/$validate", "Resource-validate"), validate_instance),
    (_operation("meta", "GET", ONE + "/$meta", "Resource-meta"), meta),
    (_operation("metaByPost", "POST", ONE + "/$meta", "Resource-meta"), meta),
    (_operation("metaAdd", "POST", ONE + "/$meta-add", "Resource-meta-add"), meta_add),
    (_operation("metaDelete", "POST", ONE + "/$meta-delete", "Resource-meta-delete"), meta_delete),
    (_operation("processMessage", "POST", PROCESS, "MessageHeader-process-message", "system"), process_message),
    (Interaction("populate", "GET", FORM, definition=POPULATE, of="Questionnaire"), populate_stored),
    (Interaction("populateByPost", "POST", FORM, definition=POPULATE, of="Questionnaire"), populate_stored),
    (Interaction("populateNamed", "GET", FORMS, definition=POPULATE, of="Questionnaire"), populate_named),
    (Interaction("populateNamedByPost", "POST", FORMS, definition=POPULATE, of="Questionnaire"), populate_named),
    *TERMINOLOGY,
)

_ASKED = re.compile(r"/fhir(?:/(?P<type>[A-Z][A-Za-z]{0,63}))?(?:/[^/]+)?/\$(?P<name>[^/]*)\Z")
_PATH = re.compile(r"/fhir(?:/(?P<type>[A-Z][A-Za-z]+|\{type[^}]*\}))?(?P<id>/\{id[^}]*\})?/\$(?P<name>.+)\Z")


def unknown(request: Request) -> CartFhirError | None:
    """What to say of an address that looks like an operation and is none; None for any other address."""
    asked = _ASKED.match(request.scope["path"])
    if asked is None:
        return None
    offered = [found for interaction, _ in TABLE if (found := _PATH.match(interaction.path))]
    names = {
        f"{type_}[id]/${one['name']}" if one["id"] else f"{type_}${one['name']}"
        for one in offered
        for type_ in (f"{asked['type']}/" if one["type"] and asked["type"] else "",)
        if one["type"] == asked["type"] or (asked["type"] and one["type"] and one["type"].startswith("{"))
    }
    there = f"; there are {', '.join(sorted(names))}" if names else ""
    return NotFound(f"There is no such operation here{there}", code="not-supported", rule="unknown-operation")
