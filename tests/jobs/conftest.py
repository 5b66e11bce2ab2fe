"""The rooms of a service, over a store of each kind."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.jobs import Rooms
from service.settings import Settings
from service.store.database import Database


@pytest.fixture
async def rooms(settings: Settings, definitions: Definitions, database: Database) -> Rooms:
    return Rooms(settings, definitions, database, Validator(definitions))


@pytest.fixture
def prepared(definitions: Definitions, tmp_path: Path) -> Path:
    """A data folder for processes of our own that has the definitions in it already."""
    (tmp_path / "definitions").symlink_to(Path(tempfile.gettempdir()) / f"cart-fhir-tests-{os.getuid()}")
    return tmp_path
