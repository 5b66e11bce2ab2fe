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
    text, rule, code = _told(url, error, limits)
    found = Unreachable(f"{call.shown}: {text}", rule=rule, code=code, request_id=call.id)
    found.ambiguous = not isinstance(error, _UNSENT)
    return found


def _told(url: str, error: BaseException, limits: Limits) -> tuple[str, str, str]:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            text = _CERTIFICATES.get(cause.verify_code, "its TLS certificate is not valid")
            return text, "upstream-certificate", "security"
        if isinstance(cause, ssl.SSLError):
            return "the TLS handshake failed: does this port speak https?", "upstream-certificate", "security"
        if isinstance(cause, socket.gaierror):
            return f"the name {parsed(url).host} cannot be resolved (DNS)", "upstream-unreachable", "transient"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused: nothing listens there", "upstream-unreachable", "transient"
    return _in_words(error, limits), "upstream-unreachable", "transient"


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
