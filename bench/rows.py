"""The yardstick of writes: the rows that the service wrote, by plain executemany into an empty database."""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from pathlib import Path

from service.settings import Settings
from service.store.migrate import migrate
from service.store.tables import INDEXES

KEYED = ("resource", "version", *(table.__tablename__ for table in INDEXES))


def plain_rate(filled: Path, folder: Path, resources: int, batch: int = 100) -> float:
    """Resources a second: all rows of `filled`, one durable commit for every `batch` resources."""
    source = sqlite3.connect(filled)
    groups: list[dict[str, list[tuple[object, ...]]]] = []
    for table in KEYED:
        columns = [row[1] for row in source.execute(f"PRAGMA table_info({table})")]
        place = columns.index("key")
        by_group: dict[int, list[tuple[object, ...]]] = defaultdict(list)
        for row in source.execute(f"SELECT * FROM {table}"):
            by_group[(row[place] - 1) // batch].append(row)
        for number, rows in by_group.items():
            while len(groups) <= number:
                groups.append({})
            groups[number][table] = sorted(rows)
    source.close()
    path = folder / "plain.sqlite"
    migrate(Settings(database_url=f"sqlite:///{path}"))
    target = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-16000"):
        target.execute(f"PRAGMA {pragma}")
    started = time.perf_counter()
    for group in groups:
        target.execute("BEGIN IMMEDIATE")
        for table, rows in group.items():
            target.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
        target.execute("COMMIT")
    seconds = time.perf_counter() - started
    target.close()
    return resources / seconds
