"""Connections to other servers: note room `connection`, key name, beside an Endpoint that shows it without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid5

import msgspec

from service.errors import BadRequest, Issue, NotFound
from service.fhir.ledger import Note
from service.fhir.operations import Plan, Resource, Update
from service.remote import Access, Limits, Remote
from service.store.database import Database
from service.sync.pushable import pushed_types, wrong_push
from service.sync.strategy import Strategy, load_strategy, wrong_search
from service.trial.mapping.identity import BASE, NAMESPACE

ROOM = "connection"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
URI = re.compile(r"\S{1,255}")
SHORTEST, LONGEST = 1, 7 * 86_400  # seconds between two cycles


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One connection. `pull` are searches (`Observation?category=laboratory`), empty: those of the vendor.

    `push` is what goes there (`trial`, types, searches): with `push_corrections` also changes of what was made there,
    with `push_foreign` what came by other connections, with `push_deletes` deletions of what was made here. `every`:
    seconds between two cycles, None: only when asked; `patient_systems` are the systems of the identifiers by which
    patients are linked. `key_file` is a path on this machine, never the key itself.
    """

    name: str
    base: str
    vendor: str = "plain"
    label: str = ""
    client_id: str | None = None
    key_file: str | None = None
    scopes: tuple[str, ...] = ()
    token_url: str | None = None
    trust_file: str | None = None
    pull: tuple[str, ...] = ()
    push: tuple[str, ...] = ()
    push_corrections: bool = False
    push_foreign: bool = False
    push_deletes: bool = False
    every: int | None = None
    patient_systems: tuple[str, ...] = ()

    @property
    def strategy(self) -> Strategy:
        """What its vendor's server can do. Raises NotFound, Unprocessable."""
        return load_strategy(self.vendor)

    def searches(self) -> tuple[str, ...]:
        """What is pulled."""
        return self.pull or self.strategy.pull

    def scopes_asked(self) -> tuple[str, ...]:
        """The scopes that are asked for: those configured, else to read each type that is pulled or pushed, and
        patients, and to write each that is pushed."""
        if self.scopes:
            return self.scopes
        strategy, pushed = self.strategy, pushed_types(self.push)
        types = dict.fromkeys(["Patient", *(search.partition("?")[0] for search in self.searches()), *pushed])
        writes = (strategy.scope_to_write(type_, self.push_deletes) for type_ in pushed)
        return (*(strategy.scope(type_) for type_ in types), *writes)

    def remote(self, limits: Limits = Limits()) -> Remote:
        """The client for it; to be closed. Raises UpstreamRefused."""
        access = None
        if self.client_id and self.key_file:
            access = Access(self.client_id, Path(self.key_file), self.scopes_asked(), self.token_url)
        trust = Path(self.trust_file) if self.trust_file else None
        return Remote(self.base, access, limits=limits, trust=trust)

    def shown(self) -> dict[str, Any]:
        """The connection as everybody may see it: of the login only whether there is one."""
        hidden = ("client_id", "key_file", "token_url", "trust_file")
        shown = {name: value for name, value in msgspec.to_builtins(self).items() if name not in hidden}
        return {**shown, "login": self.client_id is not None, "pull": list(self.searches())}


def endpoint_id(name: str) -> str:
    """The id of the Endpoint of a connection."""
    return str(uuid5(NAMESPACE, f"sync/{name}"))


def endpoint(connection: Connection, status: str = "active") -> Resource:
    """The Endpoint of a connection."""
    return {
        "resourceType": "Endpoint",
        "id": endpoint_id(connection.name),
        "identifier": [{"system": f"{BASE}/identifier/connection", "value": connection.name}],
        "status": status,
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "hl7-fhir-rest",
        },
        "name": connection.label or connection.name,
        "payloadType": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type", "code": "any"}]}
        ],
        "payloadMimeType": ["application/fhir+json"],
        "address": connection.base,
    }


def parsed(name: str, value: Mapping[str, Any]) -> Connection:
    """The connection that JSON describes. Raises BadRequest with everything that is wrong, and no value of it."""
    issues: list[Issue] = []
    known = {field for field in Connection.__struct_fields__ if field != "name"}
    for key in sorted(value.keys() - known):
        issues.append(_wrong(str(key)[:40], f"there is no such field; there are {', '.join(sorted(known))}"))
    given = {key: one for key, one in value.items() if key in known}
    if not NAME.fullmatch(name):
        issues.append(_wrong("name", "1 to 40 small letters, digits and hyphens are needed"))
    try:
        connection = msgspec.convert({**given, "name": name}, Connection)
    except msgspec.ValidationError as error:
        field = str(error).rpartition("$.")[2].strip("`") if "$." in str(error) else "base"
        issues.append(_wrong(field[:40], "is missing or of another type"))
        raise BadRequest(issues=issues) from None
    issues += _findings(connection)
    if issues:
        raise BadRequest(issues=issues)
    return connection


def _findings(connection: Connection) -> list[Issue]:
    found = [_wrong("base", text) for text in (_wrong_base(connection.base),) if text]
    if connection.token_url and (text := _wrong_base(connection.token_url)):
        found.append(_wrong("token_url", text))
    if bool(connection.client_id) != bool(connection.key_file):
        found.append(_wrong("client_id", "client_id and key_file belong together"))
    if connection.every is not None and not SHORTEST <= connection.every <= LONGEST:
        found.append(_wrong("every", f"{SHORTEST} to {LONGEST} seconds"))
    found += [
        _wrong(f"push[{number}]", text) for number, one in enumerate(connection.push) if (text := wrong_push(one))
    ]
    found += [
        _wrong("patient_systems", "a list of URIs") for one in connection.patient_systems if not URI.fullmatch(one)
    ]
    wrong = [wrong_search(search) for search in connection.pull]
    found += [_wrong(f"pull[{number}]", text) for number, text in enumerate(wrong) if text]
    try:
        strategy = connection.strategy
    except NotFound as error:
        return [*found, _wrong("vendor", str(error))]
    lacks = [strategy.lacks(search) for search in connection.pull]
    return found + [_wrong(f"pull[{number}]", text) for number, text in enumerate(lacks) if text]


def _wrong_base(base: str) -> str | None:
    try:
        parts = urlsplit(base)
        port = parts.port
    except ValueError:
        return "is no address"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "an address of http or https is needed"
    if parts.username is not None or parts.password is not None:
        return "a login has no place in an address"
    if parts.query or parts.fragment or not URI.fullmatch(base):
        return "an address without a query, a fragment and blanks is needed"
    return None


def _wrong(field: str, text: str) -> Issue:
    return Issue("value", f"{field}: {text}", None, "connection-malformed")


def saved(connection: Connection) -> Plan:
    """The plan that keeps a connection."""
    return Plan((Update(endpoint(connection)),), notes=(Note(ROOM, connection.name, msgspec.json.encode(connection)),))


async def find(database: Database, name: str) -> Connection:
    """One connection. Raises NotFound."""
    content = await database.note(ROOM, name)
    if content is None:
        raise NotFound("There is no connection with this name", rule="unknown-connection")
    return msgspec.json.decode(content, type=Connection)


async def listed(database: Database) -> list[Connection]:
    """All connections, by name."""
    return [msgspec.json.decode(content, type=Connection) for _, content in await database.notes(ROOM, count=1000)]


def removed(connection: Connection) -> Plan:
    """The plan that ends a connection: what was pulled and who is linked stays; its Endpoint is `off`."""
    return Plan((Update(endpoint(connection, "off")),), notes=(Note(ROOM, connection.name, None),))
