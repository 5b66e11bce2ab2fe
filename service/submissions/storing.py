"""The shipped forms and schedules in the store, so that they can be read, searched and populated."""

from __future__ import annotations

from service.fhir.operations import Plan, Update
from service.store.database import Database
from service.submissions import forms
from service.submissions.plan_definitions import known_plans


async def import_forms(database: Database) -> int:
    """Stores the Questionnaires, their CodeSystems and the PlanDefinitions; how many of them were new or changed."""
    shipped = [*forms.resources(), *known_plans().values()]
    applied = await database.write(Plan(tuple(map(Update, shipped))))
    return sum(one.outcome != "unchanged" for one in applied)
