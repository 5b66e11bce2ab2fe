"""The named transforms between the text of a cell and a FHIR primitive. Each knows its inverse.

`read` raises BadCell; `write` gives the texts that read as the value (none: the value was never read from a cell).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.fhir.json import decode, encode
from service.trial.mapping.dictionary import Column

# https://hl7.org/fhir/R4/datatypes.html#dateTime
DATE = re.compile(
    r"[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01])"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00)))?)?)?"
)
INTEGER = re.compile(r"0|-?[1-9][0-9]*")
DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class BadCell(Exception):
    """A cell that does not read; `rule` as in docs/mapping.md, `text` without the value."""

    def __init__(self, rule: str, text: str) -> None:
        self.rule, self.text = rule, text
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Transform:
    """A pair of inverse functions."""

    read: Callable[[str, Column], Any]
    write: Callable[[Any, Column], frozenset[str]]


def _read_string(text: str, column: Column) -> str:
    if CONTROL.search(text):
        raise BadCell("mapping-type", "has a control character")
    return text


def _read_integer(text: str, column: Column) -> int:
    if not INTEGER.fullmatch(text):
        raise BadCell("mapping-type", "must be a whole number, without leading zeros")
    return int(text)


def _read_decimal(text: str, column: Column) -> Any:
    mark = "," if column.decimal_comma else "."
    plain = text.replace(",", ".") if column.decimal_comma and "." not in text else text
    if not DECIMAL.fullmatch(plain) or (column.decimal_comma and "." in text):
        raise BadCell("mapping-type", f"must be a decimal number with {mark!r} as its mark and no thousands separator")
    return decode(plain.encode())


def _read_date(text: str, column: Column) -> str:
    if not DATE.fullmatch(text):
        raise BadCell("mapping-type", "must be a date: YYYY, YYYY-MM, YYYY-MM-DD, or with time and offset")
    return text


def _read_boolean(text: str, column: Column) -> bool:
    if text not in column.codes[:2]:
        raise BadCell("mapping-code", f"allowed: {', '.join(column.codes)}")
    return text == column.codes[0]


def _write_string(value: Any, column: Column) -> frozenset[str]:
    return frozenset({value} if isinstance(value, str) else ())


def _write_number(value: Any, column: Column) -> frozenset[str]:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return frozenset()
    text = encode(value).decode()
    return frozenset({text.replace(".", ",") if column.decimal_comma else text})


def _write_boolean(value: Any, column: Column) -> frozenset[str]:
    return frozenset({column.codes[0 if value else 1]} if isinstance(value, bool) else ())


TRANSFORMS = {
    "string": Transform(_read_string, _write_string),
    "code": Transform(_read_string, _write_string),
    "integer": Transform(_read_integer, _write_number),
    "decimal": Transform(_read_decimal, _write_number),
    "date": Transform(_read_date, _write_string),
    "boolean": Transform(_read_boolean, _write_boolean),
}


def items(text: str, column: Column) -> list[str]:
    """The items of a list cell, trimmed; an empty cell has none."""
    return [item.strip() for item in text.split(column.separator)] if text else []


def check_cell(text: str, column: Column) -> list[BadCell]:
    """What the dictionary has against a cell: type, range, pattern, codes."""
    if not text:
        return [BadCell("mapping-required", "a value is required")] if column.required else []
    values = items(text, column) if column.type == "list" else [text]
    found = [bad for value in values for bad in _check_value(value, column)]
    if column.pattern and not re.fullmatch(column.pattern, text):
        found.append(BadCell("mapping-pattern", f"must match {column.pattern}"))
    return found


def _check_value(text: str, column: Column) -> list[BadCell]:
    if not text:
        return [BadCell("mapping-type", "the list has an empty item")]
    try:
        value = TRANSFORMS[column.item_type].read(text, column)
    except BadCell as bad:
        return [bad]
    if column.codes and text not in column.codes:
        return [BadCell("mapping-code", f"allowed: {', '.join(column.codes)}")]
    if column.item_type in ("integer", "decimal") and not _in_range(Decimal(value), column):
        low, high = ("…" if bound is None else bound for bound in (column.low, column.high))
        return [BadCell("mapping-range", f"must be between {low} and {high}")]
    return []


def _in_range(value: Decimal, column: Column) -> bool:
    return (column.low is None or value >= column.low) and (column.high is None or value <= column.high)
