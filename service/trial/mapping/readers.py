"""CSV tables as rows of texts.

UTF-8 with or without BOM, a header row, comma or semicolon; cells are trimmed. Rows are numbered as a spreadsheet shows
them: the header is row 1, empty rows count but are skipped.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from service.errors import Issue
from service.trial.mapping.dictionary import Column, Table
from service.trial.mapping.problems import problem
from service.trial.mapping.transforms import check_cell, items


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number, the text of each column, and the columns that are wrong (their text is left out)."""

    number: int
    cells: dict[str, str]
    wrong: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Records:
    """The rows of one file, its SHA-256 (hex), and all that is wrong with it."""

    file: str
    sha256: str
    rows: tuple[Row, ...]
    issues: tuple[Issue, ...]


def read_table(folder: Path, table: Table) -> Records:
    """The table's file in `folder`, each cell checked against the dictionary."""
    try:
        content = (folder / table.file).read_bytes()
    except OSError as error:
        return _refused(table.file, "", error.strerror or "not readable")
    digest = sha256(content).hexdigest()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return _refused(table.file, digest, f"not UTF-8 (line {line}); save it as 'CSV UTF-8'")
    try:
        lines = _lines(text, table)
    except csv.Error as error:
        return _refused(table.file, digest, f"not CSV: {error}")
    if not lines:
        return _refused(table.file, digest, "empty; a header row is needed")
    issues: list[Issue] = []
    header = lines[0]
    if not _check_header(header, table, issues):
        return Records(table.file, digest, (), tuple(issues))
    rows = [_row(number, line, header, table, issues) for number, line in enumerate(lines[1:], 2) if any(line)]
    return Records(table.file, digest, tuple(row for row in rows if row), tuple(issues))


def _refused(file: str, digest: str, text: str) -> Records:
    return Records(file, digest, (), (problem("mapping-file", file, text),))


def _lines(text: str, table: Table) -> list[list[str]]:
    """All lines, by the delimiter under which more of the header is known."""
    header = next(iter(text.splitlines()), "")

    def known(delimiter: str) -> int:
        names = next(csv.reader([header], delimiter=delimiter), [])
        return len({name.strip() for name in names} & table.columns.keys())

    delimiter = ";" if known(";") > known(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    return [[cell.strip() for cell in line] for line in reader]


def _check_header(header: list[str], table: Table, issues: list[Issue]) -> bool:
    before = len(issues)
    for name in dict.fromkeys(name for name in header if header.count(name) > 1):
        place = name if name in table.columns else "(unknown)"
        issues.append(problem("mapping-duplicate-column", table.file, "stands twice", row=1, column=place))
    if not set(header) & table.columns.keys():
        # Without a header the first row is a patient's: its texts must not be named.
        text = f"is no header: none of its columns is in the dictionary, which has {', '.join(table.columns)}"
        issues[before:] = [problem("mapping-unknown-column", table.file, text, row=1)]
        return False
    for number, name in enumerate(header, 1):
        if name not in table.columns:
            text = f"not in the dictionary, which has {', '.join(table.columns)}"
            column = name or f"{number} (unnamed)"
            issues.append(problem("mapping-unknown-column", table.file, text, row=1, column=column))
    for name in table.columns.keys() - set(header):
        issues.append(problem("mapping-missing-column", table.file, "missing in the header", row=1, column=name))
    return len(issues) == before


def _row(number: int, line: list[str], header: list[str], table: Table, issues: list[Issue]) -> Row | None:
    if len(line) != len(header):
        text = f"has {len(line)} cells, the header has {len(header)}"
        issues.append(problem("mapping-ragged-row", table.file, text, row=number))
        return None
    cells = dict(zip(header, line, strict=True))
    wrong: set[str] = set()
    for name, text in cells.items():
        for bad in check_cell(text, table.columns[name]):
            issues.append(problem(bad.rule, table.file, bad.text, row=number, column=name))
            wrong.add(name)
    kept = {name: "" if name in wrong else _plain(text, table.columns[name]) for name, text in cells.items()}
    return Row(number, kept, frozenset(wrong))


def _plain(text: str, column: Column) -> str:
    return column.separator.join(items(text, column)) if column.type == "list" else text
