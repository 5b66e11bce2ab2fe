"""The schema's way from nothing to now, by alembic; and what a database must be before it is opened."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from service.errors import Unavailable
from service.settings import Settings, shipped
from service.store.engine import DATABASE_ERRORS, connect

MIGRATE_FIRST = "The database is not migrated; run `cart-fhir migrate` first"


def migrate(settings: Settings) -> None:
    """Brings the database to the newest schema; does nothing where it is there already. Raises Unavailable."""
    engine = _engine(settings)
    try:
        with engine.connect() as connection:
            config = configuration()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except (*DATABASE_ERRORS, DBAPIError) as error:
        raise Unavailable(f"The database cannot be opened ({type(error).__name__})") from error
    finally:
        engine.dispose()


def check(settings: Settings) -> None:
    """Raises Unavailable, with what to do, where the database cannot be opened or is not migrated."""
    engine = _engine(settings)
    try:
        require_current(engine)
    finally:
        engine.dispose()


def _engine(settings: Settings) -> Engine:
    try:
        return connect(settings.url())
    except (ArgumentError, ImportError) as error:
        text = "CART_FHIR_DATABASE_URL must be sqlite:///file or postgresql://user@host/name"
        raise Unavailable(text, rule="database-url") from error


def configuration() -> Config:
    """Alembic's configuration, wherever the service is installed."""
    config = Config()
    config.set_main_option("script_location", str(shipped("alembic")))
    return config


def is_current(engine: Engine) -> bool:
    """Whether the database has the newest schema."""
    head = ScriptDirectory.from_config(configuration()).get_current_head()
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head


def require_current(engine: Engine) -> bytes:
    """The secret of a migrated database. Raises Unavailable otherwise."""
    try:
        if not is_current(engine):
            raise Unavailable(MIGRATE_FIRST, rule="not-migrated")
        with engine.connect() as connection:
            value = connection.execute(text("SELECT value FROM setting WHERE name = 'secret'")).scalar_one()
    except (*DATABASE_ERRORS, DBAPIError) as error:
        raise Unavailable(f"The database cannot be opened ({type(error).__name__})") from error
    return bytes.fromhex(value)
