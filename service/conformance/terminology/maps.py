"""Where concept maps lead, forwards and in reverse. Source: https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.conformance.concepts import ConceptMap, Row, Unmapped
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

    `into` is the canonical of the code system that is sought, or empty. `loose`: a map that does not name its system
    may be of any, as where the client chose the map.
    """

    system: str
    code: str
    into: str = ""
    dependencies: frozenset[tuple[str, str]] = frozenset()
    reverse: bool = False
    loose: bool = True


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
        rows = [row for row in one.rows if _into(_far_system(row, wish), wish) and _from(_near_system(row, wish), wish)]
        rules = (
            []
            if wish.reverse
            else [rule for rule in one.unmapped if _into(rule.target_system, wish) and _from(rule.source_system, wish)]
        )
        covered = covered or bool(rows) or bool(rules)
        found = [row for row in rows if _near(row, wish) == wish.code]
        for row in found:
            lacking = [element for element, _, code, _ in row.depends if (element, code) not in wish.dependencies]
            needed |= dict.fromkeys(lacking)
            if not lacking:
                matches.append(_match(one, row, wish))
        if not found:
            matches.extend(match for rule in rules if (match := _unmapped(one, rule, wish)))
    return Found(tuple(dict.fromkeys(matches)), tuple(needed), covered)


def _near(row: Row, wish: Wish) -> str:
    return row.target if wish.reverse else row.source


def _near_system(row: Row, wish: Wish) -> str:
    return row.target_system if wish.reverse else row.source_system


def _far_system(row: Row, wish: Wish) -> str:
    return row.source_system if wish.reverse else row.target_system


def _from(system: str, wish: Wish) -> bool:
    """Whether the code that is to be translated may be of this system."""
    if not system or not wish.system:
        return wish.loose
    return canonical(system) == canonical(wish.system)


def _into(system: str, wish: Wish) -> bool:
    """Whether this is a system that is sought."""
    return not wish.into or canonical(system) == canonical(wish.into)


def _match(source: ConceptMap, row: Row, wish: Wish) -> Match:
    name = f"{source.url}|{source.version}" if source.url and source.version else source.url
    if wish.reverse:
        equivalence = REVERSED.get(row.equivalence, row.equivalence)
        return Match(Target(row.source_system, row.source, "", equivalence), name, row.comment)
    return Match(Target(row.target_system, row.target, row.display, row.equivalence), name, row.comment, row.products)


def _unmapped(source: ConceptMap, rule: Unmapped, wish: Wish) -> Match | None:
    """What a group does with a code that it does not name; another map (`other-map`) is not followed."""
    text = f"By the map's rule for codes that it does not name ({rule.mode})"
    if rule.mode == "provided":
        return Match(Target(rule.target_system, wish.code, "", "equal"), source.url, text)
    if rule.mode == "fixed":
        return Match(Target(rule.target_system, rule.code, rule.display, "relatedto"), source.url, text)
    return None
