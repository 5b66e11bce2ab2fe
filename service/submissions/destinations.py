"""Where submissions go: a registry's FHIR server, or a folder from which a person carries the files on."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from service.errors import BadRequest, Conflict, Issue, NotFound, Unprocessable
from service.fhir.ledger import Note
from service.fhir.operations import Plan
from service.remote import Access, Remote
from service.store.database import Database
from service.submissions.laboratory import CENTRE

ROOM = "destination"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")


class Destination(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A registry.

    `kind` fhir: `base` is its FHIR base, and a submission goes to `$process-message`, to be answered at once (`mode`
    sync) or later (async). `kind` directory: each submission becomes a file in `folder`.
    `sender` is our own FHIR base as the registry knows it: message ids and receipts are counted within it, so it must
    not change. `client_id`, `key_file`, `scopes` and `token_url` log in by SMART Backend Services; `trust` is a PEM
    file of further authorities. `centre` is the label of laboratory results (`rc_` and five digits).
    """

    name: str
    sender: str
    kind: Literal["fhir", "directory"] = "fhir"
    base: str = ""
    mode: Literal["sync", "async"] = "sync"
    folder: str = ""
    client_id: str = ""
    key_file: str = ""
    scopes: tuple[str, ...] = ()
    token_url: str = ""
    trust: str = ""
    centre: str = ""

    @property
    def address(self) -> str:
        """Where a message goes, as its header says it."""
        return f"{self.base.rstrip('/')}/$process-message" if self.kind == "fhir" else Path(self.folder).as_uri()

    def remote(self) -> Remote:
        """The client of a `fhir` destination. Raises UpstreamRefused where it cannot work."""
        access = None
        if self.client_id:
            access = Access(self.client_id, Path(self.key_file), self.scopes, self.token_url or None)
        return Remote(self.base, access, trust=Path(self.trust) if self.trust else None)


def read(name: str, content: bytes) -> Destination:
    """The destination that a JSON object describes. Raises BadRequest or Unprocessable with all that is wrong."""
    try:
        value = msgspec.json.decode(content)
        if not isinstance(value, dict):
            raise BadRequest("A destination is a JSON object", rule="not-an-object")
        made = msgspec.convert(value | {"name": name}, Destination)
    except msgspec.ValidationError as error:
        text = f"The destination is malformed: {error}"
        raise Unprocessable(text, code="value", rule="destination-malformed") from None
    except msgspec.DecodeError:
        raise BadRequest("The body is not JSON", rule="not-json") from None
    issues = tuple(_wrong(made))
    if issues:
        raise Unprocessable(issues=issues)
    return made


def _wrong(one: Destination) -> list[Issue]:
    found = []

    def say(name: str, text: str) -> None:
        found.append(Issue("value", text, name, "destination-malformed"))

    if not NAME.match(one.name):
        say("name", "A name is up to 40 lower-case letters, digits and hyphens")
    if not _is_url(one.sender):
        say("sender", "sender is our own FHIR base as the registry knows it: an http or https address")
    if one.kind == "fhir" and not _is_url(one.base):
        say("base", "base is the FHIR base of the registry: an http or https address")
    if one.kind == "directory" and not (Path(one.folder).is_absolute() and os.access(one.folder, os.W_OK | os.X_OK)):
        say("folder", "folder is the full path of a folder that is there and can be written to")
    if one.client_id and not (one.key_file and one.scopes):
        say("client_id", "A login needs client_id, key_file and scopes")
    for name in ("key_file", "trust"):
        path = getattr(one, name)
        if path and not os.access(path, os.R_OK):
            say(name, f"{name} cannot be read")
    if one.centre and not CENTRE.fullmatch(one.centre):
        say("centre", "centre is rc_ and five digits")
    return found


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment


async def find(database: Database, name: str) -> Destination:
    """One destination. Raises NotFound."""
    content = await database.note(ROOM, name)
    if content is None:
        raise NotFound(f"There is no destination {name[:40]!r}", rule="unknown-destination")
    return msgspec.json.decode(content, type=Destination)


async def listed(database: Database) -> list[Destination]:
    """All destinations by name."""
    return [msgspec.json.decode(content, type=Destination) for _, content in await database.notes(ROOM, count=1000)]


async def chosen(database: Database, name: str | None) -> Destination:
    """The destination with this name; without a name the only one there is. Raises NotFound or BadRequest."""
    if name is not None:
        return await find(database, name)
    known = await listed(database)
    if len(known) != 1:
        text = "Name the destination" if known else "There is no destination yet: cart-fhir submit destination add"
        raise BadRequest(text, code="required", rule="unknown-destination")
    return known[0]


async def save(database: Database, one: Destination) -> bool:
    """Keeps the destination; whether it is new. Raises Conflict where its `sender` would change."""
    before = await database.note(ROOM, one.name)
    if before is not None and msgspec.json.decode(before, type=Destination).sender != one.sender:
        text = "The sender of a destination stays: message ids and receipts are counted within it. Add another one"
        raise Conflict(text, expression="sender", code="business-rule", rule="destination-sender")
    await database.write(Plan((), notes=(Note(ROOM, one.name, msgspec.json.encode(one), before),)))
    return before is None


async def remove(database: Database, name: str) -> None:
    """Forgets the destination. Raises NotFound."""
    await find(database, name)
    await database.write(Plan((), notes=(Note(ROOM, name, None),)))
