"""Pages for people: what this is, Swagger UI, the trial's tables. Nothing is loaded from another host."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from service import __version__
from service.conformance.capability import Interaction

HERE = Path(__file__).parent
# Swagger UI sets style attributes and draws its icons from data: URLs.
SAFE = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )


def page(template: str, **values: Any) -> Response:
    """An HTML page; every value is escaped."""
    content = _templates().get_template(template).render(version=__version__, **values)
    return HTMLResponse(content, headers=SAFE)


def static_files() -> StaticFiles:
    """The files that ship with the service."""
    return StaticFiles(directory=HERE / "static")


async def home(request: Request) -> Response:
    """GET /: what this is, and where to go first."""
    return page("home.html")


async def docs(request: Request) -> Response:
    """GET /docs: Swagger UI on our OpenAPI."""
    return page("docs.html")


async def favicon(request: Request) -> Response:
    """GET /favicon.ico: browsers ask for it unasked."""
    return FileResponse(HERE / "static" / "favicon.svg", media_type="image/svg+xml")


TABLE = (
    (Interaction("home", "GET", "/"), home),
    (Interaction("docs", "GET", "/docs"), docs),
    (Interaction("favicon", "GET", "/favicon.ico"), favicon),
)
