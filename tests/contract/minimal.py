"""The smallest resource of a type that is valid: its mandatory elements, read from the StructureDefinitions of R4."""

from __future__ import annotations

import copy
import re
from typing import Any

from service.conformance.definitions import Definitions
from service.conformance.records import Element, TypeRef
from service.conformance.terminology import Terminology
from service.conformance.validator.shapes import Shape, Shapes, capitalised

PRIMITIVES: dict[str, Any] = {
    "base64Binary": "YQ==", "boolean": True, "canonical": "urn:x", "code": "x", "date": "2020-01-01",
    "dateTime": "2020-01-01", "decimal": 1, "id": "x", "instant": "2020-01-01T00:00:00Z", "integer": 1,
    "markdown": "x", "oid": "urn:oid:1.2.3", "positiveInt": 1, "string": "x", "time": "00:00:00", "unsignedInt": 1,
    "uri": "urn:x", "url": "urn:x", "uuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
}  # fmt: skip
WHOLE: dict[str, Any] = {
    "Address": {"text": "x"},
    "Attachment": {"title": "x"},
    "CodeableConcept": {"text": "x"},
    "Coding": {"code": "x"},
    "ContactPoint": {"system": "phone", "value": "x"},
    "HumanName": {"text": "x"},
    "Identifier": {"system": "urn:x", "value": "x"},
    "Money": {"value": 1},
    "Period": {"start": "2020-01-01"},
    "Quantity": {"value": 1},
    "Range": {"low": {"value": 1}},
    "Reference": {"identifier": {"system": "urn:x", "value": "x"}},
    "Resource": {"resourceType": "Basic", "code": {"text": "x"}},
    "Timing": {"event": ["2020-01-01"]},
}
VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
# What only invariants ask for: https://hl7.org/fhir/R4/conformance-rules.html#constraints
CODED, TWO = {"text": "x"}, {"type": "source", "resource": {"display": "x"}}
MORE: dict[str, dict[str, Any]] = {
    "AllergyIntolerance": {"verificationStatus": {"coding": [{"system": VERIFICATION, "code": "entered-in-error"}]}},
    "Appointment": {"status": "proposed", "participant": [{"status": "accepted", "type": [CODED]}]},
    "AppointmentResponse": {"participantType": [CODED]},
    "Binary": {"contentType": "text/plain"},
    "Bundle": {"type": "collection"},  # a batch or transaction is carried out, not stored
    "CapabilityStatement": {
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "software": {"name": "x"},
        "rest": [{"mode": "server"}],
    },
    "Consent": {"policyRule": CODED},
    "EventDefinition": {"trigger": [{"type": "named-event", "name": "x"}]},
    "ImmunizationRecommendation": {"recommendation": [{"forecastStatus": CODED, "targetDisease": CODED}]},
    "InsurancePlan": {"name": "x"},
    "Linkage": {"item": [TWO, TWO]},
    "Organization": {"name": "x"},
    "StructureDefinition": {"type": "Patient", "differential": {"element": [{"id": "Patient", "path": "Patient"}]}},
    "TerminologyCapabilities": {"software": {"name": "x"}},
}
# The same of elements that are not mandatory themselves, by their path.
INSIDE: dict[str, dict[str, Any]] = {"RequestGroup.action": {"resource": {"display": "x"}}}


