"""What can be named in the `push` of a connection."""

from __future__ import annotations

import re
from collections.abc import Iterable

from service.trial.mapping.identity import BASE

PUSH = re.compile(r"[A-Z][A-Za-z]+(\?.+)?")
NEVER = frozenset(("Patient", "Person", "RelatedPerson", "Task", "Binary", "AuditEvent", "Provenance", "Endpoint"))
WORD = "trial"
_CONCEPT = f"{BASE}/CodeSystem/trial-concept"
TRIAL = (
    "AdverseEvent",
    "MedicationAdministration",
    "Observation",
    f"Procedure?code={_CONCEPT}|leukapheresis,{_CONCEPT}|car-t-infusion",
)
"""What `trial` stands for in the `push` of a connection."""


def wrong_push(entry: object) -> str | None:
    """Why this is no entry of `push`; None where it is one."""
    if entry == WORD:
        return None
    if not isinstance(entry, str) or not PUSH.fullmatch(entry):
        return f"must be `{WORD}`, a type, or a type with parameters: Observation?category=laboratory"
    if entry.partition("?")[0] in NEVER:
        return "is never pushed"
    return None


def entries_of(push: Iterable[str]) -> list[str]:
    """Types and searches, with what `trial` stands for."""
    return [one for entry in push for one in (TRIAL if entry == WORD else (entry,))]


def pushed_types(push: Iterable[str]) -> list[str]:
    """The types of the entries of `push`."""
    return sorted({entry.partition("?")[0] for entry in entries_of(push)})
