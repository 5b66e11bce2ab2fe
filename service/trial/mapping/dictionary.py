"""The dictionary of a study: its tables and what each column may hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.trial.mapping.source import Source

TYPES = ("string", "integer", "decimal", "code", "date", "list")
KEYS = {"type", "description", "required", "range", "pattern", "codes", "unit", "separator", "of", "cites", "unmapped"}
CITES = ("table", "row", "column", "passage")


@dataclass(frozen=True, slots=True)
class Unit:
    """UCUM `code` and printed `text`; `code` None: the source prints no unit."""

    code: str | None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `low` and `high` are inclusive; `of` is the type of a list's items."""

    name: str
    type: str
    description: str = ""
    required: bool = False
    low: Decimal | None = None
    high: Decimal | None = None
    pattern: str | None = None
    codes: tuple[str, ...] = ()
    unit: Unit | None = None
    separator: str = ";"
    of: str = "string"
    cites: str | None = None
    unmapped: str | None = None
    decimal_comma: bool = False

    @property
    def item_type(self) -> str:
        """The type of one value: of the items, for a list."""
        return self.of if self.type == "list" else self.type


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV file; `file` is relative to the study's folder."""

    name: str
    file: str
    description: str
    columns: dict[str, Column]

    def citation(self, cells: dict[str, str]) -> dict[str, str]:
        """Where a row stands in what it was taken from: the filled ones of CITES."""
        cited = {column.cites: cells[name] for name, column in self.columns.items() if column.cites}
        return {key: cited[key] for key in CITES if cited.get(key)}


@dataclass(frozen=True, slots=True)
class Dictionary:
    """All tables of a study; `source` is a Reference to what its records were taken from."""

    study: str
    title: str
    source: dict[str, Any]
    tables: dict[str, Table]


def parse_dictionary(source: Source) -> Dictionary:
    """The dictionary in `source`; what is wrong is noted there and left out."""
    value = source.value if isinstance(source.value, dict) else {}
    for key in value.keys() - {"study", "title", "description", "source", "tables"}:
        source.wrong((key,), "unknown key; known are study, title, description, source, tables")
    origin = value.get("source", {"display": "The source of the records"})
    if not isinstance(origin, dict) or not origin.keys() <= {"display", "identifier"}:
        source.wrong(("source",), "what the records were taken from: {display, identifier: {system, value}}")
    study = value.get("study")
    if not isinstance(study, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.\-]*", study):
        source.wrong(("study",), "the name of the study is missing (letters, digits, '-' and '.')")
    tables = value.get("tables")
    if not isinstance(tables, dict) or not tables:
        source.wrong(("tables",), "a mapping of at least one table is needed")
        tables = {}
    parsed = {name: _table(source, name, table) for name, table in tables.items()}
    return Dictionary(str(study), str(value.get("title") or study), origin, parsed)


def _table(source: Source, name: str, value: Any) -> Table:
    path = ("tables", name)
    value = value if isinstance(value, dict) else {}
    for key in value.keys() - {"file", "description", "decimal", "columns"}:
        source.wrong((*path, key), "unknown key; known are file, description, decimal, columns")
    if value.get("decimal", "point") not in ("point", "comma"):
        source.wrong((*path, "decimal"), "must be point or comma")
    file = value.get("file", f"data/{name}.csv")
    if not isinstance(file, str) or file.startswith("/") or ".." in file.split("/"):
        source.wrong((*path, "file"), "must be a path inside the study's folder")
    columns = value.get("columns")
    if not isinstance(columns, dict) or not columns:
        source.wrong((*path, "columns"), "a mapping of at least one column is needed")
        columns = {}
    comma = value.get("decimal") == "comma"
    parsed = {key: _column(source, (*path, "columns", key), key, column, comma) for key, column in columns.items()}
    return Table(name, str(file), str(value.get("description") or ""), parsed)


