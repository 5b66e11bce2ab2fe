"""What is owed and what became of it, for people: obligations with their states, and all that are due at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from service.errors import CartFhirError, Issue
from service.fhir import search
from service.fhir.json import decode
from service.fhir.operations import Plan
from service.jobs import Rooms
from service.store.database import Database
from service.submissions import schedule, sent
from service.submissions.prepare import Queued, submit
from service.submissions.schedule import STATES, STATUS, WORDS, input_of, state_of

OPEN = frozenset({"NOTDUE", "DUE", "QRY", "ERR"})

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Obligations as JSON, and the cursor of the next page."""

    obligations: tuple[dict[str, Any], ...]
    next: tuple[Any, ...] | None


async def listed(
    database: Database, today: date, states: Sequence[str] = (), count: int = 50, cursor: tuple[Any, ...] | None = None
) -> Page:
    """Obligations in any of the states, all without one; the page holds at most `count`."""
    pairs = [("code", f"{WORDS}|registry-report"), ("_count", str(count))]
    if states:
        pairs.append(("business-status", ",".join(f"{STATES}|{state}" for state in states)))
    query = search.parse("Task", pairs, database.parameters, zone=database.zone, handling="strict")
    page = await database.search(query, cursor)
    tasks = [decode(one.content or b"{}", 10_000) for one in page.matches]
    return Page(tuple([await shown(database, task, today) for task in tasks]), page.next)


async def shown(database: Database, task: Resource, today: date) -> dict[str, Any]:
    """One obligation: what is owed by when, and the latest message about it."""
    due = task.get("restriction", {}).get("period", {}).get("end")
    last = await sent.of_task(database, task["id"])
    message = None
    if last is not None:
        names = ("message", "destination", "kind", "state", "made", "answered", "digest", "receipt", "replaces", "job")
        message = {name: getattr(last, name) for name in names if getattr(last, name) is not None}
    state = state_of(task)
    return {
        "id": task["id"],
        "subject": task["for"]["reference"],
        "form": input_of(task, "form"),
        "questionnaire": task.get("focus", {}).get("identifier", {}).get("value"),
        "timePoint": input_of(task, "time-point"),
        "state": state,
        "opens": task.get("restriction", {}).get("period", {}).get("start"),
        "due": due,
        "overdue": state in OPEN and due is not None and due < today.isoformat(),
        "reason": task.get("statusReason", {}).get("text"),
        "message": message,
    }


def known_states(states: Sequence[str]) -> bool:
    """Whether all of them are states of an obligation."""
    return set(states) <= set(STATUS)


async def refresh(rooms: Rooms, now: datetime) -> int:
    """Brings the obligations to what the stored infusions and the day say; how many changed."""
    plan: Plan | None = await schedule.plan(rooms.database, now)
    return len(await rooms.database.write(plan)) if plan is not None else 0


async def send_due(rooms: Rooms, destination: str | None) -> list[tuple[str, Queued | tuple[Issue, ...]]]:
    """Queues every obligation that is due and has a form here: (its id, what was queued or why it must not leave)."""
    done: list[tuple[str, Queued | tuple[Issue, ...]]] = []
    cursor: tuple[Any, ...] | None = None
    ids: list[str] = []
    while True:
        page = await listed(rooms.database, date.max, ("DUE",), 200, cursor)
        ids += [one["id"] for one in page.obligations if one["questionnaire"]]
        cursor = page.next
        if cursor is None:
            break
    for id_ in ids:
        try:
            done.append((id_, await submit(rooms, id_, destination)))
        except CartFhirError as error:
            if error.status >= 500 or error.issues[0].rule == "unknown-destination":
                raise
            done.append((id_, error.issues))
    return done
