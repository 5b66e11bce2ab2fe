"""Connections to the two databases, and the few statements in which they differ.

SQLite: WAL and synchronous=FULL, so that an acknowledged write survives a power cut. PostgreSQL: an advisory lock
makes the writers of all processes take turns, which is what makes conditions hold under race and the change feed
gapless in commit order.
"""

from __future__ import annotations

import math
import sqlite3
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, event
from sqlalchemy.engine import make_url

from service.errors import CartFhirError, Unavailable

WRITE_LOCK = 0x43415254  # 'CART'
MANY = 400  # rows from which COPY is faster than a pipeline of inserts
_BLOCK = 250  # rows of one INSERT on SQLite: Python keeps the last 128 statements, at a kilobyte for each row
_CHUNK = 500  # values of one IN list on SQLite
_STEPS = 10_000  # instructions of SQLite's machine between two looks at the clock: some tenths of a millisecond
_RESTED = 1.0  # seconds after which a connection may have died unnoticed
_COUNTERS = (
    "SELECT coalesce((SELECT max(key) FROM resource), 0), coalesce((SELECT max(seq) FROM version), 0), "
    "coalesce((SELECT updated FROM version ORDER BY seq DESC LIMIT 1), 0)"
)

# Written out: the models of service.store.tables are for migrations, and take a tenth of the start to make.
COLUMNS = {
    "token_index": ("param", "code", "key", "system"),
    "reference_index": ("target", "param", "key"),
    "string_index": ("param", "folded", "value", "key"),
    "date_index": ("key", "param", "low", "high"),
    "number_index": ("key", "param", "low", "high"),
    "quantity_index": ("key", "param", "low", "high", "code", "system"),
    "uri_index": ("param", "value", "key"),
    "composite_index": (
        "key",
        "param",
        "code",
        "system",
        "value",
        "value_system",
        "low",
        "high",
        "low2",
        "high2",
    ),
}


