"""Filling one rule with one row: nodes → JSON, with the origin of every element."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from service.errors import Issue
from service.trial.mapping.identity import name_of
from service.trial.mapping.problems import problem
from service.trial.mapping.readers import Row
from service.trial.mapping.template import (
    OBJECT_KINDS,
    Absent,
    Array,
    Cell,
    Condition,
    Constant,
    Each,
    Guard,
    Index,
    Node,
    Object,
    Reference,
    Template,
    Text,
    UnitOf,
)
from service.trial.mapping.transforms import TRANSFORMS, items

ABSENT_URL = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
UCUM = "http://unitsofmeasure.org"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an element came from: FHIRPath `path`, row and column (None: a constant), line of the template.

    `carries`: the element holds the cell's value; else the cell only decided that the element is there.
    """

    path: str
    row: int
    column: str | None
    line: int
    carries: bool = True


@dataclass(frozen=True, slots=True)
class Missing:
    """A primitive that is absent for a reason: becomes `_name`."""

    reason: str


@dataclass(slots=True)
class Built:
    """What a node gave: `value` (None: nothing), how many holes it has, how many are filled."""

    value: Any = None
    holes: int = 0
    filled: int = 0
    origins: list[Origin] = field(default_factory=list)

    def take(self, other: Built) -> None:
        """Counts the holes of a part; its origins only if it is there."""
        self.holes += other.holes
        self.filled += other.filled
        if other.value is not None:
            self.origins += other.origins


def absent(reason: str) -> dict[str, Any]:
    """An element that says why its value is absent."""
    return {"extension": [{"url": ABSENT_URL, "valueCode": reason}]}


def quantity_unit(unit: Any) -> dict[str, Any]:
    """The part of a Quantity that a unit of the dictionary gives; unknown: no UCUM."""
    if unit.code is None:
        return {"_unit": absent("unknown")}
    return {"unit": unit.text, "system": UCUM, "code": unit.code}


