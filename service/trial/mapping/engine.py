"""Rows → resources: every rule of every template for every row of its table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from service.errors import Issue, Unprocessable
from service.trial.mapping.filling import Filler, Origin
from service.trial.mapping.identity import content_hash, id_of, name_of
from service.trial.mapping.problems import problem
from service.trial.mapping.readers import Records, Row, read_table
from service.trial.mapping.template import Rule, Study, Template
from service.trial.mapping.transforms import items


@dataclass(frozen=True, slots=True)
class Mapped:
    """One resource and where all of it came from; `item` is its position in an `each`.

    `citations` are the rows that it came from, each with where it stands in the source (`table`, `row`, `column`,
    `passage`, as far as they are known).
    """

    resource: dict[str, Any]
    name: str
    template: str
    rule: str
    item: int | None
    origins: tuple[Origin, ...]
    citations: tuple[tuple[int, dict[str, str]], ...]

    @property
    def reference(self) -> str:
        """`Type/id`."""
        return f"{self.resource['resourceType']}/{self.resource['id']}"

    @property
    def rows(self) -> tuple[int, ...]:
        """The rows that it came from."""
        return tuple(row for row, _ in self.citations)


def read_records(study: Study) -> dict[str, Records]:
    """The rows of every table of the study, with what is wrong with them."""
    return {name: read_table(study.folder, table) for name, table in study.dictionary.tables.items()}


def map_records(study: Study, records: dict[str, Records]) -> list[Mapped]:
    """All resources of the study, in the order of templates, rows and rules. Raises Unprocessable with all findings."""
    issues = [issue for table in records.values() for issue in table.issues]
    for template in study.templates.values():
        issues += _duplicate_keys(template, records[template.table.name])
    mapping = _Mapping(study, records, broken=bool(issues))
    mapped = mapping.run()
    issues += mapping.issues
    if issues:
        raise Unprocessable(issues=list(dict.fromkeys(issues)))
    return mapped


def _duplicate_keys(template: Template, records: Records) -> Iterator[Issue]:
    seen: dict[tuple[str, ...], int] = {}
    for row in records.rows:
        if row.wrong & set(template.key):
            continue
        key = tuple(row.cells[column] for column in template.key)
        if key in seen:
            text = f"the key of template {template.name} is the same as in row {seen[key]}"
            column = ", ".join(template.key) or None
            yield problem("mapping-duplicate-key", records.file, text, row=row.number, column=column)
        seen.setdefault(key, row.number)


class _Mapping:
    """One run over all records; `broken` says that some rows are already known to be wrong or left out."""

    def __init__(self, study: Study, records: dict[str, Records], broken: bool) -> None:
        self.study, self.records, self.broken = study, records, broken
        self.issues: list[Issue] = []
        self._targets: dict[str, str] = {}
        self._consulted: dict[tuple[str, int], set[str]] = {}
        self._made: dict[str, Mapped] = {}

    def run(self) -> list[Mapped]:
        """First the names of all resources, then their content, which may refer to any of them."""
        resources = [self._name(*place) for place in self._places()]
        for template, row, rule, item, name in resources:
            self._build(template, row, rule, item, name)
        self._check_unused()
        return list(self._made.values())

    def _places(self) -> Iterator[tuple[Template, Row, Rule, tuple[int, str] | None]]:
        for template in self.study.templates.values():
            for row in self.records[template.table.name].rows:
                for rule in template.rules.values():
                    if row.wrong & set(rule.key) or not self._wanted(template, row, rule):
                        continue
                    if rule.each is None:
                        yield template, row, rule, None
                        continue
                    column = template.table.columns[rule.each]
                    for item in enumerate(items(row.cells[rule.each], column), 1):
                        yield template, row, rule, item

    def _wanted(self, template: Template, row: Row, rule: Rule) -> bool:
        return rule.when is None or self._filler(template, row).holds(rule.when)

    def _name(self, template: Template, row: Row, rule: Rule, item: tuple[int, str] | None) -> tuple[Any, ...]:
        key = [row.cells[column] for column in rule.key]
        name = name_of(template.name, rule.name, key, item[0] if item else None)
        self._targets[name] = f"{rule.type}/{id_of(self.study.name, name)}"
        return template, row, rule, item, name

    def _filler(self, template: Template, row: Row) -> Filler:
        consulted = self._consulted.setdefault((template.table.name, row.number), set())
        # A row that was left out may be the one that a reference means: that finding would only follow from the first.
        resolve = (lambda name: self._targets.get(name, "Unknown/unknown")) if self.broken else self._targets.get
        filler = Filler(template, row, self.study.concepts.codings, resolve, self.issues, consulted)
        return filler

    def _build(self, template: Template, row: Row, rule: Rule, item: tuple[int, str] | None, name: str) -> None:
        filler = self._filler(template, row)
        if rule.each and item:
            filler.items[rule.each] = item
        built = filler.fill(rule.body, rule.type)
        id_path = f"{rule.type}.id"
        origins = [filler.origin(id_path, column, rule.line, False) for column in rule.key or (None,)]
        deciding = (*(rule.when.columns if rule.when else ()), *((rule.each,) if rule.each else ()))
        origins += [filler.origin(rule.type, column, rule.line, False) for column in deciding]
        origins += built.origins
        filler.consulted.update(origin.column for origin in built.origins if origin.column and origin.carries)
        id_ = self._targets[name].partition("/")[2]
        resource = {"resourceType": rule.type, "id": id_, **(built.value or {})}
        citations = ((row.number, template.table.citation(row.cells)),)
        mapped = Mapped(resource, name, template.name, rule.name, item[0] if item else None, tuple(origins), citations)
        self._keep(mapped, template, row, rule)

    def _keep(self, mapped: Mapped, template: Template, row: Row, rule: Rule) -> None:
        """Rows that share a resource must agree on it."""
        first = self._made.setdefault(mapped.name, mapped)
        if first is mapped or row.number in first.rows:
            return
        if content_hash(first.resource) == content_hash(mapped.resource):
            self._made[mapped.name] = replace(
                first, origins=first.origins + mapped.origins, citations=first.citations + mapped.citations
            )
        elif rule.key != template.key:
            text = f"{rule.name} differs from that of row {first.rows[0]}, which has the same key"
            file, column = template.table.file, ", ".join(rule.key)
            self.issues.append(problem("mapping-duplicate-key", file, text, row=row.number, column=column))

    def _check_unused(self) -> None:
        for table in self.study.dictionary.tables.values():
            for row in self.records[table.name].rows:
                if row.wrong:  # what is missing there may only follow from that
                    continue
                used = self._consulted.get((table.name, row.number), set())
                for name, column in table.columns.items():
                    if row.cells[name] and name not in used and not column.cites and not column.unmapped:
                        text = "has a value that no resource of this row carries"
                        self.issues.append(
                            problem("mapping-unused-value", table.file, text, row=row.number, column=name)
                        )
