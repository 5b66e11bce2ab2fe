"""What Swagger shows of an operation, as values: texts and worked examples that run on the demo's data.

The operations themselves are in `interactions`, `others`, `searches` and `operations.shown`.

Bodies are `examples/*.json`; `{patient}` in them is the id of subject ISIKOK19-001.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from service.api.answers import PATIENT


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation; with an `example` Swagger sends it."""

    name: str
    text: str
    example: str | None = None
    place: str = "query"


@dataclass(frozen=True, slots=True)
class Body:
    """An example body: `file` under examples/, the status that it answers, what it shows, its media type."""

    file: str
    text: str
    status: int
    media: str = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: `success` are its good statuses, `errors` the others that a caller may meet;
    `answer` is what a good one looks like."""

    summary: str
    text: str
    tag: str
    parameters: tuple[Parameter, ...] = ()
    bodies: tuple[Body, ...] = ()
    success: tuple[int, ...] = (200,)
    errors: tuple[int, ...] = ()
    form: str | None = None
    media: str = "application/fhir+json"
    answer: dict[str, Any] | None = None


def path(name: str, example: str, text: str = "") -> Parameter:
    """A part of the path."""
    return Parameter(name, text or {"type": "The resource type", "id": "The id"}.get(name, name), example, "path")


def header(name: str, text: str, example: str | None = None) -> Parameter:
    """A request header."""
    return Parameter(name, text, example, "header")


PREFER = header(
    "Prefer",
    "`return=minimal`, `return=representation` (default) or `return=OperationOutcome`; `handling=strict` refuses what "
    "violates only a profile, `handling=lenient` stores it with a DetectedIssue",
)
IF_MATCH = header("If-Match", 'The version that must be current, e.g. `W/"1"`; another one is a 412')
COUNT = Parameter("_count", "Entries of a page", "5")

JSON_PATCH = "application/json-patch+json"
NDJSON = "application/fhir+ndjson"


@cache
def body(file: str) -> Any:
    """An example body with the ids of the demo in it; NDJSON as text."""
    text = (Path(__file__).parent / "examples" / file).read_text("utf-8")
    if file.endswith(".ndjson"):
        return text
    return msgspec.json.decode(text.replace("{patient}", PATIENT))