class Minimal:
    """Makes resources; every call makes a new one."""

    def __init__(self, definitions: Definitions) -> None:
        self.shapes = Shapes(definitions)
        self.terminology = Terminology(definitions)

    def resource(self, type_: str) -> dict[str, Any]:
        """A valid resource of the type, without an id."""
        shape = self.shapes.of_type(type_)
        assert shape is not None
        return {"resourceType": type_, **self.inside(shape), **copy.deepcopy(MORE.get(type_, {}))}

    def inside(self, shape: Shape) -> dict[str, Any]:
        """The mandatory children."""
        made = {}
        for name, element in shape.children.items():
            if element.min and name not in ("resourceType",):
                reference = element.types[0] if element.types else None
                key = name[:-3] + capitalised(reference.code) if name.endswith("[x]") and reference else name
                made[key] = self.child(shape, element, reference)
        return made

    def child(self, shape: Shape, element: Element, reference: TypeRef | None) -> Any:
        """The value of a child element of the given type, in a list where it repeats."""
        value = self.value(shape, element, reference)
        return value if element.max == "1" else [value]

    def value(self, shape: Shape, element: Element, reference: TypeRef | None) -> Any:
        """One value of the element."""
        code = reference.code if reference else ""
        coded = self._coded(element) if code in ("code", "Coding", "CodeableConcept") else None
        if coded is not None:
            system, name = coded
            coding = {"system": system, "code": name}
            return {"code": name, "Coding": coding, "CodeableConcept": {"coding": [coding]}}[code]
        if code in PRIMITIVES:
            return PRIMITIVES[code]
        if code in WHOLE:
            return copy.deepcopy(WHOLE[code])
        below = self.shapes.below(shape, element, reference)
        assert below is not None
        more = copy.deepcopy(INSIDE.get(element.path, {}))
        return (self.inside(below) | more) or self._anything(below)

    def _coded(self, element: Element) -> tuple[str, str] | None:
        if element.binding is None or element.binding[0] != "required":
            return None
        known = self.terminology.expand(element.binding[1]) or {}
        return next(((system, min(codes)) for system, codes in sorted(known.items()) if codes), None)

    def _anything(self, shape: Shape) -> dict[str, Any]:
        """One element where none is mandatory, because none may be empty."""
        for name, element in shape.children.items():
            if name not in ("id", "extension", "modifierExtension") and element.types and not name.endswith("[x]"):
                return {name: self.child(shape, element, element.types[0])}
        raise AssertionError(shape.path)

    def referring(self, type_: str, expression: str, target: str) -> dict[str, Any] | None:
        """A valid resource whose element at the FHIRPath of a search parameter refers to `target`.

        None where no operand of the expression leads to a Reference that may point to the target's type.
        """
        for part in expression.split(" | "):
            resolved = re.search(r"resolve\(\) is (\w+)", part)
            if resolved is not None and resolved[1] != target.partition("/")[0]:
                continue
            names = re.findall(r"\w+", re.sub(r"\.where\(.*?'?\)(?=\.|$)", "", part).partition(" as ")[0])[1:]
            resource, shape = self.resource(type_), self.shapes.of_type(type_)
            assert shape is not None
            if names[0] == "extension":
                url = part.partition("'")[2].partition("'")[0]
                return resource | {"extension": [{"url": url, "valueReference": {"reference": target}}]}
            if self._refer(resource, shape, names, target):
                return resource
        return None

    def _refer(self, parent: dict[str, Any], shape: Shape, names: list[str], target: str) -> bool:
        name = names[0] if names[0] in shape.children else f"{names[0]}[x]"
        element = shape.children[name]
        if len(names) == 1:
            return self._point(parent, name, element, target)
        reference = element.types[0] if element.types else None
        value = parent.setdefault(names[0], self.child(shape, element, reference))
        below = self.shapes.below(shape, element, reference)
        return below is not None and self._refer(
            value[0] if isinstance(value, list) else value, below, names[1:], target
        )

    def _point(self, parent: dict[str, Any], name: str, element: Element, target: str) -> bool:
        """Whether the element may point there; then it does, and is the only one of its choice."""
        type_ = target.partition("/")[0]
        targets = [url.rpartition("/")[2] for one in element.types if one.code == "Reference" for url in one.targets]
        if not any(one.code == "Reference" for one in element.types) or (
            targets and not {type_, "Resource"} & {*targets}
        ):
            return False
        for one in element.types:
            parent.pop(name[:-3] + capitalised(one.code) if name.endswith("[x]") else name, None)
        key = f"{name[:-3]}Reference" if name.endswith("[x]") else name
        parent[key] = {"reference": target} if element.max == "1" else [{"reference": target}]
        return True
