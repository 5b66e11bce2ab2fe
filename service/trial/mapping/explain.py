"""Where an element of a mapped resource came from: file, row, column, rule, and the line of the template."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from service.errors import BadRequest, NotFound
from service.trial.mapping.engine import Mapped
from service.trial.mapping.filling import Origin
from service.trial.mapping.template import Study

Segment = tuple[str, str]
SEGMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)((?:\[[0-9]+\])*)")


@dataclass(frozen=True, slots=True)
class Explanation:
    """One source of one element. `column` None: a constant of the template."""

    path: str
    file: str
    row: int
    column: str | None
    rule: str
    template: str
    line: int
    cited: str

    def __str__(self) -> str:
        source = f"{self.file}, row {self.row}, column {self.column}" if self.column else "a constant of the template"
        cited = f" [{self.cited}]" if self.cited and self.column else ""
        return f"{self.path} ← {source}{cited}; rule {self.rule} ({self.template}, line {self.line})"


def explain(study: Study, mapped: Iterable[Mapped], reference: str, path: str = "") -> list[Explanation]:
    """The sources of the element at `path` of `Type/id`, and of all below it.

    `path` is a FHIRPath of names and indexes (`Observation.value.code`; an index may be left out, the type too).
    Raises NotFound for a resource or element that the mapping did not make, BadRequest for another expression.
    """
    one = next((one for one in mapped if one.reference == reference), None)
    if one is None:
        raise NotFound(f"The mapping of {study.name} makes no {reference}")
    template = study.templates[one.template]
    citations = dict(one.citations)
    wanted = _segments(path.removeprefix(one.resource["resourceType"]).removeprefix("."))
    if not _find([one.resource], wanted):
        raise NotFound(f"{reference} has no element at this path", expression=path)
    found = [
        Explanation(
            origin.path,
            template.table.file,
            origin.row,
            origin.column,
            f"{one.template}.{one.rule}",
            template.file,
            origin.line,
            _cited(citations[origin.row]),
        )
        for origin in one.origins
        if _explains(origin, wanted)
    ]
    return list(dict.fromkeys(found))


def _cited(citation: dict[str, str]) -> str:
    return ", ".join(f"{key} {value}" if key in ("row", "column") else value for key, value in citation.items())


def _segments(path: str) -> list[Segment]:
    segments = []
    for part in path.split(".") if path else []:
        found = SEGMENT.fullmatch(part)
        if found is None:
            raise BadRequest("Only names and indexes can be explained", expression=path, code="not-supported")
        segments.append((found[1], found[2]))
    return segments


def _explains(origin: Origin, wanted: list[Segment]) -> bool:
    """Whether the origin is of the wanted element, of one below it, or of the hole that made it and more."""
    actual = _segments(origin.path)[1:]
    same = all(_same(name, index, want) for (name, index), want in zip(actual, wanted, strict=False))
    return same and (len(actual) >= len(wanted) or (origin.carries and bool(actual)))


def _same(name: str, index: str, wanted: Segment) -> bool:
    """Same index where one is wanted; `value` is any `valueX` (hl7.org/fhir/R4/fhirpath.html#polymorphism)."""
    choice = name.startswith(wanted[0]) and name[len(wanted[0]) :][:1].isupper()
    return (name == wanted[0] or choice) and wanted[1] in ("", index)


def _find(values: list[Any], wanted: list[Segment]) -> list[Any]:
    """The values at a path below `values`; an absent primitive (`_name`) is there."""
    for want in wanted:
        values = [
            one
            for value in values
            if isinstance(value, dict)
            for key, part in value.items()
            for number, one in enumerate(part if isinstance(part, list) else [part])
            if _same(key.removeprefix("_"), f"[{number}]" if isinstance(part, list) else "", want)
        ]
    return values
