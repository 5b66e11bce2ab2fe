"""What goes over the wire: answers, refusals, and the ways in which an answer can be lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.fhir import json
from service.simulators.serving import connection

FHIR_JSON = "application/fhir+json"

Resource = dict[str, Any]


def outcome(code: str, text: str, severity: str = "error", expression: str | None = None) -> Resource:
    """An OperationOutcome with one issue of R4's type `code`."""
    issue: dict[str, Any] = {"severity": severity, "code": code, "diagnostics": text}
    if expression:
        issue["expression"] = [expression]
    return {"resourceType": "OperationOutcome", "issue": [issue]}


@dataclass(frozen=True, slots=True)
class Answer:
    """What an interaction says, over HTTP or in the entry of a bundle."""

    status: int
    resource: Resource | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """The answer as FHIR in JSON."""
        body = b"" if self.resource is None else json.encode(self.resource)
        return Response(body, self.status, self.headers, FHIR_JSON if body else None)


class Refusal(Exception):
    """A request that is answered with an OperationOutcome."""

    def __init__(self, status: int, code: str, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.answer = Answer(status, outcome(code, text), headers or {})


def plain(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Plain JSON, which is not FHIR."""
    return Response(json.encode(value), status, headers, "application/json")


class Dropped(Response):
    """No answer: the connection is closed before a byte of one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = connection(scope)
        if transport is None:
            raise RuntimeError("A connection can only be dropped by service.simulators.serving")
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


class Cut(Response):
    """Half of an answer: the headers promise more than comes before the connection is closed."""

    def __init__(self, whole: Response) -> None:
        super().__init__(bytes(whole.body), whole.status_code, dict(whole.headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = connection(scope)
        if transport is None:
            raise RuntimeError("A connection can only be cut by service.simulators.serving")
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass
