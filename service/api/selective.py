"""Conditional criteria: strict, because a parameter that is ignored would match what nobody meant."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request

from service.api.server import server_of
from service.errors import PreconditionFailed
from service.fhir.conditions import Query, Scope


def selective(request: Request, type_: str, pairs: Sequence[tuple[str, str]]) -> Query:
    """The Query of a conditional interaction. Raises BadRequest; PreconditionFailed when nothing is chosen."""
    query = server_of(request).query(Scope(type_), pairs, "strict")
    if not query.conditions:
        raise PreconditionFailed("The criteria choose nothing: at least one search parameter is needed")
    return query
