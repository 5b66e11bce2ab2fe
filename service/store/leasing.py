"""The connection on which leases of jobs are taken: opened when the first is wanted, used by one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Engine

from service.store.engine import Connection, database_errors

T = TypeVar("T")


class Lessor:
    """Runs short changes, each a transaction of its own, that may take `limit` seconds."""

    def __init__(self, engine: Engine, limit: float) -> None:
        self.engine, self.limit = engine, limit
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def run(self, work: Callable[[Connection], T]) -> T:
        """The result of `work`; after an error of the database the next one gets a new connection."""
        with self._lock:
            if self._connection is None:
                self._connection = Connection(self.engine, self.limit)
            try:
                return work(self._connection)
            except database_errors():
                self._connection.invalidate()
                self._connection = None
                raise

    def close(self) -> None:
        """Ends the connection."""
        if self._connection is not None:
            self._connection.close()
