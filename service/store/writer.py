"""The one writer: a thread that takes whatever plans are waiting, commits them together and answers each.

While one group is being flushed to disk the next one gathers, so the price of a durable commit is shared by all
who wait for it (group commit).
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from service.errors import CartFhirError, Internal, Unavailable
from service.fhir.operations import Applied, Result
from service.store.apply import ParseQuery, apply
from service.store.drafts import Prepared
from service.store.engine import Connection, database_errors, timed_out, too_slow, translated
from service.store.idempotency import Keys
from service.store.index import Indexer
from service.store.jobs import Jobs
from service.store.notes import Notes
from service.store.query import Statements
from service.store.staging import VERSION_COLUMNS, Staging
from service.store.statistics import Statistics

LARGEST_GROUP = 4000  # operations; a single larger plan goes alone
RECONNECT_SECONDS = 10.0  # for how long a lost commit is looked for

Outcome = tuple[Result, ...] | BaseException


@dataclass(slots=True)
class Request:
    """A prepared plan on its way, and where its answer goes."""

    prepared: Prepared
    deadline: float
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[tuple[Applied, ...]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many seconds a write may take, and for how many an idempotency key is remembered."""

    write: float
    remember: float


@dataclass(frozen=True, slots=True)
class _Own:
    """What a write transaction keeps that is no resource."""

    keys: Keys
    notes: Notes
    jobs: Jobs

    def load(self, group: list[Prepared]) -> None:
        self.keys.load(group)
        self.notes.load(group)
        self.jobs.load(group)

    def flush(self) -> bool:
        """Writes all; whether there was a note or a job among it."""
        self.keys.flush()
        return self.notes.flush() + self.jobs.flush() > 0


class Away(Exception):
    """No connection could be made; the cause says why."""


