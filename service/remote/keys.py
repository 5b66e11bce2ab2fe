"""The client's private keys from a file, and the signed assertions that are made with them.

Source: https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from service.errors import UpstreamRefused

ALGORITHMS = ("RS384", "ES384")
_LIFE = 240  # seconds: a minute below the five that servers take, for clocks that differ
_LEAST_BITS = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One private key with the kid under which the server knows it. Without one it is the thumbprint of RFC 7638."""

    kid: str
    algorithm: str
    key: RSAKey | ECKey
    thumbprint: str

    def assertion(self, client_id: str, audience: str) -> str:
        """A JWT for one token request: iss = sub = client id, its own jti, a life of four minutes."""
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "exp": int(time.time()) + _LIFE,
            "jti": str(uuid.uuid4()),
        }
        header = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT"}
        return jwt.encode(header, claims, self.key, algorithms=ALGORITHMS)


class KeyFile:
    """A PEM file with one private key, or a JWK or JWK set in JSON; read again when it changes.

    The newest key comes first: that with the latest `iat` or `nbf`, else the last of the set.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: tuple[SigningKey, ...] = ()
        self._seen: tuple[int, int, int] | None = None

    def keys(self, again: bool = False) -> tuple[SigningKey, ...]:
        """The keys that can sign, newest first; `again` reads the file in any case. Raises UpstreamRefused.

        While a file is being replaced, the keys that were read before stay in use.
        """
        try:
            state = self.path.stat()
            seen = (state.st_mtime_ns, state.st_size, state.st_ino)
            if again or seen != self._seen:
                self._keys, self._seen = tuple(self._read(self.path.read_bytes())), seen
        except (OSError, UpstreamRefused) as error:
            if not self._keys:
                raise error if isinstance(error, UpstreamRefused) else self._problem("cannot be read") from None
        return self._keys

    def _read(self, content: bytes) -> Iterable[SigningKey]:
        found = self._set(content) if content.lstrip().startswith(b"{") else [self._signing(content, {})]
        keys = [key for key in found if key is not None]
        if not keys:
            raise self._problem("holds no private key for RS384 (RSA from 2048 bits) or ES384 (EC on P-384)")
        return keys

    def _set(self, content: bytes) -> list[SigningKey | None]:
        try:
            document = json.loads(content)
            members = document.get("keys", [document])
            dated = [(member.get("iat", member.get("nbf", 0)), place, member) for place, member in enumerate(members)]
            newest = [member for _, _, member in sorted(dated, key=lambda one: one[:2], reverse=True)]
        except (ValueError, TypeError, AttributeError):
            raise self._problem("is not a JWK or JWK set") from None
        return [self._signing(member, member) for member in newest]

    def _signing(self, material: bytes | dict[str, Any], member: dict[str, Any]) -> SigningKey | None:
        if member.get("use", "sig") != "sig" or "sign" not in member.get("key_ops", ["sign"]):
            return None
        if member.get("kty", "RSA") not in ("RSA", "EC"):
            return None
        try:
            key = _imported(material)
        except (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError):
            raise self._problem("holds a key that cannot be read; is it locked with a password?") from None
        algorithm = _algorithm(key)
        if algorithm is None or not key.is_private or member.get("alg", algorithm) != algorithm:
            return None
        thumbprint = key.thumbprint()
        return SigningKey(member.get("kid") or thumbprint, algorithm, key, thumbprint)

    def _problem(self, text: str) -> UpstreamRefused:
        return UpstreamRefused(f"The key file {self.path} {text}", code="security", rule="upstream-key-file")


def _imported(material: bytes | dict[str, Any]) -> RSAKey | ECKey:
    if isinstance(material, dict):
        kind = RSAKey if material["kty"] == "RSA" else ECKey
        return kind.import_key(material)
    private = load_pem_private_key(material, password=None)
    return (RSAKey if isinstance(private, RSAPrivateKey) else ECKey).import_key(material)


def _algorithm(key: RSAKey | ECKey) -> str | None:
    if isinstance(key, RSAKey):
        return "RS384" if key.raw_value.key_size >= _LEAST_BITS else None
    return "ES384" if key.curve_name == "P-384" else None
