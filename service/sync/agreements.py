"""What push keeps: on what both sides agreed last, what is due, what was about to be made. All by notes.

Rooms: `agreed/[connection]` by `Type/id` of ours: an Agreement. `push-due/[connection]`: what shall be looked at by
the next push although it did not change. `push-intent/[connection]`: the version that was about to be created there.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from service.errors import Gone, NotFound
from service.fhir.json import decode, encode
from service.fhir.ledger import Note
from service.fhir.operations import Resource
from service.store.database import Database
from service.sync.peers import Peer, canonical_hash

DEPTH = 10_000


@dataclass(frozen=True, slots=True)
class Agreement:
    """`remote` is what the other side last said, as it said it, without meta; None where that was not kept.

    `local` is that in our form where it is no version of ours.
    """

    remote: Resource | None = None
    local: Resource | None = None


def agreed_room(connection: str) -> str:
    return f"agreed/{connection}"


def due_room(connection: str) -> str:
    return f"push-due/{connection}"


def intent_room(connection: str) -> str:
    return f"push-intent/{connection}"


def agreed(connection: str, local: str, remote: Resource, form: Resource | None = None) -> Note:
    """Keeps an agreement: theirs as they said it, and its form here where that is no version of ours."""
    content = {"remote": {name: value for name, value in remote.items() if name != "meta"}}
    return Note(agreed_room(connection), local, encode(content | ({"local": form} if form is not None else {})))


def due(connection: str, local: str, wanted: bool = True, failed: int = 0) -> Note:
    """Says that the next push shall look at `Type/id`, which `failed` so often there, or no longer."""
    return Note(due_room(connection), local, str(failed).encode() if wanted else None)


def intent(connection: str, local: str, version: int | None) -> Note:
    """Says that `version` of `Type/id` is about to be created there, or no longer."""
    return Note(intent_room(connection), local, None if version is None else str(version).encode())


async def agreement(database: Database, connection: str, peer: Peer) -> Agreement:
    """What was agreed with a peer; nothing where the other side has said something else since then."""
    content = await database.note(agreed_room(connection), peer.local)
    if content is None:
        return Agreement()
    kept = decode(content, DEPTH)
    if canonical_hash(kept["remote"]) != peer.remote_hash:
        return Agreement()
    return Agreement(kept["remote"], kept.get("local"))


async def base_of(database: Database, peer: Peer, kept: Agreement) -> Resource:
    """Our form of what was agreed: the common base of a merge; empty where it is not known."""
    if kept.local is not None:
        return kept.local
    type_, _, id_ = peer.local.partition("/")
    if peer.local_version:
        with suppress(NotFound, Gone):
            stored = await database.read_version(type_, id_, peer.local_version)
            return decode(stored.content or b"{}", DEPTH)
    return {"resourceType": type_, "id": id_}
