"""Importing a study: one plan, twice equals once, what was edited since is never taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.errors import Conflict, NotFound, Unprocessable
from service.fhir import search
from service.fhir.json import decode
from service.fhir.operations import Delete, Update, plan_of
from service.store.database import Database
from service.trial.exporter import as_csv, export_rows
from service.trial.importer import ImportReport, import_conformance, import_study
from service.trial.mapping.spec import load_study

DICTIONARY = """
study: toy
source: {display: A paper}
tables:
  people:
    columns:
      subject: {type: string, required: true, description: Pseudonym}
      sex: {type: code, codes: [male, female], description: Sex}
      born: {type: date, description: Birth date}
      passage: {type: string, description: As printed}
  labs:
    columns:
      subject: {type: string, required: true, description: Pseudonym}
      ferritin: {type: decimal, required: true, range: [0, 9000], unit: unknown, description: Ferritin}
"""
TEMPLATES = {
    "people": """
study: toy
key: [subject]
resources:
  person:
    resourceType: Patient
    identifier: [{system: 'urn:subject', value: {$col: subject}}]
    gender: {$col: sex}
    birthDate: {$col: born, $absent: unknown}
""",
    "labs": """
study: toy
key: [subject]
resources:
  ferritin:
    resourceType: Observation
    status: final
    category: [{coding: [{system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: laboratory}]}]
    code: {coding: [{system: 'http://loinc.org', code: 2276-4}]}
    subject: {$ref: people.person}
    effectiveDateTime: {$absent: unknown}
    valueQuantity: {value: {$col: ferritin}, $unit: ferritin}
