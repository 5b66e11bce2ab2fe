"""What a submission leaves behind when another one stands in for it or takes it back.

What it alone brought is deleted: it leaves searches and exports, and its versions stay readable. Its Task stays, with
the state that it has now, and names what it came with by identifier instead of by reference.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from service.errors import Gone, NotFound
from service.fhir import references
from service.fhir.json import decode
from service.fhir.ledger import Note
from service.fhir.operations import Delete, Operation, Update
from service.store.database import Database
from service.submissions.receipts import HELD, Record
from service.submissions.schedule import in_state

Resource = dict[str, Any]


@dataclass(slots=True)
class Holdings:
    """Who brought a resource: `Type/id` → receipts, as noted now and as it shall be."""

    before: dict[str, bytes]
    now: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    async def of(cls, database: Database, resources: Iterable[str]) -> Holdings:
        """What is noted of these resources."""
        wanted = sorted(set(resources))
        before = await database.notes_of(HELD, wanted)
        return cls(before, {one: msgspec.json.decode(before[one]) if one in before else [] for one in wanted})

    def add(self, resources: Iterable[str], receipt: str) -> None:
        for one in resources:
            if receipt not in self.now[one]:
                self.now[one] = [*self.now[one], receipt]

    def remove(self, resources: Iterable[str], receipt: str) -> list[str]:
        """Takes the receipt away; returns the resources that nobody holds any more."""
        for one in resources:
            self.now[one] = [held for held in self.now[one] if held != receipt]
        return [one for one in resources if not self.now[one]]

    def notes(self) -> list[Note]:
        """What changed, each guarded by what was there."""
        contents = {one: msgspec.json.encode(held) if held else None for one, held in self.now.items()}
        changed = {one: content for one, content in contents.items() if content != self.before.get(one)}
        return [Note(HELD, one, content, self.before.get(one)) for one, content in changed.items()]


async def left_behind(
    database: Database, record: Record, holdings: Holdings, state: str, rewritten: Iterable[str] = ()
) -> list[Operation]:
    """The operations that take `record` out of use: `state` is SUP or VOID.

    `rewritten` are resources that the same plan writes; they are left alone, the Task too.
    """
    alone = holdings.remove([one for one in record.resources if one != record.task], record.receipt)
    gone = [one for one in alone if one not in set(rewritten)]
    operations: list[Operation] = [Delete(*one.split("/")) for one in gone]
    if record.task is not None and record.task not in set(rewritten):
        try:
            stored = await database.read(*record.task.split("/"))
        except (NotFound, Gone):
            return operations
        task = unlinked(decode(stored.content or b"{}", 10_000), set(record.resources))
        operations.append(Update(in_state(task, state), if_match=stored.version))
    return operations


def unlinked(resource: Resource, gone: set[str]) -> Resource:
    """The resource with its references to what is `gone` as identifiers: a reference would hold it fast."""
    for container, _, text in references.find(resource).local:
        target = references.local(text)
        if target is not None and f"{target.type}/{target.id}" in gone and isinstance(container, dict):
            del container["reference"]
            container["type"] = target.type
            container["identifier"] = {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{target.id}"}
    return resource
