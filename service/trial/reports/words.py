"""What a study's tables count: the codes behind the words (`tables.yaml`), the published figures (`paper/`)."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from service.errors import Internal
from service.trial.mapping.source import read_yaml

Codes = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Words:
    """Word → codes, for each thing that the tables count. `subject_row` finds the printed row in an identifier."""

    study: str
    subject_row: re.Pattern[str]
    diagnoses: dict[str, Codes]
    responses: dict[str, Codes]
    responders: frozenset[str]
    non_responders: frozenset[str]
    toxicities: dict[str, Codes]
    grades: dict[str, Codes]
    analytes: dict[str, Codes]


@dataclass(frozen=True, slots=True)
class Published:
    """What the paper prints: Table 1 by patient, Table 2 by diagnosis, rates.

    `known` says where the paper is known to differ: (table, row, column) → (what the records give, the reason).
    """

    table1: dict[str, dict[str, str]]
    table2: dict[str, dict[str, str]]
    rates: tuple[dict[str, str], ...]
    known: dict[tuple[str, str, str], tuple[str, str]]

    def rate(self, measure: str, group: str) -> dict[str, str]:
        """The published numerator, denominator and score of a measure; "" for what is not printed."""
        rows = [row for row in self.rates if (row["measure"], row["group"]) == (measure, group)]
        return {key: next((row[key] for row in rows if row[key]), "") for key in ("numerator", "denominator", "score")}


@cache
def read_words(folder: Path) -> Words:
    """The words of the study in `folder`. Raises Internal where the file is not as it should be."""
    source = read_yaml(folder / "tables.yaml", "tables.yaml")
    if source.issues:
        raise Internal(issues=source.issues)
    value = source.value
    groups = {key: {str(word): _codes(codes) for word, codes in value[key].items()} for key in _GROUPS}
    return Words(
        study=f"{value['study']['system']}|{value['study']['value']}",
        subject_row=re.compile(value["subject_row"]),
        responders=frozenset(value["responders"]),
        non_responders=frozenset(value["non_responders"]),
        **groups,
    )


_GROUPS = ("diagnoses", "responses", "toxicities", "grades", "analytes")


@cache
def read_published(folder: Path) -> Published:
    """The published figures of the study in `folder`."""
    paper = folder / "paper"
    return Published(
        {row["Patient"]: row for row in _rows(paper / "table1.csv")},
        {row["Diagnosis"]: row for row in _rows(paper / "table2.csv")},
        tuple(_rows(paper / "published.csv")),
        {
            (row["table"], row["row"], row["column"]): (row["computed"], row["reason"])
            for row in _rows(paper / "differences.csv")
        },
    )


def word_for(words: dict[str, Codes], concept: Any) -> str | None:
    """The first word one of whose codes stands in the CodeableConcept; None where there is none."""
    codings = concept.get("coding", []) if isinstance(concept, dict) else []
    codes = {(coding.get("system", ""), coding.get("code", "")) for coding in codings}
    return next((word for word, known in words.items() if codes & known), None)


def printed(concept: Any) -> str | None:
    """The words of a CodeableConcept: its text, else a display, else a code."""
    if not isinstance(concept, dict):
        return None
    codings = concept.get("coding", [])
    named = (coding.get(key) for key in ("display", "code") for coding in codings)
    return concept.get("text") or next((name for name in named if name), None)


def _codes(codes: list[str]) -> Codes:
    pairs = (code.partition("|") for code in codes)
    return frozenset((system, code) for system, _, code in pairs)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
