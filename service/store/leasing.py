"""The connection on which leases of jobs are taken, and the one thread that uses it: readers never wait for a lease."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Engine

from service.store.engine import Connection, database_errors, unanswered

T = TypeVar("T")


class Lessor:
    """Runs short changes one after the other, each a transaction of its own that may take `limit` seconds."""

    def __init__(self, engine: Engine, limit: float) -> None:
        self.engine, self.limit = engine, limit
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cart-fhir-lessor")
        self._connection: Connection | None = None
        self._failed = -math.inf  # monotonic time at which the database last failed

    async def run(self, work: Callable[[Connection], T]) -> T:
        """The result of `work`. Raises Unavailable; the next one gets a new connection then."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work, time.monotonic())

    def _run(self, work: Callable[[Connection], T], asked: float) -> T:
        """A failure speaks for all who waited meanwhile: a database that is away would be waited for by each."""
        if asked < self._failed:
            raise unanswered(ConnectionError())
        try:
            if self._connection is None:
                self._connection = Connection(self.engine, self.limit)
            return work(self._connection)
        except database_errors() as error:
            self._failed = time.monotonic()
            if self._connection is not None:
                self._connection.invalidate()
                self._connection = None
            raise unanswered(error) from error

    def close(self) -> None:
        """Ends the thread and the connection."""
        self._thread.shutdown()
        if self._connection is not None:
            self._connection.close()
