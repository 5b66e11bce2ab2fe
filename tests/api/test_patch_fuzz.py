"""Any patch is applied or refused: never a 5xx, and what is stored stays valid."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import httpx

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from tests.api.conftest import observation, patient
from tests.api.test_patch import JSON_PATCH, parameters

CASES = 150
POINTERS = [
    "", "/", "/id", "/meta", "/meta/tag", "/meta/versionId", "/meta/profile/-", "/resourceType", "/identifier",
    "/identifier/0", "/identifier/-", "/identifier/0/system", "/identifier/1/value", "/name", "/name/0/given/0",
    "/name/-", "/_birthDate", "/contained", "/subject", "/subject/reference", "/extension/-", "/text/div", "/~0~1",
    "/gender",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, 0, 1.5, "", "x", "urn:uuid:1", "Patient/p1", "Patient?identifier=a", [], {}, [None], [{}], {"a": 1},
    "http://test/fhir/Patient/p1", {"reference": "Patient/nobody"}, {"reference": "urn:uuid:x"}, {"reference": "#x"},
    [{"given": ["a", None], "_given": [None, {"id": "x"}]}], {"reference": "Patient?gender=x"},
    {"resourceType": "Patient"},
    {"resourceType": "Patient", "id": "p1", "meta": "x"}, {"resourceType": "Patient", "id": "p1", "gender": "other"},
]  # fmt: skip
PATHS = [
    "Patient", "Patient.id", "Patient.meta", "Patient.identifier", "Patient.identifier[0]", "Patient.identifier[9]",
    "Patient.name.given", "Patient.name[0].given[1]", "Patient.name.where(family='x')", "Patient.contained.name",
    "Patient.deceased", "Patient.birthDate", "Patient.name.last().given.first()", "Patient.text.div",
    "Observation.value",
    "Patient.extension('urn:x').value", "Patient.contact.name", "Patient.identifier.value.ofType(string)", "id",
    "Patient.(",
]  # fmt: skip
PARTS: list[dict[str, Any]] = [
    {"valueString": "x"}, {"valueBoolean": True}, {"valueInteger": 1}, {"valueHumanName": {"given": ["y"]}},
    {"valueReference": {"reference": "Patient/nobody"}}, {"part": [{"name": "family", "valueString": "z"}]},
    {"part": [{"name": "given", "valueString": "z"}, {"name": "given", "valueString": "w"}]}, {"part": []}, {},
    {"_valueString": {"id": "x"}}, {"valueIdentifier": {"value": "2"}},
    {"resource": {"resourceType": "Patient", "id": "c"}},
]  # fmt: skip
NAMES = ["identifier", "name", "given", "gender", "deceased", "contained", "contact", "extension", "banana", "id", ""]


def json_steps(random: Random) -> list[Any]:
    ops = ["add", "add", "replace", "remove", "move", "copy", "test"]
    return [
        {"op": random.choice(ops), "path": random.choice(POINTERS), "from": random.choice(POINTERS)}
        | {"value": random.choice(VALUES)}
        for _ in range(random.randint(0, 4))
    ]


def fhirpath_steps(random: Random) -> dict[str, Any]:
    made = []
    for _ in range(random.randint(1, 3)):
        one: dict[str, Any] = {
            "type": {"valueCode": random.choice(["add", "insert", "delete", "replace", "move"])},
            "path": {"valueString": random.choice(PATHS)},
            "name": {"valueString": random.choice(NAMES)},
            "value": random.choice(PARTS),
        }
        one |= {name: {"valueInteger": random.randint(0, 2)} for name in ("index", "source", "destination")}
        made.append(one)
    return parameters(*made)


async def test_any_patch_is_applied_or_refused(client: httpx.AsyncClient, definitions: Definitions) -> None:
    start = patient(id="p1", name=[{"family": "x", "given": ["a", "b"], "_given": [None, {"id": "of-b"}]}])
    validator = Validator(definitions)
    statuses: dict[int, int] = {}
    for case in range(CASES):
        await client.put("/Patient/p1", json=start)
        random = Random(case)
        steps = json_steps(random) if case % 2 else fhirpath_steps(random)
        headers = JSON_PATCH if case % 2 else {"content-type": "application/fhir+json"}
        answer = await client.patch("/Patient/p1", content=json.dumps(steps).encode(), headers=headers)
        assert answer.status_code in (200, 400, 409, 412, 422), (case, steps, answer.text)
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        stored = (await client.get("/Patient/p1")).json()
        assert (stored["resourceType"], stored["id"]) == ("Patient", "p1")
        assert [issue for issue in validator.check(stored) if issue.severity == "error"] == [], (case, steps)
    assert min(statuses.get(200, 0), statuses.get(400, 0), statuses.get(422, 0)) > CASES / 50, statuses
    assert (await client.post("/Observation", json=observation("Patient/p1"))).status_code == 201
