"""What comes back of what was sent: known by what the other side said last, never by `meta` alone."""

from __future__ import annotations

from typing import Any

from service.fhir.operations import Resource
from service.sync.merge import element, elements_of
from service.sync.peers import Peer, canonical_hash


def version_of(resource: Resource) -> str | None:
    """`meta.versionId` of a resource of theirs."""
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None


def is_echo(peer: Peer, resource: Resource) -> bool:
    """Whether a resource of theirs, as they sent it, says what they said last: then there is nothing to do."""
    return peer.is_echo(version_of(resource), canonical_hash(resource))


def dropped(sent: Resource, kept: Resource) -> list[str]:
    """FHIRPaths of what was sent and is not there, or not so, when read back; what they added does not count."""
    root = sent["resourceType"]
    return [
        f"{root}.{path}"
        for name in elements_of(sent)
        for path in (*_missing(name, sent.get(name), kept.get(name)), *_beside(name, sent, kept))
    ]


def _beside(name: str, sent: Resource, kept: Resource) -> list[str]:
    wanted, found = element(sent, name)[1], element(kept, name)[1]
    return [f"{name}.extension"] if wanted is not None and wanted != found else []


def _missing(path: str, sent: Any, kept: Any) -> list[str]:
    if sent is None or sent == kept:
        return []
    if isinstance(sent, dict) and isinstance(kept, dict):
        return [one for name, value in sent.items() for one in _missing(f"{path}.{name}", value, kept.get(name))]
    if isinstance(sent, list) and isinstance(kept, list):
        if all(item in kept for item in sent):
            return []
        if len(sent) == len(kept):
            pairs = enumerate(zip(sent, kept, strict=True))
            return [one for at, (value, other) in pairs for one in _missing(f"{path}[{at}]", value, other)]
        return [f"{path}[{at}]" for at, value in enumerate(sent) if value not in kept]
    return [path]