def _column(source: Source, path: tuple[str, ...], name: str, value: Any, comma: bool) -> Column:
    if not isinstance(value, dict):
        source.wrong(path, "a column is a mapping with type and description")
        value = {}
    for key in value.keys() - KEYS:
        hint = "a text with a comma needs quotes" if value[key] is None else f"known are {', '.join(sorted(KEYS))}"
        source.wrong((*path, key), f"unknown key; {hint}")
    type_ = value.get("type")
    if type_ not in TYPES:
        source.wrong((*path, "type"), f"must be one of {', '.join(TYPES)}")
    if not value.get("description"):
        source.wrong((*path, "description"), "a description is needed")
    low, high = _range(source, (*path, "range"), value.get("range"))
    return Column(
        name=name,
        type=str(type_),
        description=str(value.get("description")),
        required=_flag(source, (*path, "required"), value.get("required", False)),
        low=low,
        high=high,
        pattern=_pattern(source, (*path, "pattern"), value.get("pattern")),
        codes=_codes(source, (*path, "codes"), value.get("codes", [])),
        unit=_unit(source, (*path, "unit"), value.get("unit")),
        separator=_separator(source, path, value),
        of=_of(source, path, value),
        cites=_cites(source, (*path, "cites"), value.get("cites", "passage" if name == "passage" else None)),
        unmapped=value.get("unmapped"),
        decimal_comma=comma,
    )


def _cites(source: Source, path: tuple[str, ...], value: Any) -> str | None:
    if value not in (None, *CITES):
        source.wrong(path, f"must be one of {', '.join(CITES)}")
    return value


def _flag(source: Source, path: tuple[str, ...], value: Any) -> bool:
    if not isinstance(value, bool):
        source.wrong(path, "must be true or false")
    return value is True


def _range(source: Source, path: tuple[str, ...], value: Any) -> tuple[Decimal | None, Decimal | None]:
    if value is None:
        return None, None
    if not isinstance(value, list) or len(value) != 2:
        source.wrong(path, "must be [low, high]; null leaves a side open")
        return None, None
    if any(isinstance(bound, bool) or not isinstance(bound, (int, Decimal, type(None))) for bound in value):
        source.wrong(path, "the bounds must be numbers or null")
        return None, None
    low, high = (None if bound is None else Decimal(bound) for bound in value)
    if low is not None and high is not None and low > high:
        source.wrong(path, "low is above high")
    return low, high


def _pattern(source: Source, path: tuple[str, ...], value: Any) -> str | None:
    if value is None:
        return None
    try:
        re.compile(value)
    except (re.error, TypeError):
        source.wrong(path, "not a regular expression")
        return None
    return value


def _codes(source: Source, path: tuple[str, ...], value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or any(isinstance(code, (dict, list)) or code in (None, "") for code in value):
        source.wrong(path, "must be a list of texts")
        return ()
    if any(isinstance(code, bool) for code in value):
        source.wrong(path, "true and false must be in quotes here")
    return tuple(str(code) for code in value)


def _unit(source: Source, path: tuple[str, ...], value: Any) -> Unit | None:
    if value is None:
        return None
    if value == "unknown":
        return Unit(None)
    if isinstance(value, dict) and isinstance(value.get("code"), str) and value.keys() <= {"code", "text"}:
        return Unit(value["code"], value.get("text", value["code"]))
    if not isinstance(value, (dict, list, bool)):
        return Unit(str(value), str(value))
    source.wrong(path, "must be a UCUM code, {code, text} or unknown")
    return None


def _separator(source: Source, path: tuple[str, ...], value: dict[str, Any]) -> str:
    separator = value.get("separator", ";")
    if not isinstance(separator, str) or not separator.strip():
        source.wrong((*path, "separator"), "must be a text")
        return ";"
    if value.get("type") != "list" and ("separator" in value or "of" in value):
        source.wrong(path, "only a list has separator and of")
    return separator


def _of(source: Source, path: tuple[str, ...], value: dict[str, Any]) -> str:
    of = value.get("of", "string")
    if of not in TYPES or of == "list":
        source.wrong((*path, "of"), f"must be one of {', '.join(TYPES[:-1])}")
        return "string"
    return of
