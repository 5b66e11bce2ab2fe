"""One request over HTTP: redirects, a bounded body, and errors of our own.

Redirects are followed for GET and HEAD alone. Authorization and the headers of the connection stay with its origin,
and https never becomes http: https://www.rfc-editor.org/rfc/rfc9110#section-15.4
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import zlib
from collections.abc import Mapping

import httpx

from service.errors import Upstream, UpstreamRefused
from service.remote.broken import unreachable
from service.remote.calls import Answer, Call, joined, origin, place
from service.remote.gunzip import Gunzip
from service.remote.limits import Limits

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_ERROR_BODY = 1024 * 1024  # bytes that are read of the body of an error
_IDLE = 3.0  # seconds: below the 5 after which many servers close, so that no request meets a closing connection

# The HTTP library logs every URL with its query, which may hold a patient's identifiers.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


def new_client(limits: Limits, trust: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """A client of the HTTP library with the limits; `trust` replaces the authorities of the system."""
    return httpx.AsyncClient(
        verify=trust or True,
        timeout=httpx.Timeout(limits.read, connect=limits.connect),
        limits=httpx.Limits(
            max_connections=limits.concurrency + 4,
            max_keepalive_connections=limits.concurrency + 4,
            keepalive_expiry=_IDLE,
        ),
    )


class Wire:
    """Sends calls as they are; every answer is given back, whatever its status."""

    def __init__(self, client: httpx.AsyncClient, limits: Limits, base: str, headers: Mapping[str, str]) -> None:
        self.client = client
        self.limits = limits
        self.headers = dict(headers)
        self._origin = origin(base)

    async def send(self, call: Call, token: str | None) -> Answer:
        """The answer at the end of the redirects. Raises Unreachable, Upstream, UpstreamRefused."""
        url = call.url
        for _ in range(_MOST_REDIRECTS + 1):
            answer = await self._once(call, url, token)
            if answer.status not in _REDIRECTS or "location" not in answer.headers:
                return answer
            url = self._redirected(call, answer)
        text = f"{call.shown}: more than {_MOST_REDIRECTS} redirects"
        raise UpstreamRefused(text, rule="upstream-redirect", status_code=answer.status, request_id=call.id)

    def _redirected(self, call: Call, answer: Answer) -> str:
        target = joined(answer.url, answer.headers["location"])
        problem = None
        if call.method not in ("GET", "HEAD"):
            problem = "only GET may be redirected; is the base address the final one?"
        elif origin(answer.url)[0] == "https" and origin(target)[0] == "http":
            problem = "the redirect leads from https to http"
        if problem:
            text = f"{call.shown}: {answer.status} to {place(target)}: {problem}"
            raise UpstreamRefused(text, rule="upstream-redirect", status_code=answer.status, request_id=call.id)
        return target

    async def _once(self, call: Call, url: str, token: str | None) -> Answer:
        content = call.content() if callable(call.content) else call.content
        try:
            async with asyncio.timeout(self.limits.total):
                request = self.client.build_request(
                    call.method, url, headers=self._headers(call, url, token), content=content
                )
                response = await self.client.send(request, stream=True, follow_redirects=False)
                try:
                    body = await self._body(call, response)
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, zlib.error) as error:
            raise unreachable(call, url, error, self.limits) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, body, url)

    def _headers(self, call: Call, url: str, token: str | None) -> dict[str, str]:
        headers = {"Accept-Encoding": "gzip", "User-Agent": "cart-fhir", "X-Request-Id": call.id, **call.headers}
        if origin(url) == self._origin:
            headers = {**self.headers, **headers}
            if token is not None:
                headers["Authorization"] = f"Bearer {token}"
        return headers

    async def _body(self, call: Call, response: httpx.Response) -> bytes:
        failed = response.status_code >= 300
        most = min(_ERROR_BODY, self.limits.body) if failed else self.limits.body
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "gzip", "x-gzip", ""):
            raise self._unusable(call, response, "its content coding was not asked for", "upstream-encoding")
        gunzip = Gunzip() if "gzip" in coding else None
        parts: list[bytes] = []
        async for piece in response.aiter_raw():
            part = gunzip(piece, most) if gunzip else piece
            most -= len(part)
            parts.append(part)
            if most < 0:
                if failed:
                    return b""
                text = f"the answer is larger than {self.limits.body} bytes"
                raise self._unusable(call, response, text, "upstream-too-large")
        if gunzip and not gunzip.complete:
            raise httpx.RemoteProtocolError("gzip ends early")
        return b"".join(parts)

    def _unusable(self, call: Call, response: httpx.Response, text: str, rule: str) -> Upstream:
        ambiguous = call.method not in ("GET", "HEAD")
        return Upstream(
            f"{call.shown}: {response.status_code}: {text}",
            code="too-costly" if rule == "upstream-too-large" else "processing",
            rule=rule,
            status_code=response.status_code,
            ambiguous=ambiguous,
            request_id=call.id,
        )
