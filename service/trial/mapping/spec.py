"""A study's folder: dictionary, templates and ConceptMaps, read and checked. See docs/mapping.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from service.errors import BadRequest, Issue, Unprocessable
from service.fhir.json import decode
from service.trial.mapping.concepts import Concepts
from service.trial.mapping.dictionary import Dictionary, Table, parse_dictionary
from service.trial.mapping.elements import Elements, Head
from service.trial.mapping.problems import problem, spec_problem
from service.trial.mapping.source import Source, read_yaml
from service.trial.mapping.template import Rule, Study, Template

NAME = re.compile(r"[A-Za-z0-9_-]+")
RESOURCE_WORDS = ("when", "each", "key", "resourceType")
TEMPLATE_KEYS = ("study", "table", "key", "shared", "resources")


def load_study(folder: Path, maps: Iterable[dict[str, Any]] = ()) -> Study:
    """The study in `folder`; `maps` are the ConceptMaps known besides its own.

    Raises Unprocessable with all findings.
    """
    source = read_yaml(folder / "dictionary.yaml", "dictionary.yaml")
    dictionary = parse_dictionary(source)
    issues = source.issues
    known = list(maps)
    concepts = Concepts([*known, *_own_maps(folder, {map_["id"] for map_ in known}, issues)])
    sources = {}
    for path in sorted(folder.glob("templates/*.yaml")):
        try:
            sources[path.stem] = read_yaml(path, f"templates/{path.name}")
        except Unprocessable as error:
            issues.extend(error.issues)
    tables = {name: _table(template, name, dictionary) for name, template in sources.items()}
    heads = _heads(sources, tables)
    used: dict[str, set[str]] = {name: set() for name in dictionary.tables}
    templates = {
        name: _template(name, sources[name], table, heads, concepts, used) for name, table in tables.items() if table
    }
    issues.extend(issue for template in sources.values() for issue in template.issues)
    issues.extend(_unused(dictionary, used) if not issues else [])
    issues.extend(_stray_files(folder, dictionary))
    if issues:
        raise Unprocessable(issues=issues)
    return Study(dictionary.study, dictionary.title, folder, dictionary, templates, concepts)


def _own_maps(folder: Path, known: set[str], issues: list[Issue]) -> list[dict[str, Any]]:
    maps = []
    for path in sorted(folder.glob("concept-maps/*.json")):
        file = f"concept-maps/{path.name}"
        try:
            map_ = decode(path.read_bytes())
        except BadRequest as error:
            issues.extend(problem("mapping-file", file, issue.text) for issue in error.issues)
            continue
        if not _is_map(map_):
            issues.append(problem("mapping-file", file, "not a ConceptMap with an id"))
        elif map_["id"] in known:
            issues.append(problem("mapping-file", file, "there is another ConceptMap with this id"))
        else:
            known.add(map_["id"])
            maps.append(map_)
    return maps


def _is_map(value: Any) -> bool:
    try:
        return value["resourceType"] == "ConceptMap" and isinstance(value["id"], str) and bool(Concepts([value]).ids)
    except (AttributeError, KeyError, TypeError):
        return False


def _table(source: Source, name: str, dictionary: Dictionary) -> Table | None:
    if not isinstance(source.value, dict):
        source.wrong((), "a template is a mapping")
        return None
    if not NAME.fullmatch(name):
        source.wrong((), "the name of the file has letters, digits, '-' and '_'")
    for key in source.value.keys() - set(TEMPLATE_KEYS):
        source.wrong((key,), f"unknown key; known are {', '.join(TEMPLATE_KEYS)}")
    if source.value.get("study") != dictionary.study:
        source.wrong(("study",), f"must be {dictionary.study}, as in the dictionary")
    table = dictionary.tables.get(source.value.get("table", name))
    if table is None:
        source.wrong(("table",), f"no such table; the dictionary has {', '.join(dictionary.tables)}")
    return table


def _heads(sources: dict[str, Source], tables: dict[str, Table | None]) -> dict[tuple[str, str], Head]:
    heads = {}
    for name, source in sources.items():
        if tables[name] is None:
            continue
        rules = source.value.get("resources")
        if not isinstance(rules, dict) or not rules:
            source.wrong(("resources",), "a mapping of at least one resource is needed")
            source.value["resources"] = rules = {}
        for rule, body in rules.items():
            if not NAME.fullmatch(rule):
                source.wrong(("resources", rule), "a name has letters, digits, '-' and '_'")
            body = body if isinstance(body, dict) else {}
            key = body.get("key", source.value.get("key"))
            columns = tuple(map(str, key)) if isinstance(key, list) else ()
            heads[name, rule] = Head(str(body.get("resourceType")), columns, body.get("each"))
    return heads


def _template(
    name: str,
    source: Source,
    table: Table,
    heads: dict[tuple[str, str], Head],
    concepts: Concepts,
    used: dict[str, set[str]],
) -> Template:
    elements = Elements(source, name, table, heads, concepts, used[table.name])
    template = Template(name, source.file, table, _key(source, ("key",), source.value.get("key"), table))
    for rule, body in source.value["resources"].items():
        path = ("resources", rule)
        if isinstance(body, dict):
            template.rules[rule] = _rule(elements, rule, body, path, heads[name, rule], template)
        else:
            source.wrong(path, "a resource is a mapping")
    return template


def _key(source: Source, path: tuple[str, ...], value: Any, table: Table) -> tuple[str, ...]:
    if not isinstance(value, list):
        source.wrong(path, "the list of columns that identify a row is needed; [] for a table with one row")
        return ()
    for name in value:
        column = table.columns.get(name) if isinstance(name, str) else None
        if column is None or not column.required:
            source.wrong(path, "each must be a column that the dictionary requires")
    return tuple(map(str, value))


def _rule(
    elements: Elements, name: str, body: dict[str, Any], path: tuple[str, ...], head: Head, template: Template
) -> Rule:
    source = elements.source
    type_ = body.get("resourceType")
    if not isinstance(type_, str):
        source.wrong((*path, "resourceType"), "a resource type is needed")
    if "id" in body:
        source.wrong((*path, "id"), "ids come from the key")
    for word in [key for key in body if key.startswith("$")]:
        source.wrong((*path, word), f"not a word of a resource; those are {', '.join(RESOURCE_WORDS[:-1])}")
    if "key" in body:
        _key(source, (*path, "key"), body["key"], template.table)
    each = None
    if head.each is not None:
        column = elements.column(head.each, (*path, "each"), carries=False)
        each = column.name if column else None
        if column and column.type != "list":
            source.wrong((*path, "each"), "takes a column of type list")
    when = elements.condition(body["when"], (*path, "when")) if "when" in body else None
    content = {key: value for key, value in body.items() if key not in RESOURCE_WORDS}
    node = elements.element({"$when": "always", **content}, path, (each,) if each else (), "object")
    return Rule(name, str(type_), node, when, each, head.key, source.line(path) or 0)


def _unused(dictionary: Dictionary, used: dict[str, set[str]]) -> Iterable[Issue]:
    for table in dictionary.tables.values():
        for column in table.columns.values():
            if column.name not in used[table.name] and not (column.unmapped or column.cites):
                key = f"tables.{table.name}.columns.{column.name}"
                yield spec_problem("dictionary.yaml", None, key, "no template uses the column; say why by `unmapped`")


def _stray_files(folder: Path, dictionary: Dictionary) -> Iterable[Issue]:
    known = {table.file for table in dictionary.tables.values()}
    for path in sorted(folder.glob("data/*.csv")):
        if f"data/{path.name}" not in known:
            yield problem("mapping-file", f"data/{path.name}", "no table of the dictionary reads this file")
