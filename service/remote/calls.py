"""A request of ours and the answer to it, as values without a type of the HTTP library."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

from service.errors import UpstreamRefused

Origin = tuple[str, str, int | None]

_PORTS = {"http": 80, "https": 443}
_LONGEST = 200  # characters of an address in a text


@dataclass(frozen=True, slots=True)
class Call:
    """One request: absolute `url`, `content` as bytes or made anew for each attempt.

    `repeatable` says that a second arrival does no harm. `id` is sent as X-Request-Id with every attempt.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | Callable[[], bytes] | None = None
    repeatable: bool = True
    authorised: bool = True
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def shown(self) -> str:
        """Method and address without the query, which may hold a patient's identifiers."""
        return f"{self.method} {shown(self.url)}"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers with names in lower case, body after decompression, and the address that it came from.

    `doubtful` is true where an earlier attempt of the call may have arrived as well.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    doubtful: bool = False


def parsed(url: str) -> httpx.URL:
    """The address; raises UpstreamRefused where it is none, or not of http or https."""
    try:
        found = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError):
        raise UpstreamRefused("An address is malformed", rule="upstream-address") from None
    if found.scheme not in _PORTS or not found.host:
        raise UpstreamRefused("An address is not one of http or https", rule="upstream-address")
    return found


def joined(url: str, target: str) -> str:
    """`target` seen from `url`; an absolute one stays as it is. Raises UpstreamRefused."""
    if target.lower().startswith(("http://", "https://")):
        return target
    try:
        return str(parsed(url).join(target))
    except (httpx.InvalidURL, ValueError):
        raise UpstreamRefused("An address is malformed", rule="upstream-address") from None


def origin(url: str) -> Origin:
    """Scheme, host and port of an address."""
    found = parsed(url)
    return found.scheme, found.host.lower(), found.port or _PORTS[found.scheme]


def place(url: str) -> str:
    """Scheme, host and port as text, e.g. `https://ehr.example`."""
    found = parsed(url)
    host = f"[{found.host}]" if ":" in found.host else found.host
    return f"{found.scheme}://{host}" + (f":{found.port}" if found.port else "")


def shown(url: str) -> str:
    """The address without login, query and fragment."""
    return (place(url) + parsed(url).path)[:_LONGEST]
