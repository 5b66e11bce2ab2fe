"""The elements of a template: YAML values → nodes. Every finding names file, line, key and rule of the language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from service.trial.mapping.concepts import Concepts
from service.trial.mapping.dictionary import Column, Table
from service.trial.mapping.source import Path_, Source
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
    Text,
    UnitOf,
)

WORDS = ("$col", "$as", "$map", "$text", "$ref", "$by", "$unit", "$absent", "$each", "$index", "$when")
HEADS = ("$col", "$text", "$ref", "$unit", "$index")
# What a column of each type may become; all of these always read, because the dictionary has checked the cell.
KINDS = {
    "string": ("string", "boolean", "reference"),
    "code": ("string", "code", "boolean"),
    "integer": ("integer", "decimal", "string"),
    "decimal": ("decimal", "string"),
    "date": ("date", "string"),
}
# https://hl7.org/fhir/R4/valueset-data-absent-reason.html
ABSENT_REASONS = (
    *("unknown", "asked-unknown", "temp-unknown", "not-asked", "asked-declined", "masked", "not-applicable"),
    *("unsupported", "as-text", "error", "not-a-number", "negative-infinity", "positive-infinity"),
    *("not-performed", "not-permitted"),
)


@dataclass(frozen=True, slots=True)
class Head:
    """What other rules must know of a rule: its key columns and the list column that repeats it."""

    type: str
    key: tuple[str, ...]
    each: str | None


@dataclass(slots=True)
class Elements:
    """Parses the elements of one template; `heads` are all rules by (template, rule); `used` collects columns."""

    source: Source
    template: str
    table: Table
    heads: dict[tuple[str, str], Head]
    concepts: Concepts
    used: set[str]

    def node(self, value: Any, path: Path_, each: tuple[str, ...], parent: str) -> Node:
        """The node of `value`; `each` are the list columns that are being repeated, `parent` is object or array."""
        line = self.source.line(path) or 0
        if isinstance(value, list):
            items = tuple(self.node(item, (*path, number), each, "array") for number, item in enumerate(value))
            if not items:
                self.source.wrong(path, "FHIR has no empty lists")
            return Array(items, line)
        if isinstance(value, dict):
            return self.element(value, path, each, parent)
        if value is None or value == "":
            self.source.wrong(path, "FHIR has no empty values")
        return Constant(value, line)

    def element(self, value: dict[str, Any], path: Path_, each: tuple[str, ...], parent: str) -> Node:
        """The node of a mapping: constants, holes, or both."""
        line = self.source.line(path) or 0
        for word in [key for key in value if key.startswith("$") and key not in WORDS]:
            self.source.wrong((*path, word), f"unknown word; known are {', '.join(WORDS)}")
        repeated = self._each(value, path, each, parent)
        inner = (*each, repeated) if repeated else each
        when = value.get("$when", "always")
        condition = None if when == "always" else self.condition(when, (*path, "$when"))
        node = self._content(value, path, inner, parent, keep="$when" in value)
        if condition is not None:
            node = Guard(condition, node, line)
        return Each(repeated, node, line) if repeated else node

    def condition(self, value: Any, path: Path_) -> Condition:
        """A condition: a column, a list of columns, or columns with their values."""
        if isinstance(value, dict):
            return Condition(tuple((name, self._values(name, values, path)) for name, values in value.items()))
        names = value if isinstance(value, list) else [value]
        for name in names:
            self.column(name, path, carries=False)
        return Condition(tuple((str(name), None) for name in names))

    def column(self, name: Any, path: Path_, carries: bool = True) -> Column | None:
        """The column `name` of the table; notes a finding where there is none.

        It counts as used where the element carries its value, or decides on one of its closed codes.
        """
        column = self.table.columns.get(name) if isinstance(name, str) else None
        if column is None:
            self.source.wrong(path, f"no column of table {self.table.name}, which has {', '.join(self.table.columns)}")
        elif column.unmapped:
            self.source.wrong(path, "the dictionary says that this column is unmapped")
        elif carries or column.codes:
            self.used.add(column.name)
        return column

    def _values(self, name: str, values: Any, path: Path_) -> frozenset[str]:
        column = self.column(name, (*path, name), carries=False)
        listed = values if isinstance(values, list) else [values]
        texts = frozenset("" if text is None else str(text) for text in listed)
        if column and texts - {""} - set(column.codes):
            self.source.wrong((*path, name), 'each must be one of the column\'s codes in the dictionary, or ""')
        return texts

    def _each(self, value: dict[str, Any], path: Path_, each: tuple[str, ...], parent: str) -> str | None:
        if "$each" not in value:
            return None
        column = self.column(value["$each"], (*path, "$each"), carries=False)
        if parent != "array":
            self.source.wrong((*path, "$each"), "stands only in a list")
        if column and column.type != "list":
            self.source.wrong((*path, "$each"), "takes a column of type list")
        if column and column.name in each:
            self.source.wrong((*path, "$each"), "the column is already being repeated")
        return column.name if column else None

    def _content(self, value: dict[str, Any], path: Path_, each: tuple[str, ...], parent: str, keep: bool) -> Node:
        line = self.source.line(path) or 0
        heads = [word for word in HEADS if word in value]
        if len(heads) > 1:
            self.source.wrong(path, f"{' and '.join(heads)} exclude each other")
        for word, owner in (("$as", "$col"), ("$map", "$col"), ("$by", "$ref")):
            if word in value and owner not in value:
                self.source.wrong((*path, word), f"stands only beside {owner}")
        plain = {key: child for key, child in value.items() if not key.startswith("$")}
        fields = {key: self.node(child, (*path, key), each, "object") for key, child in plain.items()}
        if not heads and "$absent" not in value:
            if not fields:
                self.source.wrong(path, "FHIR has no empty elements")
            return Object(fields, None, keep, line)
        hole = self._hole(heads[0], value, path, each) if heads else self._absent(value, path, parent)
        if isinstance(hole, (Reference, UnitOf)) or (isinstance(hole, Cell) and hole.kind in OBJECT_KINDS):
            return Object(fields, hole, keep, line)
        if fields:
            self.source.wrong(path, "this word gives a primitive: nothing may stand beside it")
        if isinstance(hole, Cell) and hole.absent and parent == "array":
            self.source.wrong(path, "$absent cannot stand in a list of primitives")
        return hole

    def _absent(self, value: dict[str, Any], path: Path_, parent: str) -> Absent:
        if parent == "array":
            self.source.wrong(path, "$absent cannot stand in a list")
        return Absent(self._reason(value, path) or "", self.source.line(path) or 0)

    def _reason(self, value: dict[str, Any], path: Path_) -> str | None:
        reason = value.get("$absent")
        if reason is not None and reason not in ABSENT_REASONS:
            self.source.wrong((*path, "$absent"), f"must be one of {', '.join(ABSENT_REASONS)}")
        return reason

    def _hole(self, head: str, value: dict[str, Any], path: Path_, each: tuple[str, ...]) -> Any:
        if "$absent" in value and head != "$col":
            self.source.wrong((*path, "$absent"), "stands alone or beside $col")
        line = self.source.line(path) or 0
        at = (*path, head)
        if head == "$ref":
            return self._reference(value, path, each)
        if head == "$text":
            return Text(self._text(value[head], at, each), line)
        column = self.column(value[head], at, head == "$col") or Column(str(value[head]), "string")
        if head == "$col":
            return self._cell(column, value, path, each)
        if head == "$index":
            if column.name not in each:
                self.source.wrong(at, "stands only inside each or $each of this column")
            return Index(column.name, line)
        if column.unit is None:
            self.source.wrong(at, "the dictionary gives this column no unit")
        return UnitOf(column.name, column.unit, line)

    def _text(self, value: Any, path: Path_, each: tuple[str, ...]) -> tuple[str, ...]:
        parts = tuple(re.split(r"\{([^{}]*)\}", value if isinstance(value, str) else ""))
        if len(parts) < 3:
            self.source.wrong(path, "a text with at least one {column} is needed")
        for name in parts[1::2]:
            column = self.column(name, path)
            if column and column.type == "list" and name not in each:
                self.source.wrong(path, f"{name} is a list: it needs each or $each around")
        return parts

    def _cell(self, column: Column, value: dict[str, Any], path: Path_, each: tuple[str, ...]) -> Cell:
        map_ = value.get("$map")
        kind = value.get("$as", "code" if map_ is not None else column.item_type)
        if column.type == "list" and column.name not in each:
            self.source.wrong((*path, "$col"), "a list needs each or $each around")
        if map_ is not None:
            self._check_map(column, map_, kind, path)
        elif kind not in KINDS.get(column.item_type, ()):
            allowed = ", ".join(KINDS.get(column.item_type, ()))
            self.source.wrong((*path, "$as"), f"a column of type {column.item_type} becomes {allowed}")
        if kind == "boolean" and len(column.codes) != 2:
            self.source.wrong((*path, "$as"), "boolean needs two codes in the dictionary: true, then false")
        return Cell(column.name, kind, map_, self._reason(value, path), self.source.line(path) or 0)

    def _check_map(self, column: Column, map_: Any, kind: str, path: Path_) -> None:
        at = (*path, "$map")
        if kind not in ("code", "coding", "concept"):
            self.source.wrong((*path, "$as"), "beside $map: code, coding or concept")
        if map_ not in self.concepts:
            self.source.wrong(at, f"no ConceptMap with this id; known are {', '.join(self.concepts.ids) or 'none'}")
            return
        for word in column.codes or self.concepts.words(map_):
            targets = self.concepts.codings(map_, word)
            if targets is None:
                self.source.wrong(at, f"the ConceptMap {map_} does not list {word!r}, a code of the column")
            elif kind != "concept" and len(targets) != 1:
                self.source.wrong(at, f"{kind} needs one target, the ConceptMap {map_} has {len(targets)} for {word!r}")

    def _reference(self, value: dict[str, Any], path: Path_, each: tuple[str, ...]) -> Reference:
        at, line = (*path, "$ref"), self.source.line(path) or 0
        template, dot, rule = str(value["$ref"]).rpartition(".")
        head = self.heads.get((template or self.template, rule))
        if head is None:
            self.source.wrong(at, "no such rule; write `rule` or `template.rule`")
            return Reference(template, rule, None, line)
        if not dot and "$by" not in value:
            if head.each and head.each not in each:
                self.source.wrong(at, f"the rule is made for each item of {head.each}: stand inside each of it")
            return Reference(self.template, rule, None, line)
        if head.each:
            self.source.wrong(at, "the rule is made for each item: use $as: reference")
        by = tuple(value.get("$by", head.key))
        for name in by:
            self.column(name, (*path, "$by"))
        if len(by) != len(head.key):
            self.source.wrong((*path, "$by"), f"the key of the rule is {', '.join(head.key) or 'empty'}")
        return Reference(template or self.template, rule, by, line)
