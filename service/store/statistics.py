"""PostgreSQL's planner statistics, kept fresh while a store grows.

Autovacuum looks once a minute; a store that was filled a second ago would be searched by plans for an empty one.
SQLite needs none: its plans follow from the statements.
"""

from __future__ import annotations

import threading
from contextlib import suppress

from sqlalchemy import Engine

from service.store.engine import Connection, database_errors

FIRST = 1000  # versions
LIMIT = 300.0  # seconds


class Statistics:
    """Runs ANALYZE beside the writer each time the number of versions has doubled."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._next = FIRST
        self._running: threading.Thread | None = None

    def after(self, versions: int) -> None:
        """Called after a commit with the number of versions there are; returns at once."""
        busy = self._running is not None and self._running.is_alive()
        if self.engine.dialect.name == "sqlite" or versions < self._next or busy:
            return
        self._next = 2 * versions
        self._running = threading.Thread(target=self._analyze, name="cart-fhir-statistics", daemon=True)
        self._running.start()

    def close(self) -> None:
        """Waits for an ANALYZE that is under way."""
        if self._running is not None:
            self._running.join()

    def _analyze(self) -> None:
        with suppress(*database_errors()):  # the next doubling tries again; searches are right without it
            connection = Connection(self.engine, LIMIT)
            try:
                connection.start()
                connection.raw.execute("ANALYZE")
                connection.commit()
            finally:
                connection.close()
