"""The codes of value sets, code systems and concept maps as rows of tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from service.conformance.terminology import Terminology
from service.web.guide import links
from service.web.guide.content import Guide, Resource
from service.web.guide.links import Link


@dataclass(frozen=True, slots=True)
class Code:
    """A code of a system; `definition` where the code system gives one."""

    system: Link
    code: str
    display: str
    definition: str = ""


@dataclass(frozen=True, slots=True)
class Mapped:
    """One row of a concept map; `code` is '' where nothing corresponds."""

    source: str
    code: str
    display: str
    equivalence: str
    comment: str


def expansion(guide: Guide, terminology: Terminology, value_set: Resource) -> list[Code] | None:
    """The codes of a value set in the order in which it lists them; None where a code system is not at hand."""
    codes = terminology.expand(value_set["url"])
    if codes is None:
        return None
    listed = dict(_displays(value_set))
    places = {key: place for place, key in enumerate(listed)}
    found = [
        Code(
            links.to(guide, system),
            code,
            listed.get((system, code)) or terminology.display(system, code) or "",
        )
        for system, members in codes.items()
        for code in sorted(members, key=lambda one: (places.get((system, one), len(places)), one))
    ]
    return found


def _displays(value_set: Resource) -> Iterator[tuple[tuple[str, str], str]]:
    for part in value_set["compose"]["include"]:
        for concept in part.get("concept", ()):
            yield (part.get("system", ""), concept["code"]), concept.get("display", "")


def composition(guide: Guide, value_set: Resource) -> Iterator[tuple[Link, str, str]]:
    """Of each include: the system or value set, its canonical, and what of it."""
    for part in value_set["compose"]["include"]:
        concepts = part.get("concept", ())
        if "system" in part:
            yield links.to(guide, part["system"]), part["system"], _count(len(concepts)) if concepts else "all codes"
        for url in part.get("valueSet", ()):
            yield links.to(guide, url), url, "all of it"


def _count(number: int) -> str:
    return f"{number} code" if number == 1 else f"{number} codes"


def concepts(system: Resource) -> list[Code]:
    """The concepts of a code system, those inside others behind them."""
    nowhere = Link("")
    found: list[Code] = []
    waiting = list(reversed(system.get("concept", ())))
    while waiting:
        one = waiting.pop()
        found.append(Code(nowhere, one["code"], one.get("display", ""), one.get("definition", "")))
        waiting += reversed(one.get("concept", ()))
    return found


def mappings(guide: Guide, concept_map: Resource) -> Iterator[tuple[Link, Link, list[Mapped]]]:
    """(source system, target system, rows) of each group."""
    for group in concept_map["group"]:
        rows = [
            Mapped(
                element["code"],
                target.get("code", ""),
                target.get("display", ""),
                target["equivalence"],
                target.get("comment", ""),
            )
            for element in group["element"]
            for target in element["target"]
        ]
        yield links.to(guide, group["source"]), links.to(guide, group["target"]), rows