""",
}


class Importing:
    """A folder with the study, a store, and what an import needs."""

    def __init__(self, folder: Path, database: Database, definitions: Definitions) -> None:
        self.folder, self.database, self.definitions = folder, database, definitions
        self.validator = Validator(definitions)
        for name in ("templates", "data"):
            (folder / name).mkdir()
        (folder / "dictionary.yaml").write_text(DICTIONARY)
        for name, template in TEMPLATES.items():
            (folder / f"templates/{name}.yaml").write_text(template)

    async def run(self, people: str = "", labs: str = "", **options: Any) -> ImportReport:
        """Writes the files and imports them."""
        (self.folder / "data/people.csv").write_text("subject,sex,born,passage\n" + people)
        (self.folder / "data/labs.csv").write_text("subject,ferritin\n" + labs)
        return await import_study(self.database, self.definitions, self.validator, self.folder, **options)

    async def all(self, type_: str) -> list[dict[str, Any]]:
        """All stored resources of a type."""
        query = search.parse(type_, [], self.database.parameters, zone=self.database.zone, handling="strict")
        return [found async for found in self.database.resources(query)]

    async def versions(self) -> int:
        """How many versions there are of anything."""
        page = await self.database.history(count=1000)
        return len(page.versions)


@pytest.fixture
def importing(tmp_path: Path, database: Database, definitions: Definitions) -> Importing:
    folder = tmp_path / "study"
    folder.mkdir()
    return Importing(folder, database, definitions)


def counts(report: ImportReport) -> tuple[int, int, int]:
    return report.created, report.updated, report.unchanged


PEOPLE, LABS = "S1,female,2001-02,F/20\nS2,male,,\n", "S1,1.10\nS2,13\n"


async def test_import_stores_resources_with_their_decimals(importing: Importing) -> None:
    said: list[str] = []
    report = await importing.run(PEOPLE, LABS, progress=said.append)
    assert counts(report) == (6, 0, 0)
    assert report.types == {"Patient": 2, "Observation": 2, "DetectedIssue": 2}
    values = {str(one["valueQuantity"]["value"]) for one in await importing.all("Observation")}
    assert values == {"1.10", "13"}
    assert said[0] == "4 resources from 2 tables of toy"
    assert said[-1] == "6 created, 0 updated"


async def test_import_gives_every_resource_a_provenance(importing: Importing) -> None:
    await importing.run(PEOPLE, LABS)
    provenances = await importing.all("Provenance")
    stored = [one for type_ in ("Patient", "Observation", "DetectedIssue") for one in await importing.all(type_)]
    targets = sorted(one["target"][0]["reference"] for one in provenances)
    assert targets == sorted(f"{one['resourceType']}/{one['id']}" for one in stored)
    (first,) = [one for one in provenances if cells(one)[0] == {"table": "people", "row": "2", "column": "subject"}]
    assert cells(first)[1:] == [
        {"table": "people", "row": "2", "column": "sex"},
        {"table": "people", "row": "2", "column": "born"},
        {"passage": "F/20"},
    ]
    assert first["entity"][-1]["what"] == {"display": "A paper"}
    assert first["policy"] == ["https://cart-fhir.example/fhir/mapping/toy/people/person"]


def cells(provenance: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {part["url"]: part["valueString"] for part in extension["extension"]}
        for entity in provenance["entity"]
        for extension in entity.get("extension", [])
    ] or [{}]


async def test_import_twice_writes_nothing_the_second_time(importing: Importing) -> None:
    first = await importing.run(PEOPLE, LABS)
    before = await importing.versions()
    second = await importing.run(PEOPLE, LABS)
    assert counts(second) == (0, 0, first.created)
    assert await importing.versions() == before


async def test_import_of_changed_records_updates_only_those(importing: Importing) -> None:
    first = await importing.run(PEOPLE, LABS)
    report = await importing.run("S0,male,,\n" + PEOPLE.replace("S2,male", "S2,female"), LABS)
    assert counts(report) == (1, 1, first.created - 1)
    assert sorted(one["gender"] for one in await importing.all("Patient")) == ["female", "female", "male"]


async def edit(importing: Importing, **changes: Any) -> dict[str, Any]:
    """Changes S2 as a user of the API would."""
    patients = await importing.all("Patient")
    (patient,) = [one for one in patients if one["identifier"][0]["value"] == "S2"]
    await importing.database.write(plan_of(Update({**patient, **changes})))
    return patient


async def test_import_again_keeps_what_a_user_edited(importing: Importing) -> None:
    first = await importing.run(PEOPLE, LABS)
    patient = await edit(importing, active=True)
    report = await importing.run(PEOPLE, LABS)
    assert counts(report) == (0, 0, first.created)
    stored = await importing.database.read("Patient", patient["id"])
    assert decode(stored.content or b"")["active"] is True


async def provenance_of(importing: Importing, resource: dict[str, Any]) -> str:
    """The id of the Provenance of a resource."""
    found = await importing.all("Provenance")
    (id_,) = [one["id"] for one in found if one["target"][0]["reference"].endswith(resource["id"])]
    return id_


async def test_import_again_after_a_deletion_creates_anew(importing: Importing) -> None:
    await importing.run(PEOPLE)
    patient = await edit(importing, active=True)
    stated = await provenance_of(importing, patient)
    await importing.database.write(plan_of(Delete("Patient", patient["id"]), Delete("Provenance", stated)))
    assert counts(await importing.run(PEOPLE)) == (1, 0, 1)
    assert (await importing.database.read("Patient", patient["id"])).version == 4


async def test_import_of_a_changed_record_that_was_edited_is_a_conflict(importing: Importing) -> None:
    await importing.run(PEOPLE, LABS)
    await edit(importing, active=True)
    before = await importing.versions()
    with pytest.raises(Conflict) as caught:
        await importing.run("S0,male,,\n" + PEOPLE.replace("S2,male", "S2,female"), LABS)
    (issue,) = caught.value.issues
    assert issue.rule == "import-conflict"
    assert issue.text.startswith("data/people.csv, row 4, rule people.person: Patient/")
    assert await importing.versions() == before


async def test_import_never_overwrites_a_resource_that_it_did_not_write(importing: Importing) -> None:
    await importing.run(PEOPLE)
    patient = await edit(importing, active=True)
    await importing.database.write(plan_of(Delete("Provenance", await provenance_of(importing, patient))))
    with pytest.raises(Conflict):
        await importing.run(PEOPLE)


async def test_import_with_one_wrong_cell_writes_nothing(importing: Importing) -> None:
    with pytest.raises(Unprocessable, match=r"data/labs\.csv, row 3, column ferritin: must be between 0 and 9000"):
        await importing.run(PEOPLE, "S1,1.10\nS2,13000\n")
    assert await importing.versions() == 0


async def test_import_of_an_invalid_resource_names_row_and_expression(importing: Importing) -> None:
    template = TEMPLATES["labs"].replace("status: final", "status: done")
    (importing.folder / "templates/labs.yaml").write_text(template)
    with pytest.raises(Unprocessable) as caught:
        await importing.run(PEOPLE, LABS)
    issue = caught.value.issues[0]
    assert issue.text.startswith("data/labs.csv, row 2, rule labs.ferritin: ")
    assert issue.expression == "Observation.status"
    assert await importing.versions() == 0


async def test_import_check_writes_nothing_and_counts(importing: Importing) -> None:
    checked = await importing.run(PEOPLE, LABS, check=True)
    assert await importing.versions() == 0
    assert await importing.run(PEOPLE, LABS) == checked


async def test_import_names_what_the_records_no_longer_make(importing: Importing) -> None:
    await importing.run(PEOPLE)
    report = await importing.run(PEOPLE.partition("\n")[0])
    assert len(report.left) == 1
    assert (await importing.database.read(*report.left[0].split("/"))).version == 1


async def test_export_gives_back_the_rows_from_the_store(importing: Importing) -> None:
    await importing.run(PEOPLE, LABS)
    rows = await export_rows(importing.database, importing.definitions, importing.folder)
    assert [row.cells for row in rows["people"]] == [
        {"subject": "S1", "sex": "female", "born": "2001-02", "passage": "F/20"},
        {"subject": "S2", "sex": "male", "born": "", "passage": ""},
    ]
    assert [row.cells for row in rows["labs"]] == [
        {"subject": "S1", "ferritin": "1.10"},
        {"subject": "S2", "ferritin": "13"},
    ]


async def test_export_writes_the_file_that_was_read(importing: Importing) -> None:
    await importing.run(PEOPLE, LABS)
    rows = await export_rows(importing.database, importing.definitions, importing.folder)
    table = load_study(importing.folder).dictionary.tables["people"]
    assert as_csv(table, rows["people"]) == (importing.folder / "data/people.csv").read_text()


async def test_export_gives_what_a_user_edited(importing: Importing) -> None:
    await importing.run(PEOPLE, LABS)
    await edit(importing, gender="female")
    rows = await export_rows(importing.database, importing.definitions, importing.folder)
    assert [row.cells["sex"] for row in rows["people"]] == ["female", "female"]


async def test_export_of_nothing_is_no_rows(importing: Importing) -> None:
    (importing.folder / "data/people.csv").write_text("")
    assert await export_rows(importing.database, importing.definitions, importing.folder) == {"people": [], "labs": []}


async def test_import_conformance_twice_writes_once(database: Database, definitions: Definitions) -> None:
    first = await import_conformance(database, definitions)
    second = await import_conformance(database, definitions)
    assert (second.created, second.updated) == (0, 0)
    assert second.unchanged == first.created == sum(first.types.values())
    with pytest.raises(NotFound):
        await database.read("ImplementationGuide", "cart-fhir.isikok-19")
