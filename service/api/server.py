"""What a handler may use: the open rooms of one running service, found on every request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from service.api.cursors import Cursors
from service.conformance.capability import Interaction
from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.errors import BadRequest, NotFound
from service.fhir import search
from service.fhir.conditions import Query, Scope
from service.fhir.criteria import Terms
from service.jobs.letters import Replay
from service.settings import Settings
from service.store.database import Database

HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]_")


@dataclass(frozen=True, slots=True)
class Server:
    """The open rooms and what is made of the settings once."""

    settings: Settings
    definitions: Definitions
    database: Database
    validator: Validator
    cursors: Cursors
    interactions: tuple[Interaction, ...]
    page: Callable[..., Response]  # (template, **values): the HTML of service.web, which stands beside this room
    replays: Mapping[str, Replay] = field(default_factory=dict)  # by the kind of dead letter
    statements: dict[str, tuple[bytes, str]] = field(default_factory=dict)  # base → CapabilityStatement, ETag
    in_flight: set[str] = field(default_factory=set)  # digests of the idempotency keys of requests on their way

    def type_of(self, request: Request) -> str:
        """The resource type of the URL. Raises NotFound for one that R4 does not know."""
        name = request.path_params["type"]
        if name not in self.definitions.resource_types:
            raise NotFound("R4 has no such resource type", code="not-supported", rule="unknown-type")
        return name

    def query(self, scope: Scope, pairs: Sequence[tuple[str, str]], handling: str) -> Query:
        """The parsed search of `pairs`. Raises BadRequest; NotFound for a type that is none or has no compartment."""
        for name in (scope.type, scope.compartment and scope.compartment[0]):
            if name is not None and name not in self.definitions.resource_types:
                raise NotFound("R4 has no such resource type", code="not-supported", rule="unknown-type")
        return parse_search(self.settings, self.definitions, scope, pairs, handling, self.database.terms)

    def base(self, request: Request) -> str:
        """The FHIR base without a trailing slash: as configured, else as the client addressed us."""
        if self.settings.base_url:
            return self.settings.base_url.rstrip("/")
        return _base(request.scope["scheme"], request.headers.get("host", ""))


def parse_search(
    settings: Settings,
    definitions: Definitions,
    scope: Scope,
    pairs: Sequence[tuple[str, str]],
    handling: str,
    terms: Terms | None = None,
) -> Query:
    """The Query of `pairs` under these settings; `terms` answers `:in` and `:below`.

    Raises BadRequest; NotFound for a compartment that R4 does not know.
    """
    query = search.parse(
        scope.type,
        pairs,
        definitions.search_parameters,
        zone=ZoneInfo(settings.time_zone),
        handling=handling,
        default_count=settings.default_page_size,
        max_count=settings.max_page_size,
        terms=terms,
        types=definitions.resource_types,
    )
    if scope.compartment is not None:
        name, id_ = scope.compartment
        if name not in definitions.compartments:
            text = f"There is no compartment of {name}, only of {', '.join(sorted(definitions.compartments))}"
            raise NotFound(text, code="not-supported", rule="unknown-compartment")
        query = search.within(query, name, id_, definitions.compartments[name], definitions.search_parameters)
    return replace(query, path=scope.path)


@lru_cache(maxsize=256)
def _base(scheme: str, host: str) -> str:
    if not host or not HOST.issuperset(host):
        raise BadRequest("The Host header is missing or malformed", rule="malformed-host")
    return f"{scheme}://{host}/fhir"


def server_of(request: Request) -> Server:
    """The rooms that the lifespan opened."""
    return request.scope["app"].state.server