@dataclass(slots=True)
class Filler:
    """Fills nodes of `template` with `row`; `resolve(name)` gives `Type/id` or None. Findings go to `issues`."""

    template: Template
    row: Row
    codings: Callable[[str, str], tuple[dict[str, str], ...] | None]
    resolve: Callable[[str], str | None]
    issues: list[Issue]
    consulted: set[str]
    items: dict[str, tuple[int, str]] = field(default_factory=dict)

    def cell(self, column: str) -> str:
        """The text of a column: of the current item, where its list is being repeated."""
        return self.items[column][1] if column in self.items else self.row.cells[column]

    def wrong(self, rule: str, text: str, *columns: str) -> None:
        """Notes a finding in this row; that the columns then are not used is no further finding."""
        self.consulted.update(columns)
        column = ", ".join(columns)
        self.issues.append(problem(rule, self.template.table.file, text, row=self.row.number, column=column))

    def origin(self, path: str, column: str | None, line: int, carries: bool = True) -> Origin:
        """An origin in this row."""
        return Origin(path, self.row.number, column, line, carries)

    def holds(self, condition: Condition) -> bool:
        """Whether a condition holds; a value that it decides on counts as used where the codes are closed."""
        columns = self.template.table.columns
        self.consulted.update(name for name in condition.columns if columns[name].codes)
        return condition.holds(self.cell)

    def fill(self, node: Node, path: str) -> Built:
        """What `node` gives at `path`."""
        match node:
            case Constant():
                return Built(node.value, origins=[self.origin(path, None, node.line)])
            case Object():
                return self._object(node, path)
            case Array():
                return self._array(node, path)
            case Guard():
                return self._guard(node, path)
            case Absent():
                return Built(Missing(node.reason), origins=[self.origin(path, None, node.line)])
            case Index():
                return Built(self.items[node.column][0], origins=[self.origin(path, node.column, node.line, False)])
            case Text():
                return self._text(node, path)
            case Cell():
                return self._cell(node, path)
            case Reference():
                return self._reference(node, path)
            case UnitOf():
                unit = quantity_unit(node.unit)
                parts = [f"{path}.{name.removeprefix('_')}" for name in unit]
                return Built(unit, origins=[self.origin(part, None, node.line) for part in parts])
        raise TypeError(type(node).__name__)

    def _object(self, node: Object, path: str) -> Built:
        result, content = Built(), {}
        if node.hole is not None:
            hole = self.fill(node.hole, path)
            result.take(hole)
            hole_value = hole.value or {}
            content |= {} if isinstance(node.hole, UnitOf) else hole_value
        for key, child in node.fields.items():
            part = self.fill(child, f"{path}.{key}")
            result.take(part)
            if isinstance(part.value, Missing):
                content[f"_{key}"] = absent(part.value.reason)
            elif part.value is not None:
                content[key] = part.value
        if isinstance(node.hole, UnitOf):
            content |= hole_value
        if content and (node.keep or not result.holes or result.filled):
            result.value = content
        return result

    def _array(self, node: Array, path: str) -> Built:
        result, content = Built(), []
        for part in self._parts(node, path, content):
            result.take(part)
            if part.value is not None:
                content.append(part.value)
        result.value = content or None
        return result

    def _parts(self, node: Array, path: str, content: list[Any]) -> Iterable[Built]:
        for child in node.items:
            if not isinstance(child, Each):
                yield self.fill(child, f"{path}[{len(content)}]")
                continue
            texts = items(self.row.cells[child.column], self.template.table.columns[child.column])
            if not texts:
                yield Built(holes=1)
            for number, text in enumerate(texts, 1):
                self.items[child.column] = (number, text)
                yield self.fill(child.node, f"{path}[{len(content)}]")
            self.items.pop(child.column, None)

    def _guard(self, node: Guard, path: str) -> Built:
        if not self.holds(node.condition):
            return Built(holes=1)
        built = self.fill(node.node, path)
        built.origins += [self.origin(path, column, node.line, False) for column in node.condition.columns]
        return Built(built.value, built.holes + 1, built.filled + 1, built.origins)

    def _text(self, node: Text, path: str) -> Built:
        cells = [self.cell(column) for column in node.columns]
        if not all(cells):
            return Built(holes=1)
        text = "".join(self.cell(part) if number % 2 else part for number, part in enumerate(node.parts))
        return Built(text, 1, 1, [self.origin(path, column, node.line) for column in node.columns])

    def _cell(self, node: Cell, path: str) -> Built:
        text = self.cell(node.column)
        origins = [self.origin(path, node.column, node.line)]
        if not text:
            if node.absent is None:
                return Built(holes=1)
            value = absent(node.absent) if node.kind in OBJECT_KINDS else Missing(node.absent)
            return Built(value, 1, 1, origins)
        if node.map is not None:
            return Built(self._mapped(node, text), 1, 1, origins)
        if node.kind == "reference":
            return Built(self._named(node.column, text), 1, 1, origins)
        return Built(TRANSFORMS[node.kind].read(text, self.template.table.columns[node.column]), 1, 1, origins)

    def _mapped(self, node: Cell, text: str) -> Any:
        codings = self.codings(node.map, text)
        if codings is None or (node.kind != "concept" and len(codings) != 1):
            self.wrong("mapping-unmapped-code", f"the ConceptMap {node.map} does not list this value", node.column)
            return None
        if node.kind == "concept":
            return {"coding": [dict(coding) for coding in codings]} if codings else {}
        return dict(codings[0]) if node.kind == "coding" else codings[0]["code"]

    def _named(self, column: str, name: str) -> Any:
        target = self.resolve(name)
        if target is None:
            self.wrong("mapping-unknown-resource", "must name a resource as template.rule/key", column)
            return None
        return {"reference": target}

    def _reference(self, node: Reference, path: str) -> Built:
        if node.by is None:
            return self._sibling(node, path)
        key = [self.cell(column) for column in node.by]
        if not all(key):
            return Built(holes=1)
        target = self.resolve(name_of(node.template, node.rule, key))
        origins = [self.origin(path, column, node.line) for column in node.by]
        if target is None and not self.row.wrong & set(node.by):
            text = f"no row makes the resource {node.template}.{node.rule} with this key"
            self.wrong("mapping-unknown-resource", text, *node.by)
        return Built({"reference": target} if target else None, 1, 1, origins or [self.origin(path, None, node.line)])

    def _sibling(self, node: Reference, path: str) -> Built:
        rule = self.template.rules[node.rule]
        item = self.items[rule.each][0] if rule.each else None
        key = [self.row.cells[column] for column in rule.key]
        target = self.resolve(name_of(node.template, node.rule, key, item))
        if target is None:
            return Built(holes=1)
        return Built({"reference": target}, 1, 1, [self.origin(path, None, node.line)])
