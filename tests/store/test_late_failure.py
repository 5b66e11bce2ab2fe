"""A plan that fails after its rows were put into the transaction: a search at its end that asks for too much."""

from __future__ import annotations

import asyncio

import pytest

from service.errors import Conflict
from service.fhir import search
from service.fhir.operations import Search, Update, plan_of
from service.store import including
from service.store.database import Database
from tests.store.test_write import observation, patient


async def test_plan_whose_last_search_fails_changes_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(including, "MOST_INCLUDED", 1)
    pairs = [("_revinclude", "Observation:subject")]
    query = search.parse("Patient", pairs, database.parameters, zone=database.zone)
    labs = (Update(observation(id=name)) for name in ("x", "y"))
    failing = plan_of(Update(patient(id="a")), *labs, Search(query))
    neighbours = [plan_of(Update(patient(id=name))) for name in ("b", "c")]
    outcomes = await asyncio.gather(
        database.write(neighbours[0]), database.write(failing), database.write(neighbours[1]), return_exceptions=True
    )
    assert isinstance(outcomes[1], Conflict)
    assert not isinstance(outcomes[0], BaseException)
    assert not isinstance(outcomes[2], BaseException)
    history = await database.history()
    assert sorted(stored.id for stored in history.versions) == ["b", "c"]
