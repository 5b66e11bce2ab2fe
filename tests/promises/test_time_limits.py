"""No way of reading takes longer than the setting allows, whatever it asks."""

from __future__ import annotations

import pytest

from service.conformance.definitions import Definitions
from service.errors import Unavailable
from service.fhir.operations import Create, plan_of
from service.settings import Settings
from service.store.database import Database
from service.store.reading import Reader

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.mark.parametrize("way", ["_looking", "_reading"])
async def test_read_that_does_not_end_is_stopped(settings: Settings, definitions: Definitions, way: str) -> None:
    """Of a look-up by id, which on SQLite happens beside the threads, as of a search; the next one goes well."""
    impatient = settings.model_copy(update={"search_timeout_seconds": 0.3})
    database = await Database.open(impatient, definitions)

    def endless(reader: Reader) -> object:
        return reader.connection.rows(ENDLESS)

    try:
        (applied,) = await database.write(plan_of(Create({"resourceType": "Patient"})))
        with pytest.raises(Unavailable) as caught:
            await getattr(database, way)(endless)
        assert caught.value.issues[0].rule == "search-timeout"
        assert applied.stored is not None
        assert (await database.read("Patient", applied.stored.id)).version == 1
    finally:
        await database.close()
