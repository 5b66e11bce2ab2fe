"""The store as a dict: what a plan must do, said as plainly as it can be said. The tests hold the store against it.

Only what the plans of the state machine use: patients and observations with one identifier, a gender and a reference.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Identity = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Op:
    """One operation of a plan. `kind`: create, update, delete or read.

    `where` is the identifier of its condition; `ref` ("id", id), ("urn", place in the plan) or ("where", identifier).
    """

    kind: str
    type: str
    id: str | None = None
    identifier: str = "1"
    gender: str = "female"
    where: str | None = None
    if_match: int | None = None
    ref: tuple[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A version of a resource: `target` is what it refers to. A deletion has no identifier."""

    version: int
    identifier: str | None
    gender: str = ""
    target: Identity | None = None

    @property
    def alive(self) -> bool:
        return self.identifier is not None


class Refused(Exception):
    """The plan breaks a rule and must change nothing."""


@dataclass(slots=True)
class Model:
    """The rows now, and all versions in the order of the feed."""

    rows: dict[Identity, Row] = field(default_factory=dict)
    feed: list[tuple[Identity, Row]] = field(default_factory=list)
    made: int = 0

    def apply(self, plan: list[Op]) -> list[str]:
        """The outcome of each operation. Raises Refused, with nothing changed."""
        attempt = _Attempt(dict(self.rows), self.made)
        outcomes = attempt.run(plan)
        self.rows, self.made = attempt.rows, attempt.made
        self.feed += [(identity, attempt.written[identity]) for identity in attempt.order]
        return outcomes

    def found(self, type_: str, **wanted: Any) -> Counter[Any]:
        """What a search by identifier, gender or target finds, by `shown`."""
        return Counter(
            shown(self.rows, identity)
            for identity, row in self.rows.items()
            if identity[0] == type_ and row.alive and all(getattr(row, k) == v for k, v in wanted.items())
        )


def shown(rows: dict[Identity, Row], identity: Identity, deep: bool = True) -> Any:
    """A resource without the ids that the server gave, which differ from run to run."""
    row = rows[identity]
    target = shown(rows, row.target, False) if deep and row.target in rows else None
    return (identity[0], named(identity[1]), row.version, row.identifier, row.gender, target)


def named(id_: str) -> str:
    """A client's id; `*` for one that the server gave."""
    return id_ if len(id_) == 1 else "*"


class _Attempt:
    """One plan on a copy of the rows."""

    def __init__(self, rows: dict[Identity, Row], made: int) -> None:
        self.rows, self.made = rows, made
        self.written: dict[Identity, Row] = {}
        self.order: list[Identity] = []

    def run(self, plan: list[Op]) -> list[str]:
        outcomes = [""] * len(plan)
        identities: dict[int, Identity | None] = {}
        deletes = [index for index, op in enumerate(plan) if op.kind == "delete"]
        for index in deletes:
            identities[index] = self._of_delete(plan[index])
        for index in deletes:
            outcomes[index] = self._delete(plan[index], identities[index])
        for kind in ("create", "update"):
            for index, op in enumerate(plan):
                if op.kind == kind:
                    identities[index], outcomes[index] = self._of_write(op)
        known = [identity for identity in identities.values() if identity is not None]
        if len(known) != len(set(known)):
            raise Refused("two entries for one identity")
        writing = [
            i for kind in ("create", "update") for i, op in enumerate(plan) if op.kind == kind and not outcomes[i]
        ]
        self._write(plan, writing, identities, outcomes)
        self._check(plan, writing, identities)
        return ["read" if op.kind == "read" else outcome for op, outcome in zip(plan, outcomes, strict=True)]

    def _match(self, type_: str, identifier: str | None) -> list[Identity]:
        found = [i for i, row in self.rows.items() if i[0] == type_ and row.alive and row.identifier == identifier]
        if len(found) > 1:
            raise Refused("several match")
        return found

    def _of_delete(self, op: Op) -> Identity | None:
        if op.id is not None:
            return (op.type, op.id)
        return next(iter(self._match(op.type, op.where)), None)

    def _delete(self, op: Op, identity: Identity | None) -> str:
        if identity is None:
            return "absent"
        row = self.rows.get(identity)
        _check_version(op, row)
        if row is None or not row.alive:
            return "absent"
        self._put(identity, Row(row.version + 1, None))
        return "deleted"

    def _of_write(self, op: Op) -> tuple[Identity, str]:
        if op.where is not None:
            found = self._match(op.type, op.where)
            if found and op.kind == "create":
                return found[0], "existing"
            if found:
                if op.id not in (None, found[0][1]):
                    raise Refused("another id than the condition finds")
                return found[0], ""
            taken = self.rows.get((op.type, op.id)) if op.kind == "update" and op.id is not None else None
            if taken is not None and taken.alive:
                raise Refused("the id is that of another")
        if op.id is not None and op.kind == "update":
            return (op.type, op.id), ""
        self.made += 1
        return (op.type, f"made-{self.made}"), ""

    def _write(
        self, plan: list[Op], writing: list[int], identities: dict[int, Identity | None], out: list[str]
    ) -> None:
        future = dict(self.rows)
        for index in writing:
            future[identities[index]] = Row(0, plan[index].identifier)  # type: ignore[index]
        for index in writing:
            op, identity = plan[index], identities[index]
            assert identity is not None
            before = self.rows.get(identity)
            _check_version(op, before)
            target = self._target(op.ref, plan, identities, future)
            row = Row(before.version + 1 if before else 1, op.identifier, op.gender, target)
            if before == Row(row.version - 1, row.identifier, row.gender, row.target):
                out[index] = "unchanged"
                continue
            out[index] = "updated" if before and before.alive else "created"
            self._put(identity, row)

    def _target(
        self,
        ref: tuple[str, Any] | None,
        plan: list[Op],
        identities: dict[int, Identity | None],
        future: dict[Identity, Row],
    ) -> Identity | None:
        if ref is None:
            return None
        kind, value = ref
        if kind == "id":
            return ("Patient", value)
        if kind == "urn":
            if value >= len(plan) or plan[value].kind not in ("create", "update"):
                raise Refused("a urn that no entry has")
            return identities[value]
        found = [i for i, row in future.items() if i[0] == "Patient" and row.identifier == value]
        if len(found) != 1:
            raise Refused("a conditional reference that does not find one")
        return found[0]

    def _put(self, identity: Identity, row: Row) -> None:
        self.rows[identity] = self.written[identity] = row
        self.order.append(identity)

    def _check(self, plan: list[Op], writing: list[int], identities: dict[int, Identity | None]) -> None:
        for index in writing:
            op, mine = plan[index], identities[index]
            others = [i for i, row in self.written.items() if i[0] == op.type and row.identifier == op.where]
            if op.where is not None and any(other != mine for other in others):
                raise Refused("another entry meets the condition")
        for row in self.rows.values():
            if row.alive and row.target is not None and not (row.target in self.rows and self.rows[row.target].alive):
                raise Refused("a reference to nothing")
        for op in plan:
            if op.kind == "read":
                row = self.rows.get((op.type, op.id or ""))
                if row is None or not row.alive:
                    raise Refused("nothing to read")


def _check_version(op: Op, row: Row | None) -> None:
    if op.if_match is not None and (row is None or not row.alive or row.version != op.if_match):
        raise Refused("If-Match")
