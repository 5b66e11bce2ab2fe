"""Plans become rows: a group of plans is resolved in memory inside one transaction, then written in bulk.

Nothing of a plan reaches the tables before the plan as a whole has succeeded, so a failing plan leaves no trace and
its neighbours in the group do not notice. What earlier plans of the group will write is seen by later ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from service.fhir import json, references
from service.fhir.operations import Create
from service.fhir.search import Criterion, Query
from service.fhir.values import Token
from service.store.drafts import Identity, Prepared
from service.store.engine import COLUMNS, Connection
from service.store.index import Indexer, Values, bounded, parameter_number
from service.store.match import matches
from service.store.query import Statements
from service.store.reading import Reader


@dataclass(frozen=True, slots=True)
class Entity:
    """A resource as the transaction sees it. `version` 0: it does not exist. `content` None: not loaded, or deleted."""

    key: int
    version: int
    deleted: bool
    updated: int = 0
    content: bytes | None = None
    values: Values | None = None
    method: str = "PUT"

    @property
    def alive(self) -> bool:
        return self.version > 0 and not self.deleted


ABSENT = Entity(0, 0, False)
_NONE = Values()
RESOURCE_COLUMNS = ("key", "type", "id", "version", "seq", "updated", "deleted")
VERSION_COLUMNS = ("seq", "key", "type", "version", "updated", "method", "content")


@dataclass(slots=True)
class Layer:
    """What one plan, or the group so far, has changed; how it can be found is worked out when somebody asks."""

    entities: dict[Identity, Entity] = field(default_factory=dict)
    versions: list[tuple[Any, ...]] = field(default_factory=list)  # key, type, version, updated, method, content
    of_type: dict[str, set[Identity]] = field(default_factory=dict)
    _tokens: dict[tuple[int, str], set[Identity]] = field(default_factory=dict)
    _referrers: dict[Identity, set[Identity]] = field(default_factory=dict)
    _unseen: list[Identity] = field(default_factory=list)

    def put(self, identity: Identity, entity: Entity) -> None:
        """Sets the state of a resource."""
        self.entities[identity] = entity
        self.of_type.setdefault(identity[0], set()).add(identity)
        self._unseen.append(identity)

    def with_code(self, number: int, code: str) -> set[Identity]:
        """The changed resources that have, or had, this code under the parameter."""
        self._look()
        return self._tokens.get((number, code), set())

    def referring_to(self, identity: Identity) -> set[Identity]:
        """The changed resources that refer, or referred, to this one."""
        self._look()
        return self._referrers.get(identity, set())

    def _look(self) -> None:
        for identity in self._unseen:
            entity = self.entities.get(identity)
            if entity is not None and entity.values is not None:
                for param, code, _ in entity.values.token:
                    self._tokens.setdefault((param, code), set()).add(identity)
                for _, type_, id_ in entity.values.reference:
                    self._referrers.setdefault((type_, id_), set()).add(identity)
        self._unseen.clear()

    def absorb(self, other: Layer) -> None:
        """Takes over what a plan that succeeded has changed."""
        for identity, entity in other.entities.items():
            self.put(identity, entity)
        self.versions += other.versions


class Staging:
    """One write transaction, begun when it is made: looks up, collects and flushes."""

    def __init__(
        self, connection: Connection, indexer: Indexer, statements: Statements, now: int, group: Iterable[Prepared]
    ) -> None:
        self.connection, self.indexer, self.statements = connection, indexer, statements
        self.numbers, self.types = statements.numbers, statements.types
        self.reader = Reader(connection, statements, indexer)
        self.group, self.plan = Layer(), Layer()
        self.flushes = 0
        self.witness: tuple[Any, ...] | None = None  # the first version written
        self.loaded: dict[Identity, Entity] = {}
        last_key, last_seq, latest = connection.begin_write()
        self.next_key, self.next_seq = last_key + 1, last_seq + 1
        # A clock that is set back never makes a later version older: the feed stays ordered by time.
        self.now = max(now - now % 1000, latest)
        self._preload(group)

    def _preload(self, group: Iterable[Prepared]) -> None:
        """Loads in bulk what the plans name: targets with their content, referenced resources without."""
        targets: set[Identity] = set()
        referenced: set[Identity] = set()
        for prepared in group:
            for draft in prepared.drafts:
                if draft.identity is not None and not isinstance(draft.operation, Create):
                    targets.update(prepared.plan.about(*draft.identity))
                if draft.values is not None:
                    referenced.update((type_, id_) for _, type_, id_ in draft.values.reference)
        self.load(targets, with_content=True)
        self.load(referenced - targets, with_content=False)

    def load(self, identities: Iterable[Identity], *, with_content: bool) -> None:
        """Reads the state of resources from the database, each once."""
        by_type: dict[str, list[str]] = {}
        for identity in identities:
            known = self.loaded.get(identity)
            if known is None or (with_content and known.alive and known.content is None):
                by_type.setdefault(identity[0], []).append(identity[1])
                self.loaded[identity] = ABSENT
        for type_, ids in by_type.items():
            text = (
                "SELECT r.id, r.key, r.version, r.deleted, r.updated, v.content, v.method FROM resource r "
                "JOIN version v ON v.seq = r.seq WHERE r.type = ? AND r.id IN"
                if with_content
                else "SELECT id, key, version, deleted, updated, NULL, '' FROM resource WHERE type = ? AND id IN"
            )
            for id_, key, version, deleted, updated, body, method in self.connection.among(
                text, (self.numbers.get(type_, -1),), ids
            ):
                body = bytes(body) if body is not None else None
                self.loaded[type_, id_] = Entity(key, version, bool(deleted), updated, body, None, method)

    def entity(self, identity: Identity, *, with_content: bool = False) -> Entity:
        """The state of a resource after all that the group and the plan have done so far."""
        changed = self.plan.entities.get(identity) or self.group.entities.get(identity)
        if changed is not None:
            return changed
        self.load((identity,), with_content=with_content)
        return self.loaded[identity]

    def values_before(self, identity: Identity) -> Values:
        """The search values that the database holds for the resource."""
        self.load((identity,), with_content=True)
        body = self.loaded[identity].content
        if body is None:
            return Values()
        resource = json.decode(body, max_depth=10_000)
        return self.indexer.values(resource, references.find(resource).local)

    def find(self, query: Query) -> list[Identity]:
        """The resources that match, pending ones included; of those in the database at most two untouched ones."""
        limit = 2 + sum(len(layer.of_type.get(query.type, ())) for layer in (self.group, self.plan))
        sql = self.statements.keys(query, None, limit)
        keys = [key for (key,) in self.connection.rows(sql.text, sql.values)]
        rows = self.connection.among("SELECT type, id FROM resource WHERE key IN", (), keys)
        stored = [(self.types[number], id_) for number, id_ in rows]
        untouched = [i for i in stored if i not in self.plan.entities and i not in self.group.entities]
        return untouched + self.pending(query)

    def pending(self, query: Query) -> list[Identity]:
        """The matches among the resources that this transaction has changed and not yet written."""
        return [identity for identity in self._candidates(query) if self._matches(query, identity)]

    def _matches(self, query: Query, identity: Identity) -> bool:
        entity = self.entity(identity)
        return entity.alive and all(
            matches(condition, *identity, entity.updated, entity.values or _NONE) for condition in query.conditions
        )

    def _candidates(self, query: Query) -> set[Identity]:
        """The changed resources that can match, narrowed by one code of the query where it has one."""
        layers = (self.group, self.plan)
        for condition in query.conditions:
            codes = _codes(condition)
            if codes:
                number = parameter_number(query.type, condition.parameter.code)  # type: ignore[union-attr]
                return {i for code in codes for layer in layers for i in layer.with_code(number, code)}
        return {i for layer in layers for i in layer.of_type.get(query.type, ())}

    def new_key(self) -> int:
        """The next key that no resource has."""
        self.next_key += 1
        return self.next_key - 1

    def referrers(self, identity: Identity) -> set[Identity]:
        """The living resources other than itself that refer to this one."""
        found: set[Identity] = set()
        key = self.entity(identity).key
        for number, id_ in self.connection.rows(
            "SELECT DISTINCT r.type, r.id FROM reference_index i JOIN resource r ON r.key = i.key "
            "WHERE i.target = ? AND i.key <> ? LIMIT 1000",
            (key, key),
        ):
            referrer = (self.types[number], id_)
            if referrer not in self.plan.entities and referrer not in self.group.entities:
                found.add(referrer)
        for layer in (self.group, self.plan):
            for referrer in layer.referring_to(identity):
                entity = self.entity(referrer)
                if referrer != identity and entity.alive and entity.values and _refers(entity.values, identity):
                    found.add(referrer)
        return found

    def accept(self) -> None:
        """The plan succeeded: its changes become the group's."""
        if self.group.entities:
            self.group.absorb(self.plan)
        else:
            self.group = self.plan
        self.plan = Layer()

    def discard(self) -> None:
        """The plan failed: its changes are forgotten."""
        self.plan = Layer()

    def flush(self) -> None:
        """Writes all that the group has changed so far."""
        newest, rows = {}, []
        for seq, row in enumerate(self.group.versions, self.next_seq):
            newest[row[0]] = seq
            rows.append((seq, *row))
        self.next_seq += len(rows)
        self.flushes += 1
        self.witness = self.witness or (rows[0] if rows else None)
        new, changed = self._resource_rows(newest)
        added, gone = self._index_rows()
        connection = self.connection
        with connection.together(len(rows) + sum(map(len, added.values())) + sum(map(len, gone.values()))):
            connection.insert("resource", RESOURCE_COLUMNS, new)
            connection.many("UPDATE resource SET version = ?, seq = ?, updated = ?, deleted = ? WHERE key = ?", changed)
            connection.insert("version", VERSION_COLUMNS, rows)
            for table, columns in COLUMNS.items():
                where = " AND ".join(f"{column} = ?" for column in columns)
                connection.many(f"DELETE FROM {table} WHERE {where}", gone[table])
                connection.insert(table, columns, sorted(added[table]))
        self.loaded.update(self.group.entities)
        self.group = Layer()

    def _resource_rows(self, newest: dict[int, int]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """New rows and changes of the resource table; `newest` is the sequence number by key."""
        new: list[tuple[Any, ...]] = []
        changed: list[tuple[Any, ...]] = []
        for (type_, id_), entity in self.group.entities.items():
            state = (entity.version, newest[entity.key], entity.updated, entity.deleted)
            if self.loaded.get((type_, id_), ABSENT).version:
                changed.append((*state, entity.key))
            else:
                new.append((entity.key, self.numbers[type_], id_, *state))
        return new, changed

    def _index_rows(self) -> tuple[dict[str, list[tuple[Any, ...]]], dict[str, list[tuple[Any, ...]]]]:
        """The difference between the search values that were and those that are: rows to add, rows to take away."""
        added: dict[str, list[tuple[Any, ...]]] = {name: [] for name in COLUMNS}
        gone: dict[str, list[tuple[Any, ...]]] = {name: [] for name in COLUMNS}
        for identity, entity in self.group.entities.items():
            before = self.values_before(identity) if self.loaded.get(identity, ABSENT).alive else _NONE
            after = entity.values if entity.alive and entity.values is not None else _NONE
            for name in Values.__slots__:
                old, new = getattr(before, name), getattr(after, name)
                if new - old:
                    added[f"{name}_index"] += self._rows(name, entity.key, new - old)
                if old - new:
                    gone[f"{name}_index"] += self._rows(name, entity.key, old - new)
        return added, gone

    def _rows(self, name: str, key: int, values: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Index rows in the order of the table's columns."""
        if name == "token":
            return [(param, code, key, system) for param, code, system in values]
        if name == "reference":
            rows = {(self.entity((type_, id_)).key, param, key) for param, type_, id_ in values}
            return [row for row in rows if row[0]]
        if name in ("string", "uri"):
            return [(*row, key) for row in values]
        return [(key, *row) for row in values]


def _codes(condition: Any) -> list[str]:
    """The codes of a token criterion without modifier, bounded as in the index; none for any other condition."""
    if not isinstance(condition, Criterion) or condition.parameter.type != "token" or condition.modifier:
        return []
    if condition.parameter.code == "_id" or not all(isinstance(v, Token) and v.code for v in condition.values):
        return []
    return [bounded(value.code) for value in condition.values]  # type: ignore[union-attr,arg-type]


def _refers(values: Values, identity: Identity) -> bool:
    return any((type_, id_) == identity for _, type_, id_ in values.reference)
