"""What a database must be before it is opened: of the newest schema, by the mark that alembic leaves in it.

Alembic itself is imported only to migrate: it takes as long as everything else together.
"""

from __future__ import annotations

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from service.errors import Unavailable
from service.settings import Settings, shipped
from service.store.engine import connect, database_errors

MIGRATE_FIRST = "The database is not migrated; run `cart-fhir migrate` first"


def head() -> str:
    """The newest revision: the number that the name of the last migration begins with."""
    return max(path.name.partition("_")[0] for path in shipped("alembic", "versions").glob("[0-9]*.py"))


def check(settings: Settings) -> None:
    """Raises Unavailable, with what to do, where the database cannot be opened or is not migrated."""
    engine = opened(settings)
    try:
        require_current(engine)
    finally:
        engine.dispose()


def opened(settings: Settings) -> Engine:
    """The engine of the configured database. Raises Unavailable for a URL that is none."""
    try:
        return connect(settings.url())
    except (ArgumentError, ImportError) as error:
        text = "CART_FHIR_DATABASE_URL must be sqlite:///file or postgresql://user@host/name"
        raise Unavailable(text, rule="database-url") from error


def require_current(engine: Engine) -> bytes:
    """The secret of a migrated database. Raises Unavailable otherwise."""
    try:
        with engine.connect() as connection:
            marked = inspect(connection).has_table("alembic_version")
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if marked else None
            if found != head():
                raise Unavailable(MIGRATE_FIRST, rule="not-migrated")
            value = connection.execute(text("SELECT value FROM setting WHERE name = 'secret'")).scalar_one()
    except (*database_errors(), DBAPIError) as error:
        raise Unavailable(f"The database cannot be opened ({type(error).__name__})") from error
    return bytes.fromhex(value)
