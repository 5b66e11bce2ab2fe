"""Searches as the tests of the store ask them: against the database, and in memory where that is possible."""

from __future__ import annotations

from collections.abc import Sequence

from service.fhir import json, references, search
from service.fhir.conditions import Query, chained
from service.fhir.dates import micros
from service.store.database import Database
from service.store.match import matches


def pairs_of(text: str) -> list[tuple[str, str]]:
    """Names and values of `a=b&c=d`, which is not URL-encoded here."""
    pairs = [part.partition("=") for part in text.split("&") if part]
    return [(name, value) for name, _, value in pairs]


def ask(database: Database, type_: str | None, text: str, handling: str = "strict", types: Sequence[str] = ()) -> Query:
    """The Query of a query string; `type_` None: of several `types`."""
    return search.parse(
        type_,
        pairs_of(text),
        database.parameters,
        zone=database.zone,
        handling=handling,
        terms=database.terms,
        types=types or tuple(database.statements.numbers),
    )


async def found(database: Database, type_: str, text: str) -> str:
    """The ids of the matches, in order; memory must say the same as SQL, and the total must be exact."""
    query = ask(database, type_, f"{text}&_total=accurate")
    page = await database.search(query)
    ids = [match.id for match in page.matches]
    assert page.total == len(ids)
    if not any(chained(condition) for condition in query.conditions):
        assert sorted(ids) == sorted(await in_memory(database, query))
    return " ".join(ids)


async def in_memory(database: Database, query: Query) -> list[str]:
    """The ids that the search of a transaction's own resources would find."""
    ids = []
    for match in (await database.search(ask(database, query.type, ""))).matches:
        resource = json.decode(match.content or b"")
        values = database.indexer.values(resource, references.find(resource).local)
        if all(matches(one, query.type, match.id, micros(match.updated), values) for one in query.conditions):
            ids.append(match.id)
    return ids
