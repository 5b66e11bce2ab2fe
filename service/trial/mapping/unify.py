"""A template's node against an element of a resource: which cells could have given it?

`match` yields every answer; none means that this node did not make this element.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from service.trial.mapping.concepts import Concepts
from service.trial.mapping.filling import absent, quantity_unit
from service.trial.mapping.possible import ANYTHING, EMPTY, FILLED, Cells, Texts, exactly
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
    Table,
    Text,
    UnitOf,
)
from service.trial.mapping.transforms import TRANSFORMS

NOTHING: Any = None
Name = tuple[str, str, tuple[str, ...], str]  # template, rule, key, full name


def given(condition: Condition) -> Cells:
    """What a condition that holds says."""
    return Cells({column: FILLED if values is None else Texts(values) for column, values in condition.tests})


def denied(condition: Condition) -> Cells:
    """What a condition that does not hold says: nothing, where it has several tests."""
    if len(condition.tests) != 1:
        return ANYTHING
    ((column, values),) = condition.tests
    return Cells({column: EMPTY if values is None else Texts(never=values)})


@dataclass(frozen=True, slots=True)
class Unifier:
    """`named(reference)` gives the name of a resource whose row is already known."""

    table: Table
    concepts: Concepts
    named: Callable[[str], Name | None]

    def match(self, node: Node, value: Any) -> Iterator[Cells]:
        """The cells that would make `value` (NOTHING: no element) out of `node`."""
        match node:
            case Object():
                yield from self._object(node, value)
            case Array():
                yield from self._array(node, value)
            case Guard():
                if value is NOTHING:
                    yield denied(node.condition)
                    yield from self._both(given(node.condition), self.match(node.node, value))
                else:
                    yield from self._both(given(node.condition), self.match(node.node, value))
            case Constant():
                if value is not NOTHING and type(value) is type(node.value) and value == node.value:
                    yield ANYTHING
            case Text():
                yield from self._text(node, value)
            case Index():
                if value is not NOTHING:
                    yield ANYTHING
            case Cell():
                yield from self._cell(node, value)
            case Reference() | UnitOf() | Absent():
                raise TypeError(f"{type(node).__name__} is matched by the element around it")

    @staticmethod
    def _both(first: Cells, rest: Iterator[Cells]) -> Iterator[Cells]:
        for cells in rest:
            both = first & cells
            if both is not None:
                yield both

    def _object(self, node: Object, value: Any) -> Iterator[Cells]:
        if value is NOTHING:
            yield from self._vanished(node)
        elif isinstance(value, dict):
            yield from self._parts(node, value, list(node.fields.items()), self._hole(node, value))

    def _parts(self, node: Object, value: dict[str, Any], parts: list[Any], found: Iterator[Cells]) -> Iterator[Cells]:
        if not parts:
            yield from found
            return
        *before, (key, child) = parts
        for cells in self._parts(node, value, before, found):
            yield from self._both(cells, self._field(key, child, value))

    def _field(self, key: str, child: Node, value: dict[str, Any]) -> Iterator[Cells]:
        """A field, which stands under `_key` where it is an absent primitive."""
        inner = child.node if isinstance(child, Guard) else child
        reason = inner.reason if isinstance(inner, Absent) else inner.absent if isinstance(inner, Cell) else None
        if reason is None or (isinstance(inner, Cell) and inner.kind in OBJECT_KINDS):
            yield from self.match(child, value.get(key))
            return
        is_absent = key not in value and value.get(f"_{key}") == absent(reason)
        states = given(child.condition) if isinstance(child, Guard) else ANYTHING
        if is_absent:
            said = Cells({inner.column: EMPTY}) if isinstance(inner, Cell) else ANYTHING
            yield from self._both(states, iter([said]))
        elif isinstance(inner, Cell) and key in value:
            yield from self._both(states, self.match(inner, value[key]))
        elif isinstance(child, Guard) and key not in value:
            yield denied(child.condition)

    def _vanished(self, node: Object) -> Iterator[Cells]:
        """An element that is not there: every hole in it was empty, and nothing keeps it."""
        has_constants = any(isinstance(child, (Constant, Absent, Index)) for child in node.fields.values())
        if node.keep and has_constants:
            return
        found = self._missing_hole(node)
        for child in node.fields.values():
            if not isinstance(child, (Constant, Absent, Index)):
                found = self._product(found, child)
        if has_constants and not _has_holes(node):
            return
        yield from found

    def _product(self, found: Iterator[Cells], child: Node) -> Iterator[Cells]:
        for cells in found:
            empty = [ANYTHING] if not _has_holes(child) else self.match(child, NOTHING)
            yield from self._both(cells, iter(empty))

    def _missing_hole(self, node: Object) -> Iterator[Cells]:
        hole = node.hole
        if isinstance(hole, Cell):
            if hole.absent is None:
                yield Cells({hole.column: EMPTY})
        elif isinstance(hole, Reference) and hole.by is not None:
            yield Cells({hole.by[0]: EMPTY}) if len(hole.by) == 1 else ANYTHING
        else:
            yield ANYTHING

    def _hole(self, node: Object, value: dict[str, Any]) -> Iterator[Cells]:
        hole = node.hole
        rest = {key: part for key, part in value.items() if key not in node.fields}
        if hole is None:
            yield ANYTHING
        elif isinstance(hole, UnitOf):
            if all(rest.get(key) == part for key, part in quantity_unit(hole.unit).items()):
                yield ANYTHING
        elif isinstance(hole, Reference):
            yield from self._reference(hole, rest)
        elif hole.absent and rest == absent(hole.absent):
            yield Cells({hole.column: EMPTY})
        else:
            yield from self._object_cell(hole, rest)

    def _reference(self, hole: Reference, rest: dict[str, Any]) -> Iterator[Cells]:
        if "reference" not in rest:
            yield from self._missing_hole(Object({}, hole, True, hole.line))
        elif hole.by is None:
            yield ANYTHING
        else:
            name = self.named(rest["reference"])
            if name is None:
                yield ANYTHING
            elif name[:2] == (hole.template, hole.rule):
                yield Cells({column: exactly(part) for column, part in zip(hole.by, name[2], strict=True)})

    def _object_cell(self, hole: Cell, rest: dict[str, Any]) -> Iterator[Cells]:
        if hole.kind == "reference":
            name = self.named(rest.get("reference", ""))
            words = frozenset({name[3]} if name else ())
            if "reference" in rest and not name:
                yield Cells({hole.column: FILLED})
        elif hole.kind == "coding":
            words = self.concepts.by_codings(hole.map or "", [rest])
        else:
            words = self.concepts.by_codings(hole.map or "", rest.get("coding", []))
        if words:
            yield Cells({hole.column: Texts(words)})
        if not rest:
            yield Cells({hole.column: EMPTY})

    def _cell(self, node: Cell, value: Any) -> Iterator[Cells]:
        if value is NOTHING:
            yield Cells({node.column: EMPTY})
            return
        column = self.table.columns[node.column]
        if node.map is not None:
            texts = self.concepts.by_code(node.map, value)
        else:
            texts = TRANSFORMS[node.kind].write(value, column)
        if texts:
            yield Cells({node.column: Texts(texts)})

    def _text(self, node: Text, value: Any) -> Iterator[Cells]:
        """With one column in it a text gives its cell back; with several only that they are filled."""
        if value is NOTHING:
            yield Cells({node.columns[0]: EMPTY}) if len(node.columns) == 1 else ANYTHING
            return
        pattern = "".join("(.+)" if number % 2 else re.escape(part) for number, part in enumerate(node.parts))
        found = re.fullmatch(pattern, value, re.DOTALL) if isinstance(value, str) else None
        if found and len(node.columns) == 1:
            yield Cells({node.columns[0]: exactly(found[1])})
        elif found:
            yield Cells(dict.fromkeys(node.columns, FILLED))

    def _array(self, node: Array, value: Any) -> Iterator[Cells]:
        values = [] if value is NOTHING else value
        if isinstance(values, list):
            yield from self._items(node.items, values)

    def _items(self, nodes: tuple[Node, ...], values: list[Any]) -> Iterator[Cells]:
        """The nodes in order, each taking one value or none; an Each takes any number."""
        if not nodes:
            if not values:
                yield ANYTHING
            return
        first, rest = nodes[0], nodes[1:]
        if isinstance(first, Each):
            yield from self._repeated(first, rest, values)
            return
        if values:
            for cells in self.match(first, values[0]):
                yield from self._both(cells, self._items(rest, values[1:]))
        for cells in self.match(first, NOTHING):
            yield from self._both(cells, self._items(rest, values))

    def _repeated(self, each: Each, rest: tuple[Node, ...], values: list[Any]) -> Iterator[Cells]:
        column = self.table.columns[each.column]
        for count in range(len(values), -1, -1):
            for cells, texts in self._run(each, values[:count]):
                joined = Cells({each.column: exactly(column.separator.join(texts))})
                for whole in self._both(cells, iter([joined])):
                    yield from self._both(whole, self._items(rest, values[count:]))

    def _run(self, each: Each, values: list[Any]) -> Iterator[tuple[Cells, list[str]]]:
        """The items that made `values`, one for each."""
        if not values:
            yield ANYTHING, []
            return
        for before, texts in self._run(each, values[:-1]):
            for cells in self.match(each.node, values[-1]):
                text = cells.texts.get(each.column, Texts()).text
                both = before & cells.without(each.column)
                if text is not None and both is not None:
                    yield both, [*texts, text]


def _has_holes(node: Node) -> bool:
    """Whether a cell could leave this node empty."""
    if isinstance(node, Object):
        own = node.hole is not None and not isinstance(node.hole, UnitOf)
        return own or any(map(_has_holes, node.fields.values()))
    if isinstance(node, Array):
        return any(map(_has_holes, node.items))
    return isinstance(node, (Cell, Text, Reference, Guard, Each))
