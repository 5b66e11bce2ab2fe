"""What is known of patients of a hospital, and what follows from a look at them: values.

Note room `link/[connection]`, key `Patient/id` of theirs: a Link. Room `again/[connection]`, same key: the searches
that are still to be asked for this patient in full.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from service.fhir.ledger import Note
from service.fhir.operations import Plan, Update

Subjects = dict[tuple[str, str], set[str]]  # our Patient/id by identifier
LINKED, UNLINKED, AMBIGUOUS, MERGED = "linked", "unlinked", "ambiguous", "merged"


class Link(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a patient there: `state` and, where it is linked, the `local` Patient/id.

    `into` is who replaced a merged one. `by` says how it came about: identifier · merge (of another into this one) ·
    person, which nothing but a person changes.
    """

    state: str
    local: str | None = None
    identifiers: tuple[tuple[str, str], ...] = ()
    into: str | None = None
    by: str = "identifier"


def room(connection: str) -> str:
    """The room of the links."""
    return f"link/{connection}"


def again_room(connection: str) -> str:
    """The room of the patients who are to be pulled again."""
    return f"again/{connection}"


@dataclass(slots=True)
class Decided:
    """What follows from a look at patients: it belongs into one plan."""

    operations: list[Update] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def joined(self, other: Decided) -> Decided:
        """Both together."""
        counts = {name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in self.counts | other.counts}
        return Decided(self.operations + other.operations, self.notes + other.notes, counts)

    def plan(self) -> Plan:
        """All of it."""
        return Plan(tuple(self.operations), notes=tuple(self.notes))

    def __bool__(self) -> bool:
        return bool(self.operations or self.notes)
