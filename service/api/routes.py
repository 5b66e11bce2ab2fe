"""Every route of the FHIR API: one table makes the routes, the CapabilityStatement and the Allow headers.

The most frequent comes first. A path has one route whatever its methods, so a wrong method is a 405 that
names all the right ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from service.api import idempotency
from service.api.create import create
from service.api.delete import delete, delete_conditional
from service.api.history import history_instance, history_system, history_type
from service.api.metadata import metadata
from service.api.patch import patch, patch_conditional
from service.api.read import read, vread
from service.api.representation import failed, represented
from service.api.search import search, search_by_post
from service.api.transaction import transaction
from service.api.update import update, update_conditional
from service.conformance.capability import Interaction
from service.errors import CartFhirError, MethodNotAllowed

Handler = Callable[[Request], Awaitable[Response]]


class FhirId(Convertor[str]):
    """An id as R4 defines it: https://hl7.org/fhir/R4/datatypes.html#id"""

    regex = r"[A-Za-z0-9\-.]{1,64}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class TypeName(FhirId):
    """The name of a resource type; whether R4 has it is checked later."""

    regex = r"[A-Z][A-Za-z]{0,63}"


register_url_convertor("fhir_id", FhirId())
register_url_convertor("type_name", TypeName())

BASE = "/fhir"
ANY = BASE + "/{type:type_name}"
ONE = ANY + "/{id:fhir_id}"

TABLE: tuple[tuple[Interaction, Handler], ...] = (
    (Interaction("read", "GET", ONE, ("read",)), read),
    (Interaction("update", "PUT", ONE, ("update",)), update),
    (Interaction("patch", "PATCH", ONE, ("patch",)), patch),
    (Interaction("delete", "DELETE", ONE, ("delete",)), delete),
    (Interaction("search", "GET", ANY, ("search-type",)), search),
    (Interaction("create", "POST", ANY, ("create",)), create),
    (Interaction("updateConditional", "PUT", ANY, ("update",), conditional=True), update_conditional),
    (Interaction("patchConditional", "PATCH", ANY, ("patch",), conditional=True), patch_conditional),
    (Interaction("deleteConditional", "DELETE", ANY, ("delete",), conditional=True), delete_conditional),
    (Interaction("searchByPost", "POST", ANY + "/_search", ("search-type",)), search_by_post),
    (Interaction("vread", "GET", ONE + "/_history/{version:fhir_id}", ("vread",)), vread),
    (Interaction("historyInstance", "GET", ONE + "/_history", ("history-instance",)), history_instance),
    (Interaction("historyType", "GET", ANY + "/_history", ("history-type",)), history_type),
    (Interaction("searchCompartment", "GET", ONE + "/{within:type_name}", compartment=True), search),
    (
        Interaction("searchCompartmentByPost", "POST", ONE + "/{within:type_name}/_search", compartment=True),
        search_by_post,
    ),
    (Interaction("searchCompartmentAll", "GET", ONE + "/*", compartment=True), search),
    (Interaction("searchCompartmentAllByPost", "POST", ONE + "/_search", compartment=True), search_by_post),
    (Interaction("transaction", "POST", BASE, ("transaction", "batch")), transaction),
    (Interaction("searchSystem", "GET", BASE, ("search-system",)), search),
    (Interaction("searchSystemByPost", "POST", BASE + "/_search", ("search-system",)), search_by_post),
    (Interaction("historySystem", "GET", BASE + "/_history", ("history-system",)), history_system),
    (Interaction("metadata", "GET", BASE + "/metadata"), metadata),
)


class Path:
    """All methods of one path as one ASGI application; errors of the tree become replies here."""

    def __init__(self, path: str, handlers: dict[str, Handler]) -> None:
        self.path = path
        self.handlers = handlers
        if "GET" in handlers:
            handlers["HEAD"] = handlers["GET"]
        self.allow = ", ".join(sorted(handlers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        method = scope["method"]
        try:
            handler = self.handlers.get(method)
            if handler is None:
                text = f"This address answers {self.allow}"
                raise MethodNotAllowed(text, headers={"Allow": self.allow})
            response = await (idempotency.guarded(request, handler) if method == "POST" else handler(request))
            response = await represented(request, response)
        except CartFhirError as error:
            response = await failed(request, error)
        if method == "HEAD":
            response.body = b""  # RFC 9110 9.3.2: the headers of GET, Content-Length included
        await response(scope, receive, send)


def routes(table: Iterable[tuple[Interaction, Handler]]) -> list[Route]:
    """One Route per path, in the order of the table."""
    paths: dict[str, dict[str, Handler]] = {}
    for interaction, handler in table:
        paths.setdefault(interaction.path, {})[interaction.method] = handler
    found = [Route(path, Path(path, handlers), name=path) for path, handlers in paths.items()]
    base = next((route for route in found if route.path == BASE), None)
    if base is not None:  # many clients post their bundles to the base with a slash behind it
        found.append(Route(f"{BASE}/", base.endpoint, name="base"))
    return found
