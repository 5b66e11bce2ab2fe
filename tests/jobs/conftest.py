"""The rooms of a service, over a store of each kind."""

from __future__ import annotations

import pytest

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.jobs import Rooms
from service.settings import Settings
from service.store.database import Database


@pytest.fixture
async def rooms(settings: Settings, definitions: Definitions, database: Database) -> Rooms:
    return Rooms(settings, definitions, database, Validator(definitions))
