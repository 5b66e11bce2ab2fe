"""A change of one resource as a value: JSON Patch or FHIRPath Patch, read once, applied to whatever is stored then.

Source: https://hl7.org/fhir/R4/http.html#patch
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from collections.abc import Callable
from typing import Any

from service.errors import BadRequest, Unprocessable
from service.fhir.json import decode
from service.fhir.patch.fhirpath_patch import FhirPathPatch
from service.fhir.patch.json_patch import JsonPatch
from service.fhir.patch.path import Part

__all__ = ["JSON_PATCH", "Document", "FhirPathPatch", "JsonPatch", "Part", "ReadPatch", "changed", "read_entry"]

JSON_PATCH = "application/json-patch+json"

Document = JsonPatch | FhirPathPatch
ReadPatch = Callable[[dict[str, Any]], Document]  # the resource of a bundle's PATCH entry


def changed(document: Document, resource: dict[str, Any]) -> dict[str, Any]:
    """What the document makes of `resource`, which is used up. Raises Unprocessable where it cannot be applied."""
    type_, id_ = resource.get("resourceType"), resource.get("id")
    try:
        result = document.apply(resource)
    except RecursionError:
        raise Unprocessable("The patched resource nests too deep", rule="json-too-deep") from None
    if not isinstance(result, dict) or result.get("resourceType") != type_ or result.get("id") != id_:
        raise Unprocessable("A patch keeps resourceType and id as they are", rule="patch-identity")
    return result


def read_entry(resource: dict[str, Any], root: Part, max_depth: int) -> Document:
    """The patch of a bundle's entry: Parameters, or a Binary that holds a JSON Patch. Raises BadRequest."""
    if resource.get("resourceType") == "Parameters":
        return FhirPathPatch.read(resource, root)
    if resource.get("resourceType") == "Binary" and resource.get("contentType") == JSON_PATCH:
        try:
            data = b64decode("".join(str(resource.get("data", "")).split()), validate=True)
        except (Error, ValueError):
            raise BadRequest("The data is not base64", expression="Binary.data", rule="not-base64") from None
        return JsonPatch.read(decode(data, max_depth))
    text = f"PATCH sends a Parameters, or a Binary with contentType {JSON_PATCH}"
    raise BadRequest(text, expression="Resource.resourceType", code="value", rule="patch-format")
