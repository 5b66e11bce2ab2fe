"""Alembic's environment: the schema is that of service.store.tables, the connection that of the settings."""

from alembic import context
from sqlmodel import SQLModel

from service.settings import Settings
from service.store import tables  # noqa: F401 — registers the tables
from service.store.engine import connect


def run(connection) -> None:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_type=True, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    engine = connect(Settings().url())
    with engine.connect() as opened:
        run(opened)
        opened.commit()
    engine.dispose()
