"""The only wiring: settings in, the ASGI application out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.routing import Mount

from service import __version__, work
from service.api import conflicts, framework, health, jobs, openapi, receiving, submissions, sync, trial
from service.api.application import Application
from service.api.cursors import Cursors
from service.api.guard import Guard
from service.api.operations.table import TABLE as OPERATIONS
from service.api.routes import TABLE, routes
from service.api.server import Server
from service.conformance import definitions
from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.jobs import Rooms, Runner
from service.settings import Settings
from service.store.database import Database
from service.web import pages


def create_app(settings: Settings, loaded: Definitions | None = None) -> FastAPI:
    """The application; its lifespan opens the definitions, the store and the validator and closes them in turn.

    `loaded` are definitions that the caller has at hand. Raises Unavailable (in the lifespan) where the store
    is not migrated.
    """

    table = (
        *TABLE,
        *OPERATIONS,
        *health.TABLE,
        *trial.TABLE,
        *jobs.TABLE,
        *conflicts.TABLE,
        *sync.TABLE,
        *receiving.TABLE,
        *submissions.TABLE,
        *openapi.TABLE,
        *pages.TABLE,
    )
    interactions = tuple(interaction for interaction, _ in table)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        defined = loaded or await asyncio.to_thread(definitions.load, settings.data_dir / "definitions")
        database = await Database.open(settings, defined)
        rooms = Rooms(settings, defined, database, Validator(defined))
        runner = Runner(rooms, work.KINDS if settings.workers else (), settings.workers)
        try:
            app.state.server = Server(
                settings=settings,
                definitions=defined,
                database=database,
                validator=rooms.validator,
                cursors=Cursors(database.secret()),
                interactions=interactions,
                page=pages.page,
                replays=work.REPLAYS,
            )
            runner.start()
            yield
        finally:
            await runner.stop()
            await database.close()

    app = Application(
        title="cart-fhir",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    debug = settings.log_level.upper() == "DEBUG"
    framework.install(app)
    app.add_middleware(Guard, debug=debug)
    app.state.interactions = interactions
    app.direct(routes(table), debug)
    app.router.routes.append(Mount("/static", pages.static_files()))
    return app
