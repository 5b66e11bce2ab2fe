"""Submissions as NDJSON, one message in each line: valid lines are taken, the others are not, and each is told.

A line is a submission of its own, with its own receipt, so that a file that is sent again has no second effect.
Source: https://hl7.org/fhir/R4/nd-json.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from service.errors import BadRequest, CartFhirError
from service.fhir.json import decode
from service.submissions.outcomes import Outcome, of_error, of_taken
from service.submissions.receive import Desk, receive

STOPPED = frozenset({"lease-lost", "job-cancelled"})  # of the job that takes the lines


def lines(content: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """(number, text) of each line that is not empty, counted from 1, and how many are empty.

    A line ends with a line feed; what stands behind the last one is a line only where it is not empty.
    """
    found = content.split(b"\n")
    if not found[-1].strip():
        found.pop()
    numbered = [(number, line) for number, line in enumerate(found, 1) if line.strip()]
    return numbered, len(found) - len(numbered)


async def take(desk: Desk, number: int, line: bytes) -> Outcome:
    """Takes one line, or says why not. Raises what is no fault of the line: the store is away."""
    try:
        return of_taken(await receive(desk, _bundle(line, desk.settings.max_depth)), number)
    except CartFhirError as error:
        if error.status >= 500 or error.issues[0].rule in STOPPED:
            raise
        return of_error(error, datetime.now(UTC).isoformat(), number)


def _bundle(line: bytes, max_depth: int) -> dict[str, Any]:
    value = decode(line, max_depth)
    if not isinstance(value, dict):
        raise BadRequest("A line is a message Bundle, which is a JSON object", rule="not-an-object")
    return value
