"""What a person has to decide: one open Task for each matter, whatever often it comes up.

Note room `work/[connection]`, key `kind|detail`: the Task as it was written last. Nothing of a patient stands in it but
identifiers of the systems by which the connection links, and the address of the resource on the other side.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid5

from service.fhir.json import decode, encode
from service.fhir.ledger import Note
from service.fhir.operations import Resource, Update
from service.store.database import Database
from service.sync.origin import tag
from service.trial.mapping.identity import BASE, NAMESPACE
from service.trial.quality import RESTRICTED

KINDS = f"{BASE}/CodeSystem/work-item"
UNLINKED, AMBIGUOUS, MERGED = "patient-unlinked", "patient-ambiguous", "patients-merged"
UNMAPPED, UNCLEAR = "code-unmapped", "unit-unclear"
MISSING, CHANGED, REFERENCED = "resources-missing", "changed-on-both-sides", "deleted-but-referenced"
COUNT = "resources"
TEXTS = {
    UNLINKED: "No subject of the trial has an identifier of this patient: give the subject one, or link them by hand",
    AMBIGUOUS: "Several patients share the identifiers of one subject, or the other way round: link them by hand",
    MERGED: "The hospital merged patients who are two subjects of the trial: look whose data are whose",
    UNMAPPED: "No active ConceptMap has one equivalent code for this local code: add it to a map, and it is applied",
    UNCLEAR: "The unit of this result is no code of UCUM, or of another kind than the trial's: nothing was changed",
    MISSING: "More resources than a hospital deletes have gone: look whether that is so, then confirm the deletion",
    CHANGED: "The hospital deleted this resource, and it was changed here since: delete it here, or leave it",
    REFERENCED: "The hospital deleted this resource, and others still refer to it: it was left as it is",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One matter: `detail` tells it from others of its kind, `count` how many resources it is about this time.

    `about` is the address on the other side, `inputs` are further elements of Task.input.
    """

    kind: str
    detail: str
    count: int = 1
    about: str | None = None
    inputs: tuple[dict[str, Any], ...] = ()
    focus: str | None = None

    @property
    def key(self) -> str:
        return f"{self.kind}|{self.detail}"


def room(connection: str) -> str:
    """The room of a connection's open matters."""
    return f"work/{connection}"


def task_id(connection: str, key: str) -> str:
    """The id of the Task of a matter."""
    return str(uuid5(NAMESPACE, f"work/{connection}/{key}"))


def code_item(system: str, code: str, count: int) -> Item:
    """A local code that no map leads on."""
    coding = {"type": {"text": "code"}, "valueCoding": {"system": system, "code": code}}
    return Item(UNMAPPED, f"{system}|{code}"[:300], count, inputs=(coding,))


def unit_item(code: str, unit: str, count: int) -> Item:
    """A unit of a result that cannot be converted."""
    inputs = [{"type": {"text": name}, "valueString": text} for name, text in (("code", code), ("unit", unit)) if text]
    return Item(UNCLEAR, f"{code}|{unit}"[:200], count, inputs=tuple(inputs))


async def opened(
    database: Database, connection: str, items: Sequence[Item], *, again: bool = True
) -> tuple[list[Update], list[Note]]:
    """The Tasks of these matters and their notes; of one that is open the count grows, if `again`."""
    if not items:
        return [], []
    known = await database.notes_of(room(connection), [item.key for item in items])
    updates, notes = [], []
    for item in {item.key: item for item in items}.values():
        before = decode(known[item.key]) if item.key in known else None
        if before is not None and not again:
            continue
        task = _task(connection, item, before)
        updates.append(Update(task))
        notes.append(Note(room(connection), item.key, encode(task)))
    return updates, notes


async def closed(database: Database, connection: str, keys: Iterable[str]) -> tuple[list[Update], list[Note]]:
    """The Tasks of matters that are settled; keys that are not open are passed over."""
    known = await database.notes_of(room(connection), tuple(keys))
    updates = [Update({**decode(content), "status": "completed", "lastModified": _now()}) for content in known.values()]
    return updates, [Note(room(connection), key, None) for key in known]


async def listed(database: Database, connection: str, kind: str = "") -> list[tuple[str, Resource]]:
    """Open matters by key, at most 1000 of a kind."""
    prefix = f"{kind}|" if kind else ""
    found = await database.notes(room(connection), prefix=prefix, count=1000)
    return [(key, decode(content)) for key, content in found]


def shown(task: Resource) -> dict[str, Any]:
    """One matter as the API lists it."""
    counted = [one["valueUnsignedInt"] for one in task["input"] if one["type"].get("text") == COUNT]
    inputs = {one["type"]["text"]: _value(one) for one in task["input"] if one["type"].get("text") != COUNT}
    about = task.get("focus", {}).get("identifier", {}).get("value") or task.get("focus", {}).get("reference")
    return {
        "task": f"Task/{task['id']}",
        "kind": task["code"]["coding"][0]["code"],
        "about": about,
        "resources": counted[0] if counted else 0,
        "since": task["authoredOn"],
        **({"details": inputs} if inputs else {}),
    }


def _value(part: Resource) -> Any:
    return next(value for name, value in part.items() if name.startswith("value"))


def _task(connection: str, item: Item, before: Resource | None) -> Resource:
    counts = [one["valueUnsignedInt"] for one in (before or {}).get("input", []) if one["type"].get("text") == COUNT]
    count = {"type": {"text": COUNT}, "valueUnsignedInt": sum(counts) + item.count}
    now = _now()
    focus = {"reference": item.focus} if item.focus else {}
    if item.about:
        focus["identifier"] = {"system": "urn:ietf:rfc:3986", "value": item.about}
    return {
        "resourceType": "Task",
        "id": task_id(connection, item.key),
        "meta": {"security": [RESTRICTED], "tag": [tag(connection)]},
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": KINDS, "code": item.kind}]},
        "description": TEXTS[item.kind],
        **({"focus": focus} if focus else {}),
        "authoredOn": before["authoredOn"] if before else now,
        "lastModified": now,
        "input": [*item.inputs, count],
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
