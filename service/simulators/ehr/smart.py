"""The token server: SMART Backend Services with private_key_jwt.

Source: https://hl7.org/fhir/smart-app-launch/backend-services.html and client-confidential-asymmetric.html.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any

from joserfc import jwk, jwt
from joserfc.errors import JoseError

from service.simulators.wire import Refusal

ALGORITHMS = ("RS384", "ES384")
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST = 300
_LEEWAY = 5  # clocks differ
_KINDS = {"RS384": "RSA", "ES384": "EC"}
_SCOPE = re.compile(r"system/(\*|[A-Z][A-Za-z]+)\.(read|write|\*|c?r?u?d?s?)(\?.*)?")
_LETTERS = {"read": "rs", "write": "cud", "*": "cruds"}
_NEEDED = {"GET": "rs", "POST": "cu", "PUT": "u", "DELETE": "d"}


class TokenError(Exception):
    """A refusal of the token server, https://datatracker.ietf.org/doc/html/rfc6749#section-5.2."""

    def __init__(self, error: str, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status
        self.body = {"error": error, "error_description": text}


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client with its public keys."""

    id: str
    jwks: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Token:
    """An access token that was given; `ends` is a time of `time.time`."""

    value: str
    client: str
    scopes: tuple[str, ...]
    ends: float


class Authority:
    """Gives access tokens to registered clients, and knows which are still good."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self.tokens: dict[str, Token] = {}
        self._used: set[tuple[str, str]] = set()

    def register(self, client_id: str, jwks: dict[str, Any]) -> None:
        """Registers a client, or gives it other keys. Raises Refusal where `jwks` is no set of public keys."""
        keys = jwks.get("keys")
        if not isinstance(keys, list) or not all(isinstance(key, dict) and "d" not in key for key in keys):
            raise Refusal(400, "value", "The keys must be a JWKS of public keys")
        self.clients[client_id] = Client(client_id, jwks)

    def grant(self, form: dict[str, str], url: str, seconds: int) -> tuple[Token, dict[str, Any]]:
        """A token for the form of a request to `url`, and the claims of its assertion. Raises TokenError."""
        if form.get("grant_type") != "client_credentials":
            raise TokenError("unsupported_grant_type", "Only client_credentials")
        if form.get("client_assertion_type") != ASSERTION:
            raise TokenError("invalid_request", "The client_assertion_type is not that of a JWT")
        claims = self._claims(form.get("client_assertion", ""), url)
        scopes = tuple(scope for scope in form.get("scope", "").split() if _SCOPE.fullmatch(scope))
        if not scopes:
            raise TokenError("invalid_scope", "No scope of a system was asked for")
        token = Token(secrets.token_urlsafe(24), claims["iss"], scopes, time.time() + seconds)
        self.tokens[token.value] = token
        return token, claims

    def revoke(self, value: str | None = None) -> None:
        """Ends one token, or all of them."""
        if value is None:
            self.tokens.clear()
        else:
            self.tokens.pop(value, None)

    def admits(self, header: str | None, method: str, type_: str | None) -> None:
        """Raises Refusal where the Authorization `header` does not allow this: 401, or 403 by its scopes.

        `type_` is None for the whole server, where any scope will do: entries of a bundle are not looked at.
        """
        kind, _, value = (header or "").partition(" ")
        token = self.tokens.get(value)
        if kind.lower() != "bearer" or token is None or token.ends <= time.time():
            raise Refusal(401, "login", "A token is needed", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        if type_ and not any(_allows(scope, method, type_) for scope in token.scopes):
            refused = {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}
            raise Refusal(403, "forbidden", "The scopes of the token do not allow this", refused)

    def _claims(self, assertion: str, url: str) -> dict[str, Any]:
        def key(guest: Any) -> Any:
            return self._key(assertion, guest.headers())

        try:
            claims = jwt.decode(assertion, key, algorithms=list(ALGORITHMS)).claims
        except (JoseError, ValueError, KeyError, TypeError):
            raise _invalid("The assertion is not signed by a key of the client") from None
        expires, now = claims.get("exp"), time.time()
        if claims.get("iss") != claims.get("sub") or claims.get("aud") not in (url, [url]):
            raise _invalid("iss and sub must be the client, aud the address of this token server")
        if not isinstance(expires, (int, float)) or not now < expires <= now + LONGEST + _LEEWAY:
            raise _invalid("exp must be ahead, by five minutes at most")
        used = (str(claims["iss"]), str(claims.get("jti") or ""))
        if not used[1] or used in self._used:
            raise _invalid("jti is missing, or was used before")
        self._used.add(used)
        return claims

    def _key(self, assertion: str, header: dict[str, Any]) -> Any:
        issuer = _unverified(assertion).get("iss")
        client = self.clients.get(issuer) if isinstance(issuer, str) else None
        if client is None or "jku" in header:
            raise _invalid("The client is not known, or its jku is not registered")
        keys = [each for each in client.jwks["keys"] if each.get("kid") == header.get("kid")]
        if len(keys) != 1 or not header.get("kid"):
            raise _invalid("kid does not name exactly one key of the client")
        algorithm = header.get("alg")
        if keys[0].get("kty") != _KINDS.get(str(algorithm)) or keys[0].get("alg", algorithm) != algorithm:
            raise _invalid("The key is not one of this alg")
        return jwk.import_key(keys[0])


def _unverified(assertion: str) -> dict[str, Any]:
    part = assertion.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims if isinstance(claims, dict) else {}


def _invalid(text: str) -> TokenError:
    return TokenError("invalid_client", text, 401)


def _allows(scope: str, method: str, type_: str) -> bool:
    found = _SCOPE.fullmatch(scope)
    if found is None or found[1] not in ("*", type_):
        return False
    return bool(set(_LETTERS.get(found[2], found[2])) & set(_NEEDED.get(method, "r")))


def configuration(base: str) -> dict[str, Any]:
    """`/.well-known/smart-configuration` of the server at `base` (without /fhir)."""
    return {
        "token_endpoint": f"{base}/token",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": ["system/*.rs", "system/*.cruds", "system/*.read", "system/*.write", "system/*.*"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
