"""What the statements take the tables for, and that serving needs no models."""

from __future__ import annotations

import subprocess
import sys

from service.store import idempotency, jobs, staging
from service.store.engine import COLUMNS
from service.store.tables import INDEXES, Idempotency, JobRow, Resource, Version


def columns(model: type) -> tuple[str, ...]:
    return tuple(column.name for column in model.__table__.columns)  # type: ignore[attr-defined]


def test_statements_name_the_columns_of_the_tables() -> None:
    assert {model.__tablename__: columns(model) for model in INDEXES} == COLUMNS
    assert columns(Resource) == staging.RESOURCE_COLUMNS
    assert columns(Version) == staging.VERSION_COLUMNS
    assert columns(Idempotency) == idempotency.COLUMNS
    assert columns(JobRow) == jobs.COLUMNS


def test_serving_from_sqlite_imports_neither_models_nor_other_drivers() -> None:
    code = "import sys, service.cli; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"alembic", "sqlmodel", "service.store.tables", "sqlalchemy.orm", "psycopg", "pytest"} & set(found)