def connect(url: str, silence: float = math.inf) -> Engine:
    """The SQLAlchemy engine of the database; makes the folder of a SQLite file. Every connection is a new one.

    A PostgreSQL that is silent for longer than `silence` seconds counts as gone.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        from service.store import postgresql  # the driver is long to import

        engine = create_engine(url, poolclass=NullPool, connect_args=postgresql.arguments(parsed, silence))
        opened = partial(postgresql.open_connection, silence)
        event.listen(engine, "do_connect", lambda dialect, record, args, parameters: opened(*args, **parameters))
        return engine
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, poolclass=NullPool, connect_args={"check_same_thread": False, "timeout": 30})
    event.listen(engine, "connect", _tune)
    return engine


def _tune(connection: sqlite3.Connection, record: Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-16000", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


class Connection:
    """A DBAPI connection of either database with the statements that this room needs.

    `limit` is how many seconds a transaction may take; a statement that runs on is stopped by the database.
    """

    def __init__(self, engine: Engine, limit: float = math.inf) -> None:
        self.sqlite = engine.dialect.name == "sqlite"
        self._pooled = engine.raw_connection()
        self.raw: Any = self._pooled.driver_connection
        self._limit, self._until, self._ended = limit, math.inf, time.monotonic()
        if self.sqlite:
            self.raw.set_progress_handler(self.is_late, _STEPS)
        if limit < math.inf:
            try:
                self._tell(max(1, int(limit * 1000)))
            except BaseException:
                self.invalidate()
                raise

    def _tell(self, milliseconds: int) -> None:
        """Tells the database the limit."""
        if self.sqlite:
            self.raw.execute(f"PRAGMA busy_timeout = {milliseconds}")
        else:
            self.raw.keep_to(milliseconds)

    def start(self, limit: float = math.inf) -> None:
        """The time of a transaction, or of a read without one, begins; `limit` where it is less than the usual one."""
        self._until = time.monotonic() + min(limit, self._limit)
        if not self.sqlite:
            self.raw.until = self._until

    def _end(self) -> None:
        self._until, self._ended = math.inf, time.monotonic()
        if not self.sqlite:
            self.raw.until = 0.0

    def is_late(self) -> bool:
        """Whether the transaction has taken longer than it may."""
        return time.monotonic() > self._until

    def close(self) -> None:
        """Ends the connection."""
        self._pooled.close()

    def invalidate(self) -> None:
        """Throws the connection away, after an error of the connection itself."""
        self._pooled.invalidate()

    @property
    def lost(self) -> bool:
        """Whether the database has ended the connection."""
        return not self.sqlite and bool(self.raw.closed)

    def rows(self, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query whose placeholders are `?`."""
        if self.sqlite:
            return self.raw.execute(text, values).fetchall()
        return self.raw.execute(text.replace("%", "%%").replace("?", "%s"), values).fetchall()

    def many(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        """One statement for each of `rows`."""
        if not rows:
            return
        if self.sqlite:
            self.raw.executemany(text, rows)
        else:
            with self.raw.cursor() as cursor:
                cursor.executemany(text.replace("?", "%s"), rows)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """New rows: executemany, or COPY for many on PostgreSQL."""
        if not rows:
            return
        into = f"INSERT INTO {table} ({','.join(columns)}) VALUES "
        marks = f"({','.join('?' * len(columns))})"
        if self.sqlite:
            self._insert_in_blocks(into, marks, rows)
            return
        if len(rows) < MANY:
            self.many(into + marks, rows)
            return
        with self.raw.cursor() as cursor, cursor.copy(f"COPY {table} ({','.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def _insert_in_blocks(self, into: str, marks: str, rows: Sequence[Sequence[Any]]) -> None:
        """Many rows by one step of SQLite, which the interpreter's lock is given up for once and not for each row.

        A thread that gets the lock back from a busy event loop waits for it each time, longer than a block takes.
        """
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            self.raw.execute(into + ",".join([marks] * len(block)), tuple(chain.from_iterable(block)))

    def among(self, text: str, fixed: Sequence[Any], values: Iterable[Any]) -> list[tuple[Any, ...]]:
        """The rows of `text`, which ends in `… IN`, for any number of values."""
        found: list[tuple[Any, ...]] = []
        remaining = list(values)
        if not self.sqlite:
            return self.rows(f"{text.removesuffix('IN')}= ANY(?)", (*fixed, remaining)) if remaining else []
        for start in range(0, len(remaining), _CHUNK):
            chunk = remaining[start : start + _CHUNK]
            found += self.rows(f"{text} ({','.join('?' * len(chunk))})", (*fixed, *chunk))
        return found

    def apart(self, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """One changing statement as a transaction of its own, which takes no turn among the writers on PostgreSQL."""
        self.start()
        try:
            if self.sqlite:
                self.raw.execute("BEGIN IMMEDIATE")
            rows = self.rows(text, values)
            self.commit()
        except BaseException:
            self.rollback()
            raise
        return rows

    def begin_write(self) -> tuple[int, int, int]:
        """Starts a write transaction that no other writer shares, in this process or another.

        Returns the highest key, the highest sequence number and the time of that version, 0 where there is none.
        """
        if self.sqlite:
            self.start()
            self.raw.execute("BEGIN IMMEDIATE")
            return self.raw.execute(_COUNTERS).fetchone()
        if time.monotonic() - self._ended > _RESTED:
            self.raw.execute("SELECT 1")  # answered at once or never, while the lock may be waited for
        self.start()
        with self.raw.pipeline():  # one round trip; the second statement sees what the lock waited for
            self.raw.execute("SELECT pg_advisory_xact_lock(%s)", (WRITE_LOCK,))
            return self.raw.execute(_COUNTERS).fetchone()

    def together(self, rows: int) -> AbstractContextManager[Any]:
        """A block of about so many inserts and updates, on PostgreSQL sent in one round trip unless they are many."""
        return nullcontext() if self.sqlite or rows >= MANY else self.raw.pipeline()

    def begin_read(self, limit: float = math.inf) -> None:
        """Starts a read that sees one state throughout; on SQLite it may take no longer than `limit` seconds."""
        if self.sqlite:
            self.raw.execute("BEGIN")
        else:
            self.raw.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self.start(limit)

    def commit(self) -> None:
        """Returns when the transaction is on disk."""
        if self.sqlite:
            self._end()  # a commit is not interrupted
            self.raw.execute("COMMIT")
        else:
            self.raw.commit()
            self._end()

    def rollback(self) -> None:
        """Undoes the transaction, if there is one."""
        self._end()
        if not self.sqlite:
            self.raw.rollback()
        elif self.raw.in_transaction:
            self.raw.execute("ROLLBACK")


def database_errors() -> tuple[type[Exception], ...]:
    """What the drivers raise."""
    return (sqlite3.Error, *_of_postgresql("ERRORS"))


def _of_postgresql(kind: str) -> tuple[type[Exception], ...]:
    """Errors of PostgreSQL's driver; none before it was imported for a connection."""
    return getattr(sys.modules.get("service.store.postgresql"), kind, ())


def timed_out(error: BaseException) -> bool:
    """Whether the database stopped a statement or a transaction because it took too long."""
    return isinstance(error, _of_postgresql("LATE")) or _sqlite_code(error) == sqlite3.SQLITE_INTERRUPT


def _sqlite_code(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def too_slow() -> CartFhirError:
    """What to answer for a write that was undone because it took too long."""
    text = "The write took too long and was undone; nothing was written. Send fewer entries, or try again later"
    return Unavailable(text, code="timeout", rule="write-timeout", headers={"Retry-After": "10"})


def translated(error: BaseException) -> CartFhirError:
    """What a caller may know of a database error: nothing was written; the text of the driver stays inside."""
    if timed_out(error):
        return too_slow()
    code, text = None, f"The database did not take the write ({type(error).__name__}); nothing was written"
    if isinstance(error, _of_postgresql("FULL")) or _sqlite_code(error) == sqlite3.SQLITE_FULL:
        code, text = "no-store", "The database has no room left; nothing was written"
    return Unavailable(text, code=code, headers={"Retry-After": "1"}, rule="database-unavailable")


def unanswered(error: BaseException) -> Unavailable:
    """What a caller may know of a database error while reading."""
    if timed_out(error):
        text = "The search takes too long; narrow it by an identifier, a patient, a code or a period, or ask for less"
        return Unavailable(text, code="too-costly", rule="search-timeout")
    return Unavailable(f"The database did not answer ({type(error).__name__})", headers={"Retry-After": "1"})
