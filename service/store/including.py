"""`_include` and `_revinclude`: along the references of a page's matches, with `iterate` also of what they bring.

Source: https://hl7.org/fhir/R4/search.html#revinclude
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from service.errors import Conflict
from service.fhir.conditions import Include
from service.store.engine import Connection
from service.store.numbering import parameter_number

MOST_INCLUDED = 10_000


def keys(
    connection: Connection, numbers: dict[str, int], includes: Sequence[Include], matches: Sequence[int]
) -> list[int]:
    """The keys of the resources to include, without the matches. Raises Conflict where they are too many."""
    seen = set(matches)
    found = _round(connection, numbers, includes, matches, seen)
    again = [include for include in includes if include.iterate]
    newest = found
    while again and newest:
        newest = _round(connection, numbers, again, newest, seen)
        found = found + newest
    return found


def _round(
    connection: Connection, numbers: dict[str, int], includes: Iterable[Include], start: Sequence[int], seen: set[int]
) -> list[int]:
    """What the includes lead to from `start`, each resource once; `seen` grows."""
    found: list[int] = []
    for include in includes:
        text, values = _statement(include, numbers)
        for (key,) in connection.among(text, values, start):
            if key not in seen:
                seen.add(key)
                found.append(key)
        if len(seen) - len(start) > MOST_INCLUDED:
            text = f"The page would include more than {MOST_INCLUDED} resources; ask for fewer by _count"
            raise Conflict(text, code="too-costly", rule="too-many-included")
    return found


def _statement(include: Include, numbers: dict[str, int]) -> tuple[str, tuple[int, ...]]:
    """The references in one direction, up to the `IN` of where they start."""
    here, there = ("i.target", "i.key") if include.reverse else ("i.key", "i.target")
    joins, where, values = "", "i.param <> 0", []  # 0: a reference that no search parameter covers
    if include.parameter is not None and include.source is not None:
        where, values = "i.param = ?", [parameter_number(include.source, include.parameter.code)]
    elif include.source is not None:
        joins += " JOIN resource s ON s.key = i.key"
        where += " AND s.type = ?"
        values.append(numbers.get(include.source, -1))
    if include.target is not None:
        joins += " JOIN resource t ON t.key = i.target"
        where += " AND t.type = ?"
        values.append(numbers.get(include.target, -1))
    return f"SELECT DISTINCT {there} FROM reference_index i{joins} WHERE {where} AND {here} IN", tuple(values)
