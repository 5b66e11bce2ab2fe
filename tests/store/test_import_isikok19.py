"""The ISIKOK-19 study in the store: complete, idempotent, and back to its rows."""

from __future__ import annotations

from typing import Any

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.fhir import search
from service.settings import shipped
from service.store.database import Database
from service.trial.exporter import export_rows
from service.trial.importer import import_conformance, import_study, read_study
from service.trial.mapping.engine import read_records

FOLDER = shipped("mappings", "isikok-19")
SUBJECTS = "https://cart-fhir.example/fhir/identifier/subject"


async def find(database: Database, type_: str, **criteria: str) -> list[dict[str, Any]]:
    """All matches of a search."""
    pairs = [(name.replace("__", ":").replace("_0", "."), value) for name, value in criteria.items()]
    query = search.parse(type_, pairs, database.parameters, zone=database.zone, handling="strict")
    return [found async for found in database.resources(query)]


async def test_import_isikok19_twice_stores_it_once(database: Database, definitions: Definitions) -> None:
    validator = Validator(definitions)
    await import_conformance(database, definitions)
    first = await import_study(database, definitions, validator, FOLDER)
    second = await import_study(database, definitions, validator, FOLDER)
    total = sum(first.types.values())
    assert (first.created, first.updated, first.unchanged, first.left) == (total, 0, 0, ())
    assert (second.created, second.updated, second.unchanged, second.left) == (0, 0, total, ())
    page = await database.history(count=2000)
    assert {one.version for one in page.versions} == {1}
    for type_, count in first.types.items():
        assert len([one for one in await find(database, type_) if "url" not in one]) == count
    assert len(await find(database, "Provenance")) == total


async def test_import_isikok19_can_be_searched_and_exported(database: Database, definitions: Definitions) -> None:
    await import_study(database, definitions, Validator(definitions), FOLDER)
    (patient,) = await find(database, "Patient", identifier=f"{SUBJECTS}|ISIKOK19-003")
    assert patient["gender"] == "female"
    ldh = await find(database, "Observation", subject=f"Patient/{patient['id']}", code="http://loinc.org|2532-0")
    assert [str(one["valueQuantity"]["value"]) for one in ldh] == ["138"]
    (stated,) = await find(database, "Provenance", target=f"Observation/{ldh[0]['id']}")
    assert stated["entity"][0]["what"]["display"] == "data/labs.csv"
    study, _, _ = read_study(definitions, FOLDER)
    rows = await export_rows(database, definitions, FOLDER)
    for name, records in read_records(study).items():
        unmapped = [column.name for column in study.dictionary.tables[name].columns.values() if column.unmapped]
        expected = [{**row.cells, **dict.fromkeys(unmapped, "")} for row in records.rows]
        assert [row.cells for row in rows[name]] == expected, name
