"""Query string to Query and back (placeholder header; completed below)."""

from __future__ import annotations

from dataclasses import dataclass

from service.fhir.parameters import SearchParameter, SearchParameters

__all__ = ["Query", "SearchParameter", "SearchParameters"]


@dataclass(frozen=True, slots=True)
class Query:
    type: str | None
