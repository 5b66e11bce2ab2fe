"""A computed table as JSON, CSV and (by its template) HTML."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from service.trial.quality import same_at_precision

MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Figure:
    """One cell: what the store gives (None: missing), what the paper prints (None: nothing), and why they differ."""

    computed: str | None
    published: str | None = None
    differs: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """`label` heads the row; `reference` is the Patient, where the row is one."""

    label: str
    figures: dict[str, Figure]
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """`number` and title of the paper, head of the first column, other columns, rows, figures of the whole trial."""

    number: str
    title: str
    head: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    summary: tuple[Row, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values: rows with a figure for each column, as in the dataclasses."""
        return asdict(self)

    def as_csv(self) -> str:
        """One line for each row; for each column the computed figure, the published one, the reason of a difference."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\r\n")
        heads = [name for column in self.columns for name in (column, f"{column} (published)", f"{column} (reason)")]
        writer.writerow([self.head, *heads])
        for row in self.rows:
            cells = (row.figures[column] for column in self.columns)
            writer.writerow([_plain(row.label), *(text for figure in cells for text in _texts(figure))])
        return file.getvalue()


def figure(computed: str | None, published: str | None, known: tuple[str, str] | None, ordered: bool = True) -> Figure:
    """The Figure of a cell; `known` is a computed figure for which the paper is known to differ, and the reason."""
    reason = known[1] if known and known[0] == computed else None
    if published is None:
        return Figure(computed)
    if agree(computed, published, ordered):
        return Figure(computed, published, False, reason)
    return Figure(computed, published, True, reason or "The stored records say something else than the paper.")


def agree(computed: str | None, published: str, ordered: bool = True) -> bool:
    """Whether two figures say the same; a percentage is compared at the precision of the published one."""
    ours, theirs = _tokens(computed or MISSING), _tokens(published)
    if not ordered:
        ours, theirs = sorted(ours), sorted(theirs)
    return len(ours) == len(theirs) and all(map(_same, ours, theirs))


def _same(ours: str, theirs: str) -> bool:
    numbers = [re.fullmatch(r"(\d+(?:\.\d+)?)%", text) for text in (ours, theirs)]
    if numbers[0] and numbers[1]:
        return same_at_precision(Decimal(numbers[0][1]) / 100, numbers[1][1])
    return ours == theirs


def _tokens(text: str) -> list[str]:
    return re.findall(r"\d+(?:\.\d+)?%|[^\s,()]+|,", text)


def _texts(cell: Figure) -> Iterable[str]:
    values = (MISSING if cell.computed is None else cell.computed, cell.published or "", cell.reason or "")
    return map(_plain, values)


def _plain(text: str) -> str:
    """The text without what a spreadsheet would run as a formula (https://owasp.org/www-community/attacks/CSV_Injection)."""
    return f"'{text}" if text[:1] in ("=", "+", "@", "\t", "\r") or re.match(r"-.*[^\d.%]", text) else text