class Writer:
    """Owns the writing connection. `submit` from any event loop; `close` answers what is queued, then stops."""

    def __init__(
        self, engine: Engine, indexer: Indexer, statements: Statements, parse_query: ParseQuery, limits: Limits
    ) -> None:
        self.engine, self.indexer, self.statements, self.parse_query = engine, indexer, statements, parse_query
        self.limits = limits
        self._queue: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._closed = False
        self.statistics = Statistics(engine)
        self._thread = threading.Thread(target=self._run, name="cart-fhir-writer", daemon=True)
        self._thread.start()

    async def submit(self, prepared: Prepared, timeout: float) -> tuple[Applied, ...]:
        """Waits until the plan is on disk. A plan that did not start within `timeout` seconds is refused."""
        if self._closed:
            raise Unavailable("The service is stopping; nothing was written", rule="stopping")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[Applied, ...]] = loop.create_future()
        self._queue.put(Request(prepared, time.monotonic() + timeout, loop, answer))
        return await answer

    def close(self) -> None:
        """Finishes what is queued and ends the thread."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        self.statistics.close()

    def _run(self) -> None:
        while (request := self._queue.get()) is not None:
            group, stop = self._gather(request)
            self._deliver(group, self._commit_all(group))
            if stop:
                break
        if self._connection is not None:
            self._connection.close()

    def _gather(self, first: Request) -> tuple[list[Request], bool]:
        group, size = [first], len(first.prepared.drafts)
        while size < LARGEST_GROUP:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return group, True
            group.append(following)
            size += len(following.prepared.drafts)
        return group, False

    def _deliver(self, group: list[Request], outcomes: list[Outcome]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future, Outcome]]] = {}
        for request, outcome in zip(group, outcomes, strict=True):
            by_loop.setdefault(request.loop, []).append((request.answer, outcome))
        for loop, answers in by_loop.items():
            with suppress(RuntimeError):  # a closed loop: its callers no longer wait
                loop.call_soon_threadsafe(_answer, answers)

    def _commit_all(self, group: list[Request]) -> list[Outcome]:
        """One transaction for the group; should that fail as a whole, one for each plan."""
        live = [request for request in group if not _is_late(request) and not request.answer.cancelled()]
        outcomes: dict[int, Outcome] = {}
        if live:
            try:
                done = self._commit([request.prepared for request in live])
            except BaseException as error:
                done = self._commit_each(live, error)
            outcomes = {id(request): outcome for request, outcome in zip(live, done, strict=True)}
        return [outcomes[id(request)] if id(request) in outcomes else _late() for request in group]

    def _commit_each(self, requests: list[Request], error: BaseException) -> list[Outcome]:
        """A transaction for each plan, after the one of all failed by `error`.

        Where the database cannot be reached, one attempt speaks for all: each of its own would be waited for in turn.
        """
        lost = isinstance(error, database_errors()) and not timed_out(error)  # the connection, perhaps long ago
        outcomes: list[Outcome] = []
        for request in requests if len(requests) > 1 or lost else ():
            if isinstance(error, Away):
                break
            if _is_late(request):
                outcomes.append(_late())
                continue
            try:
                outcomes += self._commit([request.prepared])
            except BaseException as alone:
                error = alone
                outcomes.append(_told(alone))
        return outcomes + [_told(error)] * (len(requests) - len(outcomes))

    def _commit(self, group: list[Prepared]) -> list[Outcome]:
        """Applies the plans in turn; one that fails is left out. Raises where the transaction itself fails."""
        connection = self._connected()
        try:
            staging = Staging(connection, self.indexer, self.statements, time.time_ns() // 1000, group)
            keys = Keys(connection, self.statements.numbers, staging.now - int(self.limits.remember * 1_000_000))
            own = _Own(keys, Notes(connection), Jobs(connection, staging.now))
            own.load(group)
            outcomes = [self._apply(staging, own, prepared) for prepared in group]
            staging.flush()
            changed = own.flush()
            if connection.is_late():
                raise too_slow()
        except BaseException:
            self._recover(connection)
            raise
        try:
            connection.commit()
        except database_errors() as error:
            self._recover(connection)
            failure = self._lost(staging.witness, error, changed)
            if failure is not None:
                return [outcome if isinstance(outcome, CartFhirError) else failure for outcome in outcomes]
        self.statistics.after(staging.next_seq)
        return outcomes

    def _lost(self, witness: tuple[Any, ...] | None, error: BaseException, changed: bool) -> CartFhirError | None:
        """What to answer after a commit whose own answer was lost: None where the transaction is on disk.

        Not tried again, since it may have happened: its first version is looked for, behind the write lock, which
        the lost transaction holds until it has ended. Where the database stays away, the truth is "not known".
        """
        until = time.monotonic() + RECONNECT_SECONDS
        while witness is not None:
            try:
                there = self._is_stored(witness)
            except (Away, *database_errors()):
                if time.monotonic() < until:
                    time.sleep(0.1)
                    continue
                return _unknown()
            return None if there else translated(error)
        return _unknown() if changed else None  # notes and jobs of a plan without resources leave nothing to look for

    def _is_stored(self, version: tuple[Any, ...]) -> bool:
        connection = self._connected()
        try:
            connection.begin_write()
            found = connection.rows(f"SELECT {','.join(VERSION_COLUMNS)} FROM version WHERE seq = ?", version[:1])
            return [tuple(row) for row in found] == [version]
        finally:
            self._recover(connection)

    def _apply(self, staging: Staging, own: _Own, prepared: Prepared) -> Outcome:
        flushes, plan, once = staging.flushes, prepared.plan, prepared.plan.once
        try:
            before = own.keys.find(once) if once is not None else None
            if before is not None:
                return before
            own.notes.check(plan.notes)
            jobs = own.jobs.staged(plan.jobs)
            outcome = apply(staging, prepared, self.parse_query)
        except CartFhirError as error:
            if staging.flushes != flushes:  # rows of the plan are in the transaction: it fails, its neighbours go alone
                raise
            staging.discard()
            return error
        if prepared.plan.rehearsal:
            staging.discard()
            return outcome
        staging.accept()
        own.notes.keep(plan.notes)
        own.jobs.keep(jobs)
        if once is not None:
            own.keys.keep(once, outcome, staging.now)
        return outcome

    def _connected(self) -> Connection:
        if self._connection is None:
            try:
                self._connection = Connection(self.engine, self.limits.write)
            except database_errors() as error:
                raise Away from error
        return self._connection

    def _recover(self, connection: Connection) -> None:
        try:
            connection.rollback()
        except database_errors():
            connection.invalidate()
            self._connection = None


def _unknown() -> CartFhirError:
    text = "The connection was lost during the commit; whether the write was done is not known"
    return Unavailable(text, rule="outcome-unknown", headers={"Retry-After": "10"})


def _is_late(request: Request) -> bool:
    return request.deadline < time.monotonic()


def _late() -> CartFhirError:
    return Unavailable("The write waited too long and was not started; nothing was written", code="timeout")


def _told(error: BaseException) -> BaseException:
    """What the caller is told of an error that undid its plan."""
    if isinstance(error, Away):
        return translated(error.__cause__ or error)
    return translated(error) if isinstance(error, database_errors()) else error


def _answer(answers: list[tuple[asyncio.Future, Outcome]]) -> None:
    for future, outcome in answers:
        if future.cancelled():
            continue
        if isinstance(outcome, CartFhirError):
            future.set_exception(outcome)
        elif isinstance(outcome, BaseException):
            failure = Internal("The write failed inside the service; nothing was written")
            failure.__cause__ = outcome
            future.set_exception(failure)
        else:
            future.set_result(outcome)
