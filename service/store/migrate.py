"""The schema's way from nothing to now, by alembic."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from service.errors import Unavailable
from service.settings import Settings, shipped
from service.store.engine import database_errors
from service.store.schema import opened


def migrate(settings: Settings) -> None:
    """Brings the database to the newest schema; does nothing where it is there already. Raises Unavailable."""
    engine = opened(settings)
    try:
        with engine.connect() as connection:
            config = configuration()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except (*database_errors(), DBAPIError) as error:
        raise Unavailable(f"The database cannot be opened ({type(error).__name__})") from error
    finally:
        engine.dispose()


def configuration() -> Config:
    """Alembic's configuration, wherever the service is installed."""
    config = Config()
    config.set_main_option("script_location", str(shipped("alembic")))
    return config
