"""The store as the other rooms see it: `write(plan)` and the reads. Nothing else writes.

Callers only see `await`. Behind it SQLite has one writer thread and reads that never wait for it; PostgreSQL the
same writer thread in every process and a pool for reads.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from service.conformance.definitions import Definitions
from service.conformance.search_terms import SearchTerms
from service.errors import Unavailable
from service.fhir import json, search
from service.fhir.dates import micros
from service.fhir.ledger import Job, Lease
from service.fhir.operations import Applied, HistoryPage, Once, Patch, Plan, Result, SearchPage, Stored
from service.fhir.search import Query
from service.settings import Settings
from service.store import feed, jobs, notes
from service.store.compartment import Compartment, Part
from service.store.drafts import Prepared, prepare
from service.store.engine import Connection, connect, database_errors, unanswered
from service.store.foresight import foresee, targets
from service.store.idempotency import Keys
from service.store.index import Indexer
from service.store.leasing import Lessor
from service.store.query import Statements
from service.store.reading import Reader
from service.store.schema import require_current
from service.store.writer import Limits, Writer

READERS = 4
SOON = 0.003  # seconds that a read may hold up the event loop on SQLite
LARGE_PLAN = 200  # operations from which preparing moves off the event loop
LARGE_PATCHED = 64 * 1024  # bytes from which the working out of patches does

T = TypeVar("T")


class Database:
    """One open store. `open` it inside a running event loop, `close` it in the same."""

    def __init__(self, settings: Settings, definitions: Definitions) -> None:
        self.settings = settings
        self.zone = ZoneInfo(settings.time_zone)
        self.parameters = definitions.search_parameters
        self.engine = connect(settings.url(), settings.database_silence_seconds)
        self.sqlite = self.engine.dialect.name == "sqlite"
        self._secret = require_current(self.engine)
        self.terms = SearchTerms(definitions)
        self.indexer = Indexer(self.parameters, self.zone)
        self.statements = Statements(definitions.resource_types)
        self.patients = Compartment(definitions.compartments["Patient"], self.parameters, self.statements.numbers)
        self._readers: list[Reader] = []
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="cart-fhir-reader")
        self._unreachable = -math.inf  # monotonic time at which the last connection could not be made
        self._lessor = Lessor(self.engine, settings.write_timeout_seconds)
        self._point = self._reader(time.monotonic()) if self.sqlite else None
        limits = Limits(settings.write_timeout_seconds, settings.idempotency_hours * 3600)
        self._writer = Writer(self.engine, self.indexer, self.statements, self.parse_condition, limits)

    @classmethod
    async def open(cls, settings: Settings, definitions: Definitions) -> Database:
        """Opens a migrated database. Raises Unavailable with what to do where it is not."""
        return await asyncio.to_thread(cls, settings, definitions)

    async def close(self) -> None:
        """Answers all writes that wait, then lets go of the database."""
        await asyncio.to_thread(self._writer.close)
        self._pool.shutdown()
        for reader in [*self._readers, *([self._point] if self._point else [])]:
            reader.connection.close()
        self._lessor.close()
        self.engine.dispose()

    def secret(self) -> bytes:
        """32 bytes that only this database knows, the same for all processes that share it."""
        return self._secret

    def parse_condition(self, type_: str, text: str) -> Query:
        """The Query of a condition's query string; strict, since a dropped criterion would match too much."""
        pairs = parse_qsl(text, keep_blank_values=True)
        return search.parse(type_, pairs, self.parameters, zone=self.zone, handling="strict", terms=self.terms)

    async def write(self, plan: Plan) -> tuple[Applied, ...]:
        """Applies the plan as a whole or not at all; returns, in its order, when that is on disk."""
        if len(plan.operations) > LARGE_PLAN:
            prepared = await asyncio.to_thread(prepare, plan, self.indexer)
        else:
            prepared = prepare(plan, self.indexer)
        if any(isinstance(operation, Patch) for operation in plan.operations):
            await self._foresee(prepared)
        return await self._writer.submit(prepared, self.settings.write_timeout_seconds)

    async def _foresee(self, prepared: Prepared) -> None:
        """Works the patches of a plan out while other writers write; what cannot be read now is left to the write."""
        operations = prepared.plan.operations
        one = len(operations) == 1 and isinstance(operations[0], Patch) and operations[0].where is None
        read = self._looking if one else self._reading
        with suppress(Unavailable):
            found = await read(lambda reader: targets(reader, prepared))
            if sum(len(before.content or b"") for _, before in found) > LARGE_PATCHED:
                await asyncio.to_thread(foresee, prepared, found)
            else:
                foresee(prepared, found)

    async def kept(self, once: Once) -> tuple[Result, ...] | None:
        """What the request with this idempotency key did; None where there was none.

        Raises Unprocessable where the key was used for another request.
        """
        oldest = time.time_ns() // 1000 - int(self.settings.idempotency_hours * 3600 * 1_000_000)
        return await self._reading(lambda reader: Keys(reader.connection, self.statements.numbers, oldest).find(once))

    async def read(self, type: str, id: str) -> Stored:
        """The current version. Raises NotFound or Gone."""
        return await self._looking(lambda reader: reader.current(type, id))

    async def read_version(self, type: str, id: str, version: int) -> Stored:
        """One version. Raises NotFound, or Gone for a deletion."""
        return await self._looking(lambda reader: reader.version(type, id, version))

    async def search(self, query: Query, cursor: tuple[Any, ...] | None = None) -> SearchPage:
        """One page of matches; `cursor` is the `next` of the page before."""
        return await self._soon(lambda reader: reader.page(query, cursor))

    async def everything(self, id: str, part: Part, count: int, cursor: int | None = None) -> SearchPage:
        """One page of the compartment of Patient/[id], the patient first. Raises NotFound or Gone."""
        return await self._soon(lambda reader: self.patients.page(reader, id, part, count, cursor))

    async def resources(self, query: Query) -> AsyncIterator[dict[str, Any]]:
        """Every match of every page, decoded; numbers with a fraction are Decimal."""
        cursor: tuple[Any, ...] | None = None
        while True:
            page = await self.search(query, cursor)
            for match in page.matches:
                yield json.decode(match.content or b"{}", max_depth=10_000)
            cursor = page.next
            if cursor is None:
                return

    async def history(
        self,
        type: str | None = None,
        id: str | None = None,
        *,
        since: datetime | None = None,
        count: int = 50,
        cursor: int | None = None,
    ) -> HistoryPage:
        """Versions newest first, of an instance, a type or the whole store; NotFound for an unknown instance."""
        start = micros(since) if since is not None else None
        return await self._soon(lambda reader: reader.history(type, id, start, count, cursor))

    async def changes(self, types: Sequence[str], after: int, count: int) -> list[tuple[int, Stored]]:
        """The next versions of these types in the order of their commits, those behind the number `after`."""
        return await self._soon(lambda reader: feed.changes(reader, types, after, count))

    async def note(self, room: str, key: str) -> bytes | None:
        """What is kept under (room, key); None where there is nothing."""
        return await self._looking(lambda reader: notes.find(reader.connection, room, key))

    async def notes(self, room: str, prefix: str = "", after: str = "", count: int = 100) -> list[tuple[str, bytes]]:
        """What a room keeps by key: the keys that begin with `prefix` and come after `after`."""
        return await self._soon(lambda reader: notes.listed(reader.connection, room, prefix, after, count))

    async def notes_of(self, room: str, keys: Sequence[str]) -> dict[str, bytes]:
        """What a room keeps under these keys; a key that has nothing is left out."""
        return await self._soon(lambda reader: notes.among(reader.connection, room, keys))

    async def job(self, id: str) -> Job:
        """One job. Raises NotFound."""
        return await self._looking(lambda reader: jobs.find(reader.connection, id))

    async def jobs(
        self,
        kind: str | None = None,
        states: Sequence[str] = (),
        before: tuple[int, str] | None = None,
        count: int = 50,
    ) -> list[Job]:
        """Jobs, the newest first; `before` is (created, id) of the last one of the page before."""
        return await self._soon(lambda reader: jobs.listed(reader.connection, kind, states, before, count))

    async def is_due(self, kinds: Sequence[str]) -> bool:
        """Whether there is a job to claim; that changes nothing."""
        return await self._looking(lambda reader: jobs.is_due(reader.connection, kinds))

    async def claim(self, kinds: Sequence[str], seconds: float) -> Job | None:
        """Leases a job that is due, for so long; None where there is none. Raises Unavailable."""
        return await self._lessor.run(lambda connection: jobs.claim(connection, kinds, seconds))

    async def renew(self, lease: Lease, seconds: float) -> bool:
        """Makes a lease longer; False where it was lost. Raises Unavailable."""
        return await self._lessor.run(lambda connection: jobs.renew(connection, lease, seconds))

    async def ping(self) -> None:
        """Raises Unavailable where the database does not answer."""
        await self._reading(lambda reader: reader.connection.rows("SELECT 1"))

    async def _looking(self, work: Callable[[Reader], T]) -> T:
        """A read so short that on SQLite it costs less than a change of threads: two look-ups in a B-tree."""
        if self._point is None:
            return await self._reading(work)
        self._point.connection.start()
        try:
            return work(self._point)
        except database_errors() as error:
            raise unanswered(error) from error

    async def _soon(self, work: Callable[[Reader], T]) -> T:
        """A read that on SQLite mostly costs less than a change of threads; one that does not is begun anew in one."""
        if self._point is None:
            return await self._reading(work)
        connection = self._point.connection
        connection.begin_read(SOON)
        try:
            return work(self._point)
        except database_errors() as error:
            if not connection.is_late():
                raise unanswered(error) from error
        finally:
            connection.rollback()
        return await self._reading(work)

    async def _reading(self, work: Callable[[Reader], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, work, time.monotonic())

    def _read(self, work: Callable[[Reader], T], asked: float) -> T:
        """One read in one snapshot; again on a new connection where an idle one turns out to be lost.

        `asked` is when the caller began to wait, by the monotonic clock.
        """
        patience = self.settings.search_timeout_seconds + self.settings.database_silence_seconds
        if time.monotonic() - asked > patience:
            text = "The read waited too long for others and was not started"
            raise Unavailable(text, code="throttled", headers={"Retry-After": "10"})
        while True:
            idle = self._idle()
            reader = idle or self._reader(asked)
            try:
                return self._read_by(reader, work)
            except database_errors() as error:
                lost = reader.connection.lost
                reader.connection.invalidate()
                if idle is None or not lost:
                    raise unanswered(error) from error
            while (other := self._idle()) is not None:  # of the same age, and each may be silent for as long
                other.connection.invalidate()

    def _read_by(self, reader: Reader, work: Callable[[Reader], T]) -> T:
        """The read on a connection that no other thread uses meanwhile; it is kept unless the database fails."""
        reader.connection.begin_read()
        try:
            result = work(reader)
        except database_errors():
            raise
        except BaseException:
            reader.connection.rollback()
            self._readers.append(reader)
            raise
        reader.connection.rollback()
        self._readers.append(reader)
        return result

    def _idle(self) -> Reader | None:
        try:
            return self._readers.pop()
        except IndexError:
            return None

    def _reader(self, asked: float) -> Reader:
        """A new reader. An attempt that failed after `asked` speaks for all who waited meanwhile."""
        if asked < self._unreachable:
            raise unanswered(ConnectionError())
        try:
            connection = Connection(self.engine, self.settings.search_timeout_seconds)
            return Reader(connection, self.statements, self.indexer)
        except database_errors() as error:
            self._unreachable = time.monotonic()
            raise unanswered(error) from error
