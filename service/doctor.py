"""Looks at everything that the service needs and says in plain words what to do where it is missing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from service.conformance.definitions import load
from service.errors import CartFhirError
from service.fhir.operations import Create, Plan, Update
from service.serving import listen
from service.settings import Settings
from service.store.database import Database

ENOUGH_BYTES = 1024**3
PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what was found, and what to do when it is not well."""

    name: str
    well: bool
    found: str
    advice: str = ""


def local_checks(settings: Settings) -> Iterator[Check]:
    """What this machine must offer."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("Python", sys.version_info >= PYTHON, version, "Install Python 3.11 or newer")
    yield _folder(settings)
    yield _disk(settings)
    yield _port(settings)


def _folder(settings: Settings) -> Check:
    folder = settings.data_dir
    try:
        writable_folder(settings)
    except CartFhirError as error:
        return Check("Data folder", False, str(error), "Set CART_FHIR_DATA_DIR to a folder that you may write to")
    return Check("Data folder", True, f"{folder} is writable")


def writable_folder(settings: Settings) -> None:
    """Makes the data folder where it is missing. Raises CartFhirError when it cannot be written to."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CartFhirError(f"The data folder {settings.data_dir} cannot be made: {error.strerror}") from None
    if not os.access(settings.data_dir, os.W_OK | os.X_OK):
        raise CartFhirError(f"The data folder {settings.data_dir} is not writable")


def _disk(settings: Settings) -> Check:
    place = settings.data_dir
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    return Check("Disk", free >= ENOUGH_BYTES, f"{free / 1024**3:.1f} GiB free", "Free at least 1 GiB")


def _port(settings: Settings) -> Check:
    where = f"{settings.host}:{settings.port}"
    try:
        listen(settings).close()
    except CartFhirError:
        return Check("Port", False, f"{where} is taken", "Stop what runs there, or choose another with CART_FHIR_PORT")
    return Check("Port", True, f"{where} is free")


async def store_checks(settings: Settings) -> list[Check]:
    """Definitions and database; the write is one that the store must refuse as a whole, so nothing stays."""
    try:
        definitions = load(settings.data_dir / "definitions")
    except (OSError, ValueError, CartFhirError) as error:
        return [Check("Definitions", False, type(error).__name__, "Install the service again: its files are damaged")]
    checks = [Check("Definitions", True, f"{len(definitions.resource_types)} resource types of R4")]
    try:
        database = await Database.open(settings, definitions)
    except CartFhirError as error:
        advice = "Run `cart-fhir migrate`; for PostgreSQL check CART_FHIR_DATABASE_URL"
        return [*checks, Check("Database", False, str(error), advice)]
    try:
        return [*checks, Check("Database", True, "reachable and migrated"), await _write(database)]
    finally:
        await database.close()


async def _write(database: Database) -> Check:
    resource = {"resourceType": "Basic", "code": {"text": "doctor"}}
    impossible = {**resource, "id": "cart-fhir-doctor"}
    try:
        await database.write(Plan((Create(resource), Update(impossible, if_match=1))))
    except CartFhirError as error:
        if error.status == 412:
            return Check("Writing", True, "a write was taken and rolled back")
        return Check("Writing", False, str(error), "Check the rights and the disk of the database")
    return Check("Writing", False, "a write that must fail did not", "The database is not one of this version")
