"""The Task by which a conflict is put before a person, and the Binary that holds the version of the other side.

Source: https://hl7.org/fhir/R4/task.html and https://hl7.org/fhir/R4/binary.html
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from service.fhir.json import encode
from service.fhir.operations import Resource
from service.jobs.tasks import KINDS
from service.sync.outgoing import patient_of


def opened(kept: dict[str, Any], ours: Resource) -> tuple[Resource, Resource]:
    """The Binary and the Task of an open conflict, under ids that follow from it."""
    patient = patient_of(ours)
    binary: Resource = {
        "resourceType": "Binary",
        "id": kept["id"],
        "contentType": "application/fhir+json",
        **({"securityContext": {"reference": patient}} if patient else {}),
        "data": b64encode(encode(kept["raw"])).decode(),
    }
    task: Resource = {
        "resourceType": "Task",
        "id": kept["id"],
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": KINDS, "code": "conflict"}]},
        "description": f"Both sides changed {', '.join(kept['elements'])}",
        "focus": {"reference": kept["local"]},
        **({"for": {"reference": patient}} if patient else {}),
        "authoredOn": kept["opened"],
        "input": [
            _input("connection", valueString=kept["connection"]),
            _input("remote", valueString=kept["remote"]),
            *(_input("element", valueString=path) for path in kept["elements"]),
            _input("ours", valueReference={"reference": f"{kept['local']}/_history/{kept['ours_version']}"}),
            _input("theirs", valueReference={"reference": f"Binary/{kept['id']}"}),
        ],
    }
    return binary, task


def resolved(task: Resource, decision: str, at: str) -> Resource:
    """The Task of a conflict that somebody decided: `ours`, `theirs` or `merged`."""
    output = [{"type": {"text": "decision"}, "valueCode": decision}]
    return {**task, "status": "completed", "lastModified": at, "output": output}


def _input(name: str, **value: Any) -> dict[str, Any]:
    return {"type": {"text": name}, **value}
