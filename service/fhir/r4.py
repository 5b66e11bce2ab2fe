"""The typed FHIR that the service itself makes, checked by fhir.resources behind the R4 gate.

fhir.resources 8 has no R4; its R4B models serve, and the gate refuses the types that R4 does not have. What clients
send never comes here: it is checked by `conformance` and kept as it was sent.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pydantic import ValidationError

from service.errors import Internal, Issue
from service.fhir import json

# https://hl7.org/fhir/R4B/history.html: the types that R4B added or renamed.
NOT_R4 = frozenset(
    "AdministrableProductDefinition Citation ClinicalUseDefinition EvidenceReport Ingredient NutritionProduct "
    "ManufacturedItemDefinition MedicinalProductDefinition PackagedProductDefinition RegulatedAuthorization "
    "SubscriptionStatus SubscriptionTopic SubstanceDefinition".split()
)


def make(resource_type: str, **elements: Any) -> dict[str, Any]:
    """A resource of ours as JSON, every element checked by its model.

    Elements are JSON values as they will be sent (decimals as Decimal); those that are None are left out.
    Raises Internal, which names the elements and never their values: the service made something wrong.
    """
    if resource_type in NOT_R4:
        raise Internal(f"{resource_type} is not a resource of R4")
    resource = {"resourceType": resource_type, **{key: value for key, value in elements.items() if value is not None}}
    try:
        model = getattr(import_module(f"fhir.resources.R4B.{resource_type.lower()}"), resource_type)
        model.model_validate_json(json.encode(resource))
    except ImportError:
        raise Internal(f"{resource_type} is not a resource of R4") from None
    except ValidationError as error:
        issues = [
            Issue("exception", f"{found['type']}", ".".join((resource_type, *map(str, found["loc"]))), "own-resource")
            for found in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise Internal(issues=issues) from None
    return resource
