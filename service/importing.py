"""Records and definitions into a store that is opened for that alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.settings import Settings, shipped
from service.store.database import Database
from service.trial.importer import ImportReport, import_conformance, import_study

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


async def import_demo(settings: Settings, definitions: Definitions, progress: Progress) -> ImportReport:
    """Our profiles and code systems, and the ISIKOK-19 records; a second time writes nothing."""
    async with _store(settings, definitions) as database:
        report = await import_conformance(database, definitions)
        progress(f"Definitions: {report.created} new, {report.updated} changed, {report.unchanged} as before")
        folder = shipped("mappings", "isikok-19")
        return await import_study(database, definitions, Validator(definitions), folder, progress=progress)
