"""Templates to responses: every value is escaped, and nothing is loaded from another host."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from service import __version__

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
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """The text of a page."""
    return _templates().get_template(template).render(version=__version__, **values)


def html(content: str) -> Response:
    """The response with a text that was rendered."""
    return HTMLResponse(content, headers=SAFE)


def page(template: str, **values: Any) -> Response:
    """An HTML page; every value is escaped."""
    return html(render(template, **values))
