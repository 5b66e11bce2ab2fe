"""Every parameter of every type that the CapabilityStatement lists is answered by both databases and sorts."""

from __future__ import annotations

from service.conformance.definitions import Definitions
from service.fhir.parameters import SearchParameter, searchable
from service.store.database import Database
from tests.store.asking import ask

SAMPLES = {
    "token": "urn:s|c",
    "reference": "x",
    "string": "x",
    "uri": "urn:x",
    "date": "ge2021",
    "number": "le1",
    "quantity": "gt1|http://unitsofmeasure.org|mg",
}


def sample(definitions: Definitions, type_: str, parameter: SearchParameter) -> str:
    if parameter.type != "composite":
        return SAMPLES[parameter.type]
    components = definitions.search_parameters.components(type_, parameter)
    return "$".join(SAMPLES[component.parameter.type] for component in components)


async def test_every_parameter_of_every_type_is_answered(database: Database, definitions: Definitions) -> None:
    asked = 0
    for type_ in sorted(definitions.resource_types):
        for code, parameter in definitions.search_parameters.of(type_).items():
            if not searchable(parameter):
                continue
            value = sample(definitions, type_, parameter)
            sort = "" if parameter.type == "composite" else f"&_sort=-{code}"
            for text in (f"{code}={value},{value}{sort}", f"{code}:missing=true"):
                page = await database.search(ask(database, type_, text))
                assert page.matches == ()
                asked += 1
    assert asked > 4000
