"""What strikes each n-th request: throttling, lost tokens, slow, spoilt and wrong answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from starlette.responses import HTMLResponse, Response

from service.simulators.ehr.quirks import Quirks
from service.simulators.wire import Answer, Refusal

_PAGE = "<!doctype html><title>Sign in</title><p>Your session has ended. Please sign in."


@dataclass(frozen=True, slots=True)
class Strike:
    """What happens to one request; `kind` is None where nothing does."""

    kind: str | None = None
    refusal: Refusal | None = None
    seconds: float = 0.0
    odd: bool = False

    def spoilt(self, response: Response) -> Response:
        """The answer as it goes out."""
        if self.kind == "truncates":
            kept = {name: value for name, value in response.headers.items() if name != "content-length"}
            return Response(bytes(response.body)[: len(response.body) // 2], response.status_code, kept)
        if self.kind == "wrong_answer":
            return HTMLResponse(_PAGE) if self.odd else Answer(200, {"resourceType": "Basic", "id": "x"}).response()
        return response


class Faults:
    """Counts the requests."""

    def __init__(self) -> None:
        self._requests = 0

    def strike(self, quirks: Quirks, has_token: bool) -> Strike:
        """What happens to the next request. The first that is due wins; without a token none is lost."""
        self._requests += 1
        for kind in ("throttles", "unauthorized", "truncates", "wrong_answer", "slow"):
            every = getattr(quirks, f"{kind}_every")
            if every and self._requests % every == 0 and (has_token or kind != "unauthorized"):
                return _strike(kind, quirks, self._requests // every % 2 == 1)
        return Strike()


def _strike(kind: str, quirks: Quirks, odd: bool) -> Strike:
    if kind == "throttles":
        dated = quirks.retry_after_form == "date" or (quirks.retry_after_form == "both" and odd)
        until = datetime.now(UTC) + timedelta(seconds=quirks.retry_after)
        after = format_datetime(until, usegmt=True) if dated else str(quirks.retry_after)
        return Strike(kind, Refusal(429 if odd else 503, "throttled", "Too many requests", {"Retry-After": after}))
    if kind == "unauthorized":
        refused = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return Strike(kind, Refusal(401, "login", "The token has ended", refused))
    return Strike(kind, seconds=quirks.slow_seconds if kind == "slow" else 0.0, odd=odd)
