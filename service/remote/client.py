"""The outgoing FHIR client: one `Remote` for each connection."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import quote

import httpx

from service.errors import BadRequest, Upstream, UpstreamRefused
from service.fhir import json
from service.remote.answers import Got, Page
from service.remote.calls import Answer, Call, joined, parsed
from service.remote.exchange import Exchange
from service.remote.failures import Resource, checked, expect, resource_of, told
from service.remote.limits import Limits
from service.remote.paging import follow, page_of, same_origin
from service.remote.tokens import Access, Tokens
from service.remote.wire import Wire, new_client

FHIR = "application/fhir+json"
_ACCEPT = {"Accept": f"{FHIR}, application/json;q=0.9"}
_WHOLE = {"Prefer": "return=representation"}
_GRAVE = ("fatal", "error")


class Remote:
    """A FHIR R4 server at `base`, e.g. `https://ehr.example/fhir`, spoken to with one token, pace and circuit.

    `headers` go with every request to its origin. `trust` is a PEM file of authorities to trust beside those of the
    system. A `client` that is given is not closed. Belongs to one event loop. Raises UpstreamRefused for a base that
    is no address; every method raises Upstream and its kinds.
    """

    def __init__(
        self,
        base: str,
        access: Access | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        limits: Limits = Limits(),
        client: httpx.AsyncClient | None = None,
        trust: Path | None = None,
    ) -> None:
        parsed(base)
        self.base = base.rstrip("/")
        self.limits = limits
        self._own = client is None
        self._client = client or new_client(limits, _context(trust))
        wire = Wire(self._client, limits, self.base, headers or {})
        self._tokens = Tokens(Exchange(wire, limits), access, self.base) if access else None
        self._exchange = Exchange(wire, limits, self._tokens)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connections."""
        if self._tokens is not None:
            await self._tokens.close()
        if self._own:
            await self._client.aclose()

    @property
    def concurrency(self) -> int:
        """How many requests may be under way now: fewer after a 429 or 503."""
        return self._exchange.pace.gate.limit

    async def capabilities(self) -> Resource:
        """The CapabilityStatement; asked for without a token first, as servers give it to anybody."""
        call = Call("GET", self._url("metadata"), _ACCEPT, authorised=False)
        answer = await self._exchange.send(call)
        if answer.status in (401, 403) and self._tokens is not None:
            call = Call("GET", call.url, _ACCEPT)
            answer = await self._exchange.send(call)
        return expect(call, answer, self._resource(call, answer), "CapabilityStatement")

    async def read(self, type: str, id: str) -> Got:
        """The resource as it is now. UpstreamGone where there is none; a merged one may come under another id."""
        call = Call("GET", self._url(_instance(type, id)), _ACCEPT)
        answer = await self._exchange.send(call)
        return Got.of(call, answer, expect(call, answer, self._resource(call, answer), type))

    def pages(self, path: str) -> AsyncIterator[Page]:
        """The pages of `Observation?…`, or from a `next` on that was given before; the one behind is fetched ahead.

        OperationOutcomes of the server stand in `Page.outcomes`: what they speak of may be missing from the entries.
        """
        return follow(self._url(path), self._page, self.limits.pages)

    async def _page(self, url: str) -> Page:
        call = Call("GET", url, _ACCEPT)
        answer = await self._exchange.send(call)
        return page_of(call, answer, self._resource(call, answer), self.base)

    async def search(self, path: str) -> list[Resource]:
        """The resources of all pages, for small results. Raises Upstream where the server says that some are missing.

        That is an OperationOutcome with an error; warnings are passed over.
        """
        found: list[Resource] = []
        async for page in self.pages(path):
            grave = [one for one in page.outcomes if _grave(one)]
            if grave:
                text = f"{Call('GET', page.url).shown}: the result is incomplete{told(grave[0])}"
                raise Upstream(
                    text, code="incomplete", rule="upstream-incomplete", answer=grave[0], request_id=page.request_id
                )
            found += [entry["resource"] for entry in page.entries if isinstance(entry.get("resource"), dict)]
        return found

    async def create(self, resource: Resource, if_none_exist: str | None = None) -> Got:
        """POST of a resource; with `if_none_exist`, a query, only where nothing matches: 200 where something does."""
        condition = {} if if_none_exist is None else {"If-None-Exist": if_none_exist}
        call = self._write(
            "POST", resource["resourceType"], resource, {**_WHOLE, **condition}, repeatable=bool(condition)
        )
        return await self._written(call, resource["resourceType"])

    async def update(self, resource: Resource, *, if_match: str | None = None, where: str | None = None) -> Got:
        """PUT of a resource to its id, or to the one that the query `where` finds; `if_match` is an ETag."""
        type_ = resource["resourceType"]
        path = _instance(type_, resource.get("id", "")) if where is None else f"{type_}?{where}"
        condition = {} if if_match is None else {"If-Match": if_match}
        call = self._write("PUT", path, resource, {**_WHOLE, **condition}, repeatable=bool(condition))
        return await self._written(call, type_)

    async def delete(self, type: str, id: str) -> Got:
        """DELETE of a resource. UpstreamGone where there is none."""
        call = Call("DELETE", self._url(_instance(type, id)), _ACCEPT)
        answer = checked(call, await self._exchange.send(call), self.limits)
        return Got.of(call, answer, None)

    async def post(self, path: str, resource: Resource, *, prefer: str | None = None) -> Got:
        """POST of a resource to an operation, or of a bundle to the base (path ""). Never sent twice.

        `prefer` is e.g. `respond-async`; an empty answer, as that of 202, has no resource.
        """
        call = self._write("POST", path, resource, {} if prefer is None else {"Prefer": prefer}, repeatable=False)
        return self._maybe(call, await self._exchange.send(call))

    async def get(self, path: str) -> Got:
        """GET of an address under the base, or of `/…` or an absolute one on its origin, e.g. to poll a status."""
        call = Call("GET", self._url(path), _ACCEPT)
        return self._maybe(call, await self._exchange.send(call))

    def _write(
        self, method: str, path: str, resource: Resource, headers: Mapping[str, str], *, repeatable: bool
    ) -> Call:
        common = {**_ACCEPT, "Content-Type": FHIR}
        return Call(method, self._url(path), {**common, **headers}, json.encode(resource), repeatable)

    async def _written(self, call: Call, type: str) -> Got:
        answer = checked(call, await self._exchange.send(call), self.limits)
        if not answer.body.strip():
            return Got.of(call, answer, None)
        found = resource_of(call, answer, self.limits)
        expect(call, answer, found, type, "OperationOutcome")
        if found["resourceType"] != type:
            return Got.of(call, answer, None, found)
        return Got.of(call, answer, found)

    def _maybe(self, call: Call, answer: Answer) -> Got:
        checked(call, answer, self.limits)
        told_empty = not answer.body.strip() or "ndjson" in answer.headers.get("content-type", "")
        return Got.of(call, answer, None if told_empty else resource_of(call, answer, self.limits))

    def _resource(self, call: Call, answer: Answer) -> Resource:
        return resource_of(call, checked(call, answer, self.limits), self.limits)

    def _url(self, path: str) -> str:
        if path.lower().startswith(("http://", "https://")):
            same_origin("A request was not sent", path, self.base)
            return path
        if path.startswith("/"):
            return joined(self.base, path)
        return f"{self.base}/{path}" if path else self.base


def _instance(type: str, id: str) -> str:
    """`Patient/7`; raises BadRequest for an id that would make another address of it."""
    if not type.isalpha() or not id or not id.strip("."):
        raise BadRequest("A request to a server needs a resource type and an id", rule="malformed-url")
    return f"{type}/{quote(id, safe='')}"


def _grave(outcome: Resource) -> bool:
    issues = outcome.get("issue")
    return not isinstance(issues, list) or any(
        isinstance(issue, dict) and issue.get("severity") in _GRAVE for issue in issues
    )


def _context(trust: Path | None) -> ssl.SSLContext | None:
    if trust is None:
        return None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(trust)
    except (OSError, ssl.SSLError):
        text = f"The file of trusted authorities {trust} cannot be read"
        raise UpstreamRefused(text, code="security", rule="upstream-trust-file") from None
    return context
