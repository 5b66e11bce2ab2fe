"""Access tokens of SMART Backend Services: discovery, one request in flight, renewal at 80 % of the life.

Source: https://hl7.org/fhir/smart-app-launch/backend-services.html
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from service.errors import Upstream, UpstreamRefused
from service.remote.calls import Answer, Call, joined, origin, shown
from service.remote.exchange import Exchange

if TYPE_CHECKING:
    from service.remote.keys import SigningKey

DISCOVERY = "/.well-known/smart-configuration"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_RENEWED_AT = 0.8  # of the life
_LIFE = 300.0  # seconds where the server does not say: the longest that SMART recommends
_RETRY = 0.05  # of the life, before a failed renewal is tried again while the old token lives
_TOKEN = re.compile(r"[\x21-\x7e]+\Z")
# https://www.rfc-editor.org/rfc/rfc6749#section-5.2
_PROBLEMS = {
    "invalid_client": "it does not know the client id, or not the key",
    "invalid_grant": "it does not take the signed assertion",
    "invalid_request": "it finds the request malformed",
    "invalid_scope": "it does not allow the scopes",
    "unauthorized_client": "the client may not ask for tokens in this way",
    "unsupported_grant_type": "it does not offer client_credentials",
}


@dataclass(frozen=True, slots=True)
class Access:
    """How the service logs in: `key_file` is PEM, JWK or JWK set; `token_url` is discovered where it is None."""

    client_id: str
    key_file: Path
    scopes: tuple[str, ...]
    token_url: str | None = None


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    renew_at: float
    ends_at: float
    life: float


class Tokens:
    """The token of one connection."""

    def __init__(self, exchange: Exchange, access: Access, base: str) -> None:
        self._exchange = exchange
        self._access = access
        self._base = base
        from service.remote.keys import KeyFile  # what signs is long to import, and most servers never sign

        self._keys = KeyFile(access.key_file)
        self._url = access.token_url
        self._token: _Token | None = None
        self._flight: asyncio.Task[_Token] | None = None

    async def current(self, refused: str | None = None) -> str:
        """A token that lives. All who ask while one is being fetched get that one, or its error.

        A renewal that fails leaves the old token in use for as long as it lives.
        """
        token = self._token
        if token is not None and token.text != refused and monotonic() < token.renew_at:
            return token.text
        if self._flight is None:
            self._flight = asyncio.create_task(self._fetch())
            self._flight.add_done_callback(self._landed)
        try:
            return (await asyncio.shield(self._flight)).text
        except Upstream as error:
            if not error.transient or token is None or token.text == refused or monotonic() >= token.ends_at:
                raise
            pause = monotonic() + token.life * _RETRY
            self._token = _Token(token.text, min(pause, token.ends_at), token.ends_at, token.life)
            return token.text

    def is_newest(self, token: str) -> bool:
        """Whether it was given last, and no other is under way."""
        return self._flight is None and self._token is not None and self._token.text == token

    def _landed(self, task: asyncio.Task[_Token]) -> None:
        self._flight = None
        if not task.cancelled() and task.exception() is None:
            self._token = task.result()

    async def close(self) -> None:
        """Ends a request that is under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)

    async def _fetch(self) -> _Token:
        if self._url is None:
            self._url = await self._discovered()
        tried: set[str] = set()
        refused: Upstream | None = None
        while key := next((one for one in self._keys.keys(again=bool(tried)) if one.thumbprint not in tried), None):
            tried.add(key.thumbprint)
            asked = monotonic()
            call = self._call(key, self._url)
            answer = await self._exchange.send(call)
            if answer.status == 200:
                return _token(call, answer, asked)
            problem = _problem(answer)
            refused = self._refusal(call, answer, key, problem)
            if problem != "invalid_client":
                break
        assert refused is not None
        raise refused

    def _call(self, key: SigningKey, url: str) -> Call:
        form = {
            "grant_type": "client_credentials",
            "scope": " ".join(self._access.scopes),
            "client_assertion_type": _ASSERTION,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        return Call("POST", url, headers, partial(_form, form, key, self._access.client_id, url), authorised=False)

    async def _discovered(self) -> str:
        call = Call("GET", self._base + DISCOVERY, {"Accept": "application/json"}, authorised=False)
        answer = await self._exchange.send(call)
        endpoint = _object(answer).get("token_endpoint") if answer.status == 200 else None
        if not isinstance(endpoint, str):
            text = f"{call.shown}: {answer.status}: no token_endpoint; is SMART on at this server, or set the token URL"
            raise UpstreamRefused(text, rule="upstream-token", status_code=answer.status, request_id=call.id)
        url = joined(answer.url, endpoint)
        if origin(self._base)[0] == "https" and origin(url)[0] != "https":
            text = f"{call.shown}: the token endpoint {shown(url)} is not https"
            raise UpstreamRefused(text, code="security", rule="upstream-token", request_id=call.id)
        return url

    def _refusal(self, call: Call, answer: Answer, key: SigningKey, problem: str) -> Upstream:
        words = _PROBLEMS.get(problem, "no known reason")
        text = f"{call.shown}: {answer.status}: the server gives no token: {problem or 'no error code'} ({words})"
        if problem == "invalid_client":
            text += f"; the client id is {self._access.client_id}, the key {key.kid} ({key.algorithm})"
        if answer.status >= 500:
            return Upstream(text, status_code=answer.status, request_id=call.id)
        return UpstreamRefused(text, code="login", rule="upstream-token", status_code=answer.status, request_id=call.id)


def _form(form: dict[str, str], key: SigningKey, client_id: str, url: str) -> bytes:
    return urlencode({**form, "client_assertion": key.assertion(client_id, url)}).encode()


def _object(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _problem(answer: Answer) -> str:
    """The error code, where it is one of OAuth: other text of a server is not quoted."""
    code = _object(answer).get("error")
    return code if isinstance(code, str) and code in _PROBLEMS else ""


def _token(call: Call, answer: Answer, asked: float) -> _Token:
    found = _object(answer)
    text, kind = found.get("access_token"), found.get("token_type", "bearer")
    if not isinstance(text, str) or not _TOKEN.match(text) or str(kind).lower() != "bearer":
        raise Upstream(
            f"{call.shown}: 200, but without a bearer token", rule="upstream-token", status_code=200, request_id=call.id
        )
    try:
        life = float(found.get("expires_in", _LIFE))
    except (TypeError, ValueError):
        life = _LIFE
    life = life if 0 < life < 10**9 else _LIFE
    return _Token(text, asked + life * _RENEWED_AT, asked + life, life)
