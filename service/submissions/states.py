"""The states of an obligation to report: Task.status and Task.businessStatus, always changed together.

A state says who has to act next: the calendar, the hospital, the registry, nobody.
Source: https://hl7.org/fhir/R4/task.html#statemachine
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.trial.mapping.identity import BASE

SYSTEM = f"{BASE}/CodeSystem/submission-status"

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class State:
    """`code` is the business status, `status` the Task.status that goes with it."""

    code: str
    status: str
    display: str


STATES = {
    one.code: one
    for one in (
        State("NOTDUE", "draft", "Not due"),
        State("DUE", "requested", "Due"),
        State("RCV", "received", "Received"),
        State("QRY", "on-hold", "Queried"),
        State("ERR", "rejected", "Rejected"),
        State("CMP", "completed", "Accepted"),
        State("SUP", "completed", "Superseded"),
        State("VOID", "entered-in-error", "Voided"),
        State("LTF", "cancelled", "Lost to follow-up"),
        State("NRQ", "cancelled", "Not required"),
    )
}


def state_of(task: Resource, code: str, reason: str | None = None) -> Resource:
    """The Task in the state `code`; `reason` says why, in words."""
    state = STATES[code]
    coding = {"system": SYSTEM, "code": code, "display": state.display}
    changed = {**task, "status": state.status, "businessStatus": {"coding": [coding]}}
    changed.pop("statusReason", None)
    return {**changed, "statusReason": {"text": reason}} if reason else changed


def code_of(task: Resource) -> str:
    """The business status of a Task; "" where it has none of ours."""
    codings = task.get("businessStatus", {}).get("coding", [])
    return next((one["code"] for one in codings if one.get("system") == SYSTEM and one.get("code") in STATES), "")
