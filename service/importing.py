"""Records and definitions into a store that is opened for that alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.errors import Conflict
from service.settings import Settings, shipped
from service.store.database import Database
from service.submissions.storing import import_forms
from service.trial.exporter import as_csv, export_rows
from service.trial.importer import ImportReport, import_conformance, import_study
from service.trial.mapping.spec import load_study

Progress = Callable[[str], None]


@asynccontextmanager
async def _store(settings: Settings, definitions: Definitions) -> AsyncIterator[Database]:
    database = await Database.open(settings, definitions)
    try:
        yield database
    finally:
        await database.close()


async def import_folder(
    settings: Settings, definitions: Definitions, folder: Path, check: bool, progress: Progress
) -> ImportReport:
    """The study in `folder`; with `check` nothing is written. Raises CartFhirError with every finding."""
    async with _store(settings, definitions) as database:
        return await import_study(database, definitions, Validator(definitions), folder, check=check, progress=progress)


async def export_folder(settings: Settings, definitions: Definitions, folder: Path, target: Path) -> dict[str, int]:
    """A CSV file in `target` for each table of the study in `folder`: rows by table. Raises CartFhirError.

    All tables are made before the first file is written, and a file that is there already is never replaced.
    """
    maps = [resource for resource in definitions.own_resources() if resource["resourceType"] == "ConceptMap"]
    tables = load_study(folder, maps).dictionary.tables
    async with _store(settings, definitions) as database:
        rows = await export_rows(database, definitions, folder)
    texts = {name: as_csv(tables[name], found) for name, found in rows.items()}
    target.mkdir(parents=True, exist_ok=True)
    taken = [name for name in texts if (target / f"{name}.csv").exists()]
    if taken:
        raise Conflict(f"{target / taken[0]}.csv exists already; choose an empty folder")
    for name, text in texts.items():
        (target / f"{name}.csv").write_text(text, encoding="utf-8")
    return {name: len(found) for name, found in rows.items()}


async def import_demo(settings: Settings, definitions: Definitions, progress: Progress) -> ImportReport:
    """Our profiles and code systems, and the ISIKOK-19 records; a second time writes nothing."""
    async with _store(settings, definitions) as database:
        report = await import_conformance(database, definitions)
        forms = await import_forms(database)
        progress(f"Registry forms: {forms} written")
        progress(f"Definitions: {report.created} new, {report.updated} changed, {report.unchanged} as before")
        folder = shipped("mappings", "isikok-19")
        return await import_study(database, definitions, Validator(definitions), folder, progress=progress)
