"""Which resources of ours a connection pushes: of chosen types, of linked patients, not made elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from service.errors import BadRequest, CartFhirError
from service.fhir.operations import Resource
from service.fhir.search import Query
from service.store.database import Database
from service.sync.pushable import entries_of


class Selection:
    """The entries of `push` of one connection."""

    def __init__(self, database: Database, entries: Iterable[str]) -> None:
        self._database = database
        self._searches: dict[str, list[str]] = {}
        for entry in entries_of(entries):
            type_, _, search = entry.partition("?")
            self._searches.setdefault(type_, []).append(search)

    @property
    def types(self) -> Sequence[str]:
        """The types of which something is pushed."""
        return sorted(self._searches)

    async def takes(self, resource: Resource) -> bool:
        """Whether one of the entries takes it, as it is stored. Raises CartFhirError for a search that is wrong."""
        searches = self._searches.get(resource["resourceType"], [])
        if "" in searches:
            return True
        for search in searches:
            query = self._database.parse_condition(resource["resourceType"], f"{search}&_id={resource['id']}")
            if (await self._database.search(query)).matches:
                return True
        return False

    async def of_patient(self, type_: str, patient: str) -> list[str]:
        """`Type/id` of all resources of a type that speak of `Patient/id`, the oldest first."""
        query = self._of(type_, patient)
        found = [resource async for resource in self._database.resources(query)]
        found.sort(key=lambda one: one["meta"]["lastUpdated"])
        return [f"{type_}/{one['id']}" for one in found]

    def check(self) -> None:
        """Raises BadRequest where a search cannot be understood, or a type has none by patient."""
        for type_, searches in self._searches.items():
            self._of(type_, "Patient/x")
            for search in filter(None, searches):
                self._database.parse_condition(type_, search)

    def _of(self, type_: str, patient: str) -> Query:
        for name in ("patient", "subject"):
            with suppress(CartFhirError):
                return self._database.parse_condition(type_, f"{name}={patient}")
        text = f"{type_} has no search by patient, by which what is pushed of somebody is found"
        raise BadRequest(text, code="not-supported", rule="push-without-patient")
