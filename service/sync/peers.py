"""Who stands for whom on the other side of a connection, kept as notes in the plan of what they speak of.

Room `peer/[connection]`, key `Type/id` of theirs: a Peer as JSON. Room `peer-of/[connection]`, key `Type/id` of ours:
`Type/id` of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any
from uuid import uuid5

import msgspec

from service.fhir.json import encode
from service.fhir.ledger import ANY, Note
from service.store.database import Database
from service.trial.mapping.identity import NAMESPACE

_SERVER_KEPT = ("id", "meta")
_sorted = msgspec.json.Encoder(
    order="sorted", decimal_format="number", enc_hook=lambda value: msgspec.Raw(encode(value))
).encode


class Peer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A resource of ours (`local`, `Type/id`) and what was last agreed on it.

    `remote_version` and `remote_hash` are what the other side last said (`canonical_hash`), `local_version` and
    `local_hash` ours then; `origin` (pull · push) is where it was made. `deleted`: it was deleted on their side.
    """

    local: str
    remote_version: str | None
    remote_hash: str
    local_version: int
    origin: str = "pull"
    local_hash: str = ""
    deleted: bool = False

    def is_echo(self, version: str | None, hash_: str) -> bool:
        """Whether what the other side says is what it said last, `meta` apart.

        The version decides only where no content is known: there are servers that never count it up.
        """
        known = (
            hash_ == self.remote_hash if self.remote_hash else version is not None and version == self.remote_version
        )
        return known and not self.deleted


def canonical_hash(resource: Mapping[str, Any]) -> str:
    """`sha256:` and hex digest of a resource without `id` and `meta`, which each side keeps for itself.

    The order of keys does not count; decimals count as they are written.
    """
    content = {name: value for name, value in resource.items() if name not in _SERVER_KEPT}
    return f"sha256:{sha256(_sorted(content)).hexdigest()}"


def local_id(connection: str, type_: str, remote_id: str) -> str:
    """The id that a resource of theirs has here: UUIDv5 of connection, type and their id."""
    return str(uuid5(NAMESPACE, f"sync/{connection}/{type_}/{remote_id}"))


def room(connection: str) -> str:
    """The room of the peers by their references."""
    return f"peer/{connection}"


def room_of(connection: str) -> str:
    """The room of their references by ours."""
    return f"peer-of/{connection}"


def decoded(content: bytes) -> Peer:
    """A peer as it was kept."""
    return msgspec.json.decode(content, type=Peer)


def notes(connection: str, remote: str, peer: Peer, before: bytes | object | None = ANY) -> tuple[Note, Note]:
    """Keeps the peer of `remote` (`Type/id` of theirs); `before` is what must be kept there now (None: nothing)."""
    kept = Note(room(connection), remote, msgspec.json.encode(peer), before)  # type: ignore[arg-type]
    return kept, Note(room_of(connection), peer.local, remote.encode())


def forgotten(connection: str, remote: str, peer: Peer) -> tuple[Note, Note]:
    """Takes a peer away."""
    return Note(room(connection), remote, None), Note(room_of(connection), peer.local, None)


async def peer(database: Database, connection: str, remote: str) -> Peer | None:
    """The peer of `Type/id` of theirs; None where it is not known."""
    content = await database.note(room(connection), remote)
    return decoded(content) if content is not None else None


async def peers(database: Database, connection: str, remotes: Sequence[str]) -> dict[str, Peer]:
    """Those of these references of theirs that are known."""
    found = await database.notes_of(room(connection), remotes)
    return {remote: decoded(content) for remote, content in found.items()}


async def remote_of(database: Database, connection: str, local: str) -> str | None:
    """`Type/id` of theirs for one of ours; None where it has none there."""
    content = await database.note(room_of(connection), local)
    return content.decode() if content is not None else None


async def remotes_of(database: Database, connection: str, locals_: Iterable[str]) -> dict[str, str]:
    """Those of these references of ours that have one there, with it."""
    found = await database.notes_of(room_of(connection), tuple(locals_))
    return {local: content.decode() for local, content in found.items()}
