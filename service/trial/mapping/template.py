"""A parsed template: resources made of nodes. All are values; `line` is the 1-based line in the template's file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from service.trial.mapping.concepts import Concepts
from service.trial.mapping.dictionary import Dictionary, Table, Unit

OBJECT_KINDS = frozenset({"coding", "concept", "reference"})


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds where every test does: (column, None) has a value; (column, values) is one of them."""

    tests: tuple[tuple[str, frozenset[str] | None], ...]

    def holds(self, cell: Callable[[str], str]) -> bool:
        """Whether it holds for the cells that `cell(column)` gives."""
        return all(bool(cell(column)) if values is None else cell(column) in values for column, values in self.tests)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it looks at."""
        return tuple(column for column, _ in self.tests)


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is copied."""

    value: Any
    line: int


@dataclass(frozen=True, slots=True)
class Cell:
    """`$col`: `kind` is a transform, or code, coding, concept (with `map`), or reference."""

    column: str
    kind: str
    map: str | None
    absent: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Text:
    """`$text`: texts and columns in turn, beginning and ending with a text."""

    parts: tuple[str, ...]
    line: int

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in it."""
        return self.parts[1::2]


@dataclass(frozen=True, slots=True)
class Reference:
    """`$ref`: to `rule` of `template`; `by` are the columns of this row with its key, None for the same row."""

    template: str
    rule: str
    by: tuple[str, ...] | None
    line: int


@dataclass(frozen=True, slots=True)
class UnitOf:
    """`$unit`: the unit of a column."""

    column: str
    unit: Unit
    line: int


@dataclass(frozen=True, slots=True)
class Absent:
    """`$absent` alone: a primitive with a data-absent-reason."""

    reason: str
    line: int


@dataclass(frozen=True, slots=True)
class Index:
    """`$index`: the position, from 1, of the item of a list column."""

    column: str
    line: int


@dataclass(frozen=True, slots=True)
class Object:
    """An element: `fields` beside what `hole` gives; `keep` keeps it where all its holes are empty."""

    fields: dict[str, Node]
    hole: Cell | Reference | UnitOf | None
    keep: bool
    line: int


@dataclass(frozen=True, slots=True)
class Array:
    """A list of elements; those that are empty are left out."""

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Guard:
    """`$when`: the element only where the condition holds."""

    condition: Condition
    node: Node
    line: int


@dataclass(frozen=True, slots=True)
class Each:
    """`$each`: the element once for each item of a list column. Stands only in an Array."""

    column: str
    node: Node
    line: int


Node = Constant | Cell | Text | Reference | UnitOf | Absent | Index | Object | Array | Guard | Each


@dataclass(frozen=True, slots=True)
class Rule:
    """One resource of a template."""

    name: str
    type: str
    body: Object
    when: Condition | None
    each: str | None
    key: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Template:
    """The rules for the rows of one table."""

    name: str
    file: str
    table: Table
    key: tuple[str, ...]
    rules: dict[str, Rule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Study:
    """A study's folder, read and checked."""

    name: str
    title: str
    folder: Any
    dictionary: Dictionary
    templates: dict[str, Template]
    concepts: Concepts
