"""A server with SMART Backend Services that is strict about assertions, and keys to log in with."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.remote import Access
from tests.remote.serving import fhir, outcome, patient

SCOPES = ("system/*.read", "system/*.write")
Key = RSAKey | ECKey


def ec(kid: str, **parameters: Any) -> ECKey:
    """A new key on P-384."""
    return ECKey.generate_key("P-384", {"kid": kid, **parameters})


def write_keys(path: Path, *keys: Key) -> Path:
    """A JWK set with the private keys, put in place at once."""
    text = json.dumps({"keys": [key.as_dict(private=True) for key in keys]})
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)
    return path


def access(path: Path, **changes: Any) -> Access:
    """The login of the client `cart`."""
    return Access(**{"client_id": "cart", "key_file": path, "scopes": SCOPES, **changes})


class Smart:
    """Gives tokens for assertions of `keys`, and Patients for tokens in `live`; `token_paths` are its endpoints."""

    def __init__(self, *keys: Key, life: int = 300) -> None:
        self.keys: list[Key] = list(keys)
        self.life = life
        self.live: set[str] = set()
        self.assertions: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.refusals: list[str] = []
        self.unauthorised = 0
        self.failing = False

    async def __call__(self, request: Request) -> Response:
        if request.url.path.endswith("/.well-known/smart-configuration"):
            return JSONResponse({"token_endpoint": str(request.url.replace(path="/auth/token"))})
        if request.url.path == "/auth/token":
            return await self._token(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.live:
            self.unauthorised += 1
            return fhir(outcome("login"), 401)
        return fhir(patient())

    async def _token(self, request: Request) -> Response:
        if self.failing:
            return Response("busy", 503)
        form = dict(parse_qsl((await request.body()).decode(), strict_parsing=True))
        try:
            assert form["grant_type"] == "client_credentials"
            assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            assert form["scope"] == " ".join(SCOPES)
            self._check(form["client_assertion"], str(request.url))
        except (AssertionError, JoseError, ValueError) as error:
            self.refusals.append(repr(error))
            return JSONResponse({"error": "invalid_client", "error_description": "Jane Roe"}, 401)
        token = f"token-{len(self.assertions)}"
        self.live.add(token)
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": self.life})

    def _check(self, assertion: str, url: str) -> None:
        public = KeySet([type(key).import_key(key.as_dict(private=False)) for key in self.keys])
        algorithms = ["RS384", "ES384"]
        header = jws.extract_compact(assertion.encode()).headers()
        found = jwt.decode(assertion, public, algorithms=algorithms)
        claims = found.claims
        assert claims["iss"] == claims["sub"] == "cart"
        assert claims["aud"] == url
        assert time.time() < claims["exp"] <= time.time() + 300
        assert claims["jti"] not in [one["jti"] for _, one in self.assertions]
        self.assertions.append((header, claims))
