"""The hospital's server over HTTP: FHIR under /fhir, the token server beside it, and control."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from service.simulators.counterpart import Counterpart, Exchange, fhir_body
from service.simulators.ehr import faults, smart
from service.simulators.ehr.dispatch import Asked, Dispatch
from service.simulators.ehr.hospital import poison
from service.simulators.ehr.interactions import Interactions
from service.simulators.ehr.quirks import PLAIN, Quirks
from service.simulators.wire import Refusal, Resource, plain

_FHIR = "/fhir"
_OPEN = ("metadata", ".well-known/smart-configuration")


class Ehr(Counterpart):
    """A hospital: `serving(Ehr(hospital(1)))`, its base is `/fhir`. Safe to use from the thread of a test.

    With `secured`, everything but the capability statement needs a token; `clients` are JWKS by client id.
    """

    def __init__(
        self,
        resources: Sequence[Resource] = (),
        quirks: Quirks = PLAIN,
        *,
        secured: bool = False,
        clients: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.authority = smart.Authority()
        self._does = Interactions(quirks)
        self._dispatch = Dispatch(self._does, secured)
        self._lock = threading.RLock()
        self._faults = faults.Faults()
        self._waiting: list[dict[str, Any]] = []
        self.controls |= {
            "quirks": self._control_quirks,
            "put": self._control_put,
            "delete": self._control_delete,
            "touch": self._control_touch,
            "resources": self._control_resources,
            "key": self._control_key,
            "revoke": self._control_revoke,
        }
        for client_id, jwks in (clients or {}).items():
            self.authority.register(client_id, jwks)
        self.put(resources)
        self.configure({})

    @property
    def quirks(self) -> Quirks:
        """The quirks of now."""
        return self._does.quirks

    def configure(self, changes: Mapping[str, Any]) -> Quirks:
        """Changes quirks, `{"profile": "hostile", "future_every": 0}`. Raises Refusal where there is no such one."""
        with self._lock:
            self._does.quirks = quirks = self._does.quirks.changed(changes)
            if quirks.poison and self._does.resources.current("Observation", "poison-bare") is None:
                patients = self._does.resources.living("Patient")
                self._does.store(poison(patients[0].id if patients else "unknown"))
            return quirks

    def put(self, resources: Sequence[Resource], when: datetime | None = None) -> list[str]:
        """What the hospital's staff files: references. `when` is one lastUpdated for all."""
        with self._lock:
            return self._does.store(list(resources), when)

    def delete(self, reference: str) -> None:
        """What the hospital's staff deletes."""
        with self._lock:
            self._does.delete(*_parts(reference))

    def touch(self, reference: str) -> None:
        """A background job rewrites `meta`, in a further version."""
        with self._lock:
            self._does.touch(*_parts(reference))

    def resources(self, type_: str | None = None) -> list[Resource]:
        """What is stored now, in the order of writing."""
        with self._lock:
            return [version.resource for version in self._does.resources.living(type_) if version.resource]

    def versions(self, reference: str) -> int:
        """How many versions a resource has had."""
        with self._lock:
            return len(self._does.resources.versions(*_parts(reference)))

    async def answer(self, request: Request, exchange: Exchange) -> Response:
        base = str(request.base_url).rstrip("/")
        path = request.url.path
        if path in ("/.well-known/smart-configuration", f"{_FHIR}/.well-known/smart-configuration"):
            return plain(smart.configuration(base))
        if path == "/token" and request.method == "POST":
            return await self._token(request, exchange, f"{base}/token")
        if path != _FHIR and not path.startswith(f"{_FHIR}/"):
            raise Refusal(404, "not-found", "FHIR is at /fhir")
        try:
            return await self._fhir(request, exchange, base, path.removeprefix(_FHIR).strip("/"))
        finally:
            self._afterwards(f"{exchange.method} {exchange.path}")

    async def _fhir(self, request: Request, exchange: Exchange, base: str, path: str) -> Response:
        body, query = await request.body(), request.url.query
        strike = self._faults.strike(self.quirks, "authorization" in request.headers)
        exchange.fault = exchange.fault or strike.kind
        if strike.seconds:
            await asyncio.sleep(strike.seconds)
        if strike.refusal:
            if strike.kind == "unauthorized":
                self.authority.revoke(request.headers.get("authorization", "").rpartition(" ")[2])
            raise strike.refusal
        method, type_ = request.method, path.partition("/")[0]
        if method == "POST" and path.endswith("/_search"):
            method, path, body = "GET", path.removesuffix("/_search"), b""
            form = (await request.body()).decode()
            query = "&".join(part for part in (query, form) if part)
        if self._dispatch.secured and path not in _OPEN:
            self.authority.admits(request.headers.get("authorization"), method, type_ if type_[:1].isupper() else None)
        resource = fhir_body(body) if body and method in ("POST", "PUT") else None
        headers = {name.lower(): value for name, value in request.headers.items()}
        with self._lock:
            self._does.base = base + _FHIR
            answer = self._dispatch.perform(Asked(method, path, query, resource, headers))
        if "return=minimal" in headers.get("prefer", "") and method in ("POST", "PUT") and path:
            answer = replace(answer, resource=None)
        return strike.spoilt(answer.response())

    async def _token(self, request: Request, exchange: Exchange, url: str) -> Response:
        form = dict(parse_qsl((await request.body()).decode("latin-1")))
        try:
            with self._lock:
                token, claims = self.authority.grant(form, url, min(self.quirks.token_seconds, smart.LONGEST))
        except smart.TokenError as error:
            exchange.fault = exchange.fault or str(error.body["error"])
            return plain(error.body, error.status)
        exchange.notes = {"client": token.client, "jti": str(claims["jti"])}
        seconds = min(self.quirks.token_seconds, smart.LONGEST)
        body = {"access_token": token.value, "token_type": "bearer", "expires_in": seconds}
        headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
        return plain(body | {"scope": " ".join(token.scopes)}, 200, headers)

    def _afterwards(self, line: str) -> None:
        """What the hospital does by itself once a request is answered."""
        with self._lock:
            touched, self._does.touched = self._does.touched, []
            for type_, id_ in touched:
                self._does.touch(type_, id_)
            for order in list(self._waiting):
                if order["match"] in line:
                    order["after"] -= 1
                    if order["after"] <= 0:
                        self._waiting.remove(order)
                        self.put(order["resources"], order["when"])

    def put_after(self, requests: int, resources: Sequence[Resource], match: str = "") -> None:
        """`put` right after the n-th FHIR request from now on whose "METHOD path?query" has `match`."""
        with self._lock:
            self._waiting.append({"after": requests, "match": match, "resources": list(resources), "when": None})

    def _control_quirks(self, method: str, body: Any) -> Any:
        return asdict(self.configure(body if method == "POST" else {}))

    def _control_put(self, method: str, body: Any) -> Any:
        """`body`: a resource, a list, a Bundle, or {"resources", "lastUpdated", "after", "match"}."""
        order = body if isinstance(body, dict) and "resources" in body else {"resources": _resources(body)}
        resources = _resources(order["resources"])
        if order.get("after"):
            self.put_after(int(order["after"]), resources, order.get("match", ""))
            return []
        when = order.get("lastUpdated")
        return self.put(resources, datetime.fromisoformat(when) if when else None)

    def _control_delete(self, method: str, body: Any) -> Any:
        for reference in body["references"]:
            self.delete(reference)
        return body["references"]

    def _control_touch(self, method: str, body: Any) -> Any:
        for reference in body["references"]:
            self.touch(reference)
        return body["references"]

    def _control_resources(self, method: str, body: Any) -> Any:
        return self.resources()

    def _control_key(self, method: str, body: Any) -> Any:
        if method == "POST":
            with self._lock:
                self.authority.register(str(body["client_id"]), body["jwks"])
        return sorted(self.authority.clients)

    def _control_revoke(self, method: str, body: Any) -> Any:
        with self._lock:
            self.authority.revoke()
        return []


def _parts(reference: str) -> tuple[str, str]:
    type_, _, id_ = reference.partition("/")
    return type_, id_


def _resources(body: Any) -> list[Resource]:
    if isinstance(body, dict):
        body = (
            [entry["resource"] for entry in body.get("entry", [])] if body.get("resourceType") == "Bundle" else [body]
        )
    if not isinstance(body, list) or not all(isinstance(each, dict) and "resourceType" in each for each in body):
        raise Refusal(400, "structure", "What is put must be resources")
    return body
