"""What went wrong below HTTP, in plain words, and whether the request may have arrived."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpx

from service.errors import Unreachable
from service.remote.calls import Call, parsed
from service.remote.limits import Limits

# Verify codes of OpenSSL: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_CERTIFICATES = {
    9: "its TLS certificate is not valid yet: is the clock right?",
    10: "its TLS certificate has expired",
    18: "its TLS certificate is self-signed",
    19: "its TLS certificate comes from an authority that is self-signed and not trusted here",
    20: "its TLS certificate comes from an authority that is not trusted here",
    21: "its TLS certificate comes from an authority that is not trusted here",
    23: "its TLS certificate was revoked",
    62: "its TLS certificate is for another name",
    64: "its TLS certificate is for another address",
}
_BAD_LOCATION = "Invalid URL"  # how the library begins what it says of a Location
_UNSENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)


def unreachable(call: Call, url: str, error: BaseException, limits: Limits) -> Unreachable:
    """The error for one of the HTTP library; `ambiguous` where the request may have been received."""
    if words := _about_tls(error):
        found = Unreachable(f"{call.shown}: {words}", code="security", rule="upstream-certificate")
    elif isinstance(error, httpx.RemoteProtocolError) and str(error).startswith(_BAD_LOCATION):
        text = f"{call.shown}: a redirect leads to a malformed address"
        found = Unreachable(text, code="processing", rule="upstream-redirect")
    else:
        found = Unreachable(f"{call.shown}: {_about_name(url, error) or _in_words(error, limits)}")
    found.ambiguous = not isinstance(error, _UNSENT)
    found.request_id = call.id
    return found


def _about_tls(error: BaseException) -> str | None:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _CERTIFICATES.get(cause.verify_code, "its TLS certificate is not valid")
        if isinstance(cause, ssl.SSLError) and isinstance(error, httpx.ConnectError):
            return "the TLS handshake failed: does this port speak https?"
    return None


def _about_name(url: str, error: BaseException) -> str | None:
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return f"the name {parsed(url).host} cannot be resolved (DNS)"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused: nothing listens there"
    return None


def _in_words(error: BaseException, limits: Limits) -> str:
    match error:
        case httpx.ConnectTimeout():
            return f"no connection within {limits.connect:g} s"
        case httpx.PoolTimeout():
            return f"no free connection within {limits.read:g} s"
        case httpx.TimeoutException():
            return f"silent for {limits.read:g} s"
        case TimeoutError():
            return f"the answer was not complete after {limits.total:g} s"
        case httpx.ProxyError():
            return "the proxy refused the connection"
        case httpx.ConnectError():
            return "no connection"
        case httpx.LocalProtocolError() | httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return "the request cannot be sent: a header or the address is malformed"
        case httpx.RemoteProtocolError() | httpx.ReadError():
            return "the connection ended before the answer did"
    return "the connection broke"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what lies below it, members of groups included."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
