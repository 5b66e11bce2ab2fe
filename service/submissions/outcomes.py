"""What became of one message or line, as a value that can be noted and told later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from service.errors import CartFhirError, Issue, operation_outcome
from service.submissions.receive import Desk, Taken

ACCEPTED, REPEATED, REFUSED = "accepted", "repeated", "refused"
COUNTED = (ACCEPTED, REPEATED, REFUSED)
MOST_ISSUES = 1000

Resource = dict[str, Any]


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """`result`: accepted · repeated · refused. `line` counts from 1; 0 is a message alone.

    `receipt` is the id of the receipt; of what was refused there are the HTTP `status`, its issues and `at`, when.
    """

    result: str
    line: int = 0
    receipt: str | None = None
    status: int = 200
    issues: tuple[dict[str, Any], ...] = ()
    at: str = ""

    def encoded(self) -> bytes:
        return msgspec.json.encode(self)

    def outcome(self) -> Resource:
        """The OperationOutcome of a refusal."""
        return {"resourceType": "OperationOutcome", "issue": list(self.issues)}


_decoder = msgspec.json.Decoder(Outcome)


def outcome_of(content: bytes) -> Outcome:
    """The outcome in a note."""
    return _decoder.decode(content)


def of_taken(taken: Taken, line: int = 0) -> Outcome:
    return Outcome(REPEATED if taken.repeated else ACCEPTED, line, taken.receipt["id"])


def of_error(error: CartFhirError, at: str, line: int = 0) -> Outcome:
    """The outcome of a refusal; the places of its issues are in `line` of the file, where that is one."""
    issues = error.issues
    if line:
        issues = tuple(replace(issue, line=line, column=issue.column or 1) for issue in issues)
    return Outcome(REFUSED, line, None, error.status, tuple(issue.as_fhir() for issue in issues), at)


def counts(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """How many lines had each result; a result that none had is 0."""
    found = Counter(one.result for one in outcomes)
    return {name: found[name] for name in COUNTED}


def told(desk: Desk, outcomes: list[Outcome], empty: int) -> Resource:
    """The Parameters that answer a bulk submission: the counts, which add up to `lines`, and each line's outcome."""
    found = counts(outcomes)
    totals = {"lines": len(outcomes) + empty, **found, "empty": empty}
    parameters: list[Resource] = [{"name": name, "valueInteger": count} for name, count in totals.items()]
    parameters += [{"name": "line", "part": _parts(desk, one)} for one in outcomes]
    return {"resourceType": "Parameters", "parameter": parameters}


def _parts(desk: Desk, one: Outcome) -> list[Resource]:
    parts: list[Resource] = [{"name": "number", "valueInteger": one.line}, {"name": "result", "valueCode": one.result}]
    if one.receipt is not None:
        reference = {"reference": f"{desk.base}/Provenance/{one.receipt}"}
        return [*parts, {"name": "receipt", "valueReference": reference}]
    return [*parts, {"name": "status", "valueInteger": one.status}, {"name": "outcome", "resource": one.outcome()}]


def all_refused(outcomes: list[Outcome]) -> Resource | None:
    """The OperationOutcome of a file of which no line was taken; None where one was."""
    if any(one.result != REFUSED for one in outcomes):
        return None
    issues = [issue for one in outcomes for issue in one.issues]
    if len(issues) > MOST_ISSUES:
        text = f"{len(issues) - MOST_ISSUES} more findings are left out"
        cut = operation_outcome([Issue("incomplete", text, None, "findings-cut", "information")])
        issues[MOST_ISSUES:] = cut["issue"]
    return {"resourceType": "OperationOutcome", "issue": issues}
