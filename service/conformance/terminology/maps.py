"""Where concept maps lead, forwards and in reverse. Source: https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.conformance.concepts import ConceptMap, Row
from service.conformance.records import canonical

# A map that is read backwards: a target that is wider than its source has a source that is narrower.
REVERSED = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}
NO_MATCH = frozenset({"unmatched", "disjoint"})


@dataclass(frozen=True, slots=True)
class Target:
    """Where a concept map leads: `equivalence` as in R4 (`equivalent`, `wider`, `unmatched`…)."""

    system: str
    code: str
    display: str
    equivalence: str


@dataclass(frozen=True, slots=True)
class Match:
    """One match of `$translate`: the `target`, the canonical of the `source` map, its comment, further products."""

    target: Target
    source: str
    comment: str = ""
    products: tuple[tuple[str, str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be translated; `dependencies` are (element, code) that the client knows.

    `into` is the canonical of the code system that is sought, or empty.
    """

    system: str
    code: str
    into: str = ""
    dependencies: frozenset[tuple[str, str]] = frozenset()
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The matches, the elements that rows depend on and the client did not state, and whether a map speaks of it."""

    matches: tuple[Match, ...]
    needed: tuple[str, ...]
    covered: bool


def targets(source: ConceptMap) -> Mapping[str, list[tuple[str, Target]]]:
    """The rows by source code, as (source system, target)."""
    table: dict[str, list[tuple[str, Target]]] = {}
    for row in source.rows:
        target = Target(row.target_system, row.target, row.display, row.equivalence)
        table.setdefault(row.source, []).append((canonical(row.source_system), target))
    return table


def translate(maps: Iterable[ConceptMap], wish: Wish) -> Found:
    """What the maps say of a code."""
    matches: list[Match] = []
    needed: dict[str, None] = {}
    covered = False
    for one in maps:
        rows = [row for row in one.rows if _same(wish.into, _far_system(row, wish))]
        covered = covered or any(_same(_near_system(row, wish), wish.system) for row in rows) or bool(one.unmapped)
        found = [row for row in rows if _near(row, wish) == wish.code and _same(_near_system(row, wish), wish.system)]
        for row in found:
            lacking = [element for element, _, code, _ in row.depends if (element, code) not in wish.dependencies]
            needed |= dict.fromkeys(lacking)
            if not lacking:
                matches.append(_match(one, row, wish))
        if not found and not wish.reverse:
            matches.extend(_unmapped(one, wish))
    return Found(tuple(dict.fromkeys(matches)), tuple(needed), covered)


def _near(row: Row, wish: Wish) -> str:
    return row.target if wish.reverse else row.source


def _near_system(row: Row, wish: Wish) -> str:
    return row.target_system if wish.reverse else row.source_system


def _far_system(row: Row, wish: Wish) -> str:
    return row.source_system if wish.reverse else row.target_system


def _same(one: str, other: str) -> bool:
    """Whether two systems may be the same: a map or a wish that names none excludes none."""
    return not one or not other or canonical(one) == canonical(other)


def _match(source: ConceptMap, row: Row, wish: Wish) -> Match:
    name = f"{source.url}|{source.version}" if source.url and source.version else source.url
    if wish.reverse:
        equivalence = REVERSED.get(row.equivalence, row.equivalence)
        return Match(Target(row.source_system, row.source, "", equivalence), name, row.comment)
    return Match(Target(row.target_system, row.target, row.display, row.equivalence), name, row.comment, row.products)


def _unmapped(source: ConceptMap, wish: Wish) -> list[Match]:
    """What the groups of a map do with codes that they do not name; another map is not followed."""
    found = []
    for rule in source.unmapped:
        if _same(rule.source_system, wish.system) and _same(wish.into, rule.target_system):
            if rule.mode == "provided":
                target = Target(rule.target_system, wish.code, "", "equal")
            elif rule.mode == "fixed":
                target = Target(rule.target_system, rule.code, rule.display, "relatedto")
            else:
                continue
            found.append(Match(target, source.url, f"by the map's rule for codes that it does not name ({rule.mode})"))
    return found
