"""Resources → rows: every hole is a column, so each mapped resource says what its cells were.

For every column exactly one text must be left; where it is not, that is a finding with file, row and column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from service.errors import Issue, Unprocessable
from service.trial.mapping.dictionary import CITES, Table
from service.trial.mapping.identity import id_of, name_of
from service.trial.mapping.possible import ANYTHING, EMPTY, Cells, Texts, exactly, together
from service.trial.mapping.problems import problem
from service.trial.mapping.readers import Row
from service.trial.mapping.template import Rule, Study, Template
from service.trial.mapping.unify import Name, Unifier, denied, given


class Made(Protocol):
    """A resource of which template, rule, item and rows are known."""

    resource: dict[str, Any]
    template: str
    rule: str
    item: int | None
    citations: tuple[tuple[int, dict[str, str]], ...]


def rows_of(study: Study, made: Iterable[Made]) -> dict[str, list[Row]]:
    """The rows of every table, in their order. Columns that are `unmapped` stay empty. Raises Unprocessable."""
    reversal = _Reversal(study, made)
    known = -1
    while known < len(reversal.names):
        # A reference gives back the key of another row as soon as that row is known.
        known = len(reversal.names)
        reversal.run()
    return reversal.rows()


class _Reversal:
    """What is known so far: the resources of each row, the cells of each row, the names of references."""

    def __init__(self, study: Study, made: Iterable[Made]) -> None:
        self.study = study
        self.issues: list[Issue] = []
        self._by_row: dict[tuple[str, int], dict[tuple[str, str], list[Made]]] = {}
        self._first: dict[tuple[str, int], Cells] = {}
        self._cells: dict[tuple[str, int], Cells] = {}
        self.names: dict[str, Name] = {}
        for one in made:
            table = study.templates[one.template].table
            for row, citation in one.citations:
                rules = self._by_row.setdefault((table.name, row), {})
                rules.setdefault((one.template, one.rule), []).append(one)
                if citation or (table.name, row) not in self._first:
                    self._first[table.name, row] = _cited(table, citation)

    def run(self) -> None:
        """Reads all resources anew, with the names that are known by now."""
        self.issues, self._cells = [], dict(self._first)
        for template in self.study.templates.values():
            self._reverse(template)

    def _reverse(self, template: Template) -> None:
        unifier = Unifier(template.table, self.study.concepts, self.names.get)
        for (table, row), rules in sorted(self._by_row.items()):
            if table != template.table.name:
                continue
            known = self._cells[table, row] & _allowed(template.table)
            for rule in template.rules.values():
                found = rules.get((template.name, rule.name), [])
                known = self._narrow(template, row, rule, known, _matches(unifier, template, rule, found))
            self._cells[table, row] = known or ANYTHING
            self._learn_names(template, rules, self._cells[table, row])

    def _narrow(self, template: Template, row: int, rule: Rule, known: Cells | None, found: Iterator[Cells]) -> Any:
        if known is None:
            return None
        for cells in found:
            both = known & cells
            if both is not None:
                return both
        text = f"the resource {template.name}.{rule.name} does not have the shape of its rule"
        self.issues.append(problem("mapping-not-reversible", template.table.file, text, row=row))
        return known

    def _learn_names(self, template: Template, rules: dict[tuple[str, str], list[Made]], cells: Cells) -> None:
        for rule in template.rules.values():
            key = [cells.texts.get(column, Texts()).text for column in rule.key]
            for made in rules.get((template.name, rule.name), []):
                name = name_of(template.name, rule.name, map(str, key), made.item)
                if made.resource["id"] == id_of(self.study.name, name):
                    reference = f"{rule.type}/{made.resource['id']}"
                    self.names[reference] = (template.name, rule.name, tuple(map(str, key)), name)

    def rows(self) -> dict[str, list[Row]]:
        """The rows, once every template has been reversed."""
        result: dict[str, list[Row]] = {name: [] for name in self.study.dictionary.tables}
        for (name, number), cells in sorted(self._cells.items()):
            table = self.study.dictionary.tables[name]
            texts = {column: self._text(table, number, column, cells) for column in table.columns}
            result[name].append(Row(number, texts))
        if self.issues:
            raise Unprocessable(issues=list(dict.fromkeys(self.issues)))
        return result

    def _text(self, table: Table, row: int, column: str, cells: Cells) -> str:
        text = cells.texts.get(column, Texts()).text
        if text is None and not table.columns[column].unmapped:
            found = "the resources of this row do not say what it was"
            self.issues.append(problem("mapping-not-reversible", table.file, found, row=row, column=column))
        return text or ""


def _cited(table: Table, citation: dict[str, str]) -> Cells:
    cited = {key: exactly(citation.get(key, "")) for key in CITES}
    return Cells({name: cited[column.cites] for name, column in table.columns.items() if column.cites})


def _allowed(table: Table) -> Cells:
    """What the dictionary says of each column before any resource is looked at."""
    texts = {}
    for column in table.columns.values():
        if column.codes and column.type != "list":
            texts[column.name] = exactly(*column.codes, *(() if column.required else ("",)))
        elif column.required:
            texts[column.name] = Texts(never=frozenset({""}))
    return Cells(texts)


def _matches(unifier: Unifier, template: Template, rule: Rule, found: list[Made]) -> Iterator[Cells]:
    if not found:
        if rule.when is not None:
            yield denied(rule.when)
        if rule.each is not None:
            yield Cells({rule.each: EMPTY})
        return
    wanted = given(rule.when) if rule.when is not None else ANYTHING
    if rule.each is None:
        yield from _together(wanted, unifier.match(rule.body, _body(found[0])))
        return
    texts: list[str] = []
    parts = [wanted]
    for made in sorted(found, key=lambda made: made.item or 0):
        cells = next((cells for cells in unifier.match(rule.body, _body(made)) if _item(cells, rule)), None)
        if cells is None:
            return
        texts.append(_item(cells, rule) or "")
        parts.append(cells.without(rule.each))
    column = template.table.columns[rule.each]
    whole = together([*parts, Cells({rule.each: exactly(column.separator.join(texts))})])
    if whole is not None:
        yield whole


def _together(wanted: Cells, found: Iterator[Cells]) -> Iterator[Cells]:
    for cells in found:
        both = wanted & cells
        if both is not None:
            yield both


def _item(cells: Cells, rule: Rule) -> str | None:
    return cells.texts.get(rule.each or "", Texts()).text


def _body(made: Made) -> dict[str, Any]:
    """The resource without what the template does not say: type and id."""
    return {key: value for key, value in made.resource.items() if key not in ("resourceType", "id")}
