"""Pages for people: what this is, Swagger UI, the guide to the profiles. Nothing is loaded from another host."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from service.conformance.capability import Interaction
from service.web.guide.pages import TABLE as GUIDE
from service.web.html import HERE, page

__all__ = ["TABLE", "page", "static_files"]


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
    *GUIDE,
)
