"""FastAPI, past whose layers the FHIR API's own paths are answered.

Telemetry, exit stacks, error pages and matching of routes cost a read as much as its look-up in the database, and
the interactions use none of them: they turn their errors into outcomes themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.guard import Guard

Match = Callable[[str], re.Match[str] | None]


class Application(FastAPI):
    """Answers `direct` routes itself, in their order, and leaves what matches none of them to FastAPI."""

    _direct: Sequence[tuple[Match, ASGIApp, Guard]] = ()

    def direct(self, routes: Iterable[Route], debug: bool) -> None:
        """Adds routes whose endpoints are ASGI applications; `debug` as in Guard. They are FastAPI's routes too."""
        routes = list(routes)
        self.router.routes.extend(routes)
        self._direct = [(route.path_regex.match, route.endpoint, Guard(route.endpoint, debug)) for route in routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            for match, endpoint, guarded in self._direct:
                found = match(path)
                if found is not None:
                    scope["app"], scope["endpoint"], scope["path_params"] = self, endpoint, found.groupdict()
                    await guarded(scope, receive, send)
                    return
        await super().__call__(scope, receive, send)
