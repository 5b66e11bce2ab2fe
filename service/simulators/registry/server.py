"""The registry's server over HTTP: $process-message, bundles to the base, receipts, and control."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from service.fhir import json
from service.simulators.counterpart import Counterpart, Exchange, fhir_body
from service.simulators.registry import checks
from service.simulators.registry.behaviour import Behaviour
from service.simulators.registry.received import MESSAGE, Received, now, payload_hash, receipt_id
from service.simulators.wire import Answer, Refusal, Resource, outcome

_FHIR = "/fhir"
_STATUS = "_status"


@dataclass(slots=True)
class _Pending:
    """A result that is asked for by polling; it stays until it is deleted."""

    answer: Answer
    polls: int


class Registry(Counterpart):
    """A registry: `serving(Registry())`, its base is `/fhir`. Safe to use from the thread of a test.

    What is taken is also written to `folder`, one file for each receipt.
    """

    def __init__(self, behaviour: Behaviour | None = None, folder: Path | None = None) -> None:
        super().__init__()
        self.behaviour = behaviour or Behaviour()
        self._folder = folder
        self._received: dict[str, Received] = {}
        self._pending: dict[str, _Pending] = {}
        self._lock = threading.RLock()
        self.controls |= {"behaviour": self._control_behaviour, "received": self._control_received}

    def configure(self, changes: Mapping[str, Any]) -> Behaviour:
        """Changes fields of Behaviour. Raises Refusal where there is no such one."""
        with self._lock:
            self.behaviour = self.behaviour.changed(changes)
            return self.behaviour

    def received(self) -> list[Received]:
        """What was taken, oldest first."""
        with self._lock:
            return list(self._received.values())

    async def answer(self, request: Request, exchange: Exchange) -> Response:
        body = await request.body()
        base = str(request.base_url).rstrip("/") + _FHIR
        wants_async = "respond-async" in request.headers.get("prefer", "") or self.behaviour.always_async
        if self.behaviour.slow_seconds:
            await asyncio.sleep(self.behaviour.slow_seconds)
        path = request.url.path.rstrip("/").removeprefix(_FHIR).strip("/")
        if not request.url.path.startswith(_FHIR):
            raise Refusal(404, "not-found", "FHIR is at /fhir")
        with self._lock:
            if request.method == "POST" and path in ("$process-message", ""):
                return self._taken(fhir_body(body), base, path == "", wants_async, exchange).response()
            if path.startswith(f"{_STATUS}/"):
                return self._polled(request.method, path.partition("/")[2]).response()
            if request.method == "GET":
                return self._read(path, request.query_params.get("identifier", ""), base).response()
        raise Refusal(405, "not-supported", "This registry does not do that here")

    def _taken(self, bundle: Resource, base: str, posted: bool, wants_async: bool, exchange: Exchange) -> Answer:
        if posted and bundle.get("type") != "message":
            return self._bundle(bundle, exchange)
        problem = checks.malformed(bundle)
        if problem:
            return _refused(400, [problem])
        header = checks.entries(bundle)[0]
        sender = str((header.get("source") or {}).get("endpoint", ""))
        receipt, sha256 = receipt_id(sender, header["id"]), payload_hash(bundle)
        exchange.notes = {"message": header["id"], "sha256": sha256}
        known = self._received.get(receipt)
        if known is not None and known.sha256 != sha256:
            text = "A message with this id and another content was received before"
            return _refused(409, [checks.issue("conflict", text, "Bundle.entry[0].resource.id")])
        issues = [] if known else checks.message_issues(bundle, self.behaviour)
        if not issues:
            known = self._kept(receipt, sender, header["id"], checks.event_of(header), sha256, bundle)
        result = _refused(422, issues) if known is None or issues else self._answered(header, known, base)
        return self._later(result, known, base) if wants_async else result

    def _kept(self, receipt: str, sender: str, id_: str, event: str, sha256: str, bundle: Resource) -> Received:
        if receipt in self._received:
            self._received[receipt].times += 1
            return self._received[receipt]
        taken = Received(receipt, len(self._received) + 1, sender, id_, event, sha256, now(), bundle)
        self._received[receipt] = taken
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{receipt}.json").write_bytes(json.encode(bundle))
        return taken

    def _answered(self, header: Resource, taken: Received, base: str) -> Answer:
        """A message that carries the receipt; the same for the same message, whenever it comes."""
        told = outcome("informational", "The message was received", "information")
        told = {"resourceType": told["resourceType"], "id": receipt_id("outcome", taken.receipt), **told}
        if self.behaviour.queries:
            told["issue"].append(checks.issue("incomplete", "Please answer this query", "Bundle.entry[1]", "warning"))
        event = {name: header[name] for name in ("eventCoding", "eventUri") if name in header}
        answer = {
            "resourceType": "MessageHeader",
            "id": receipt_id("answer", taken.receipt),
            **event,
            "source": {"name": "Simulated registry", "endpoint": base},
            "response": {
                "identifier": taken.message_id,
                "code": "ok",
                "details": {"reference": f"OperationOutcome/{told['id']}"},
            },
        }
        resources = (answer, told, taken.as_receipt())
        entry = [{"fullUrl": f"{base}/{each['resourceType']}/{each['id']}", "resource": each} for each in resources]
        return Answer(200, {"resourceType": "Bundle", "type": "message", "timestamp": taken.at, "entry": entry})

    def _later(self, result: Answer, taken: Received | None, base: str) -> Answer:
        id_ = str(uuid4())
        self._pending[id_] = _Pending(result, self.behaviour.polls)
        body = taken.as_receipt() if taken else outcome("informational", "The message is looked at", "information")
        return Answer(202, body, {"Content-Location": f"{base}/{_STATUS}/{id_}"})

    def _polled(self, method: str, id_: str) -> Answer:
        pending = self._pending.get(id_)
        if pending is None:
            raise Refusal(404, "not-found", "There is no such request, or not any more")
        if method == "DELETE":
            del self._pending[id_]
            return Answer(202)
        if pending.polls > 0:
            pending.polls -= 1
            return Answer(202, None, {"Retry-After": "1", "X-Progress": "in progress"})
        return pending.answer

    def _bundle(self, bundle: Resource, exchange: Exchange) -> Answer:
        if bundle.get("resourceType") != "Bundle" or bundle.get("type") not in ("transaction", "batch", "collection"):
            return _refused(400, [checks.issue("value", "The base takes bundles", "Bundle.type")])
        issues = checks.bundle_issues(bundle, self.behaviour)
        if issues:
            return _refused(422, issues)
        sha256 = payload_hash(bundle)
        exchange.notes = {"sha256": sha256}
        name = str((bundle.get("identifier") or {}).get("value") or sha256)
        receipt = receipt_id("", name)
        known = self._received.get(receipt)
        if known is not None and known.sha256 != sha256:
            return _refused(409, [checks.issue("conflict", "The identifier was used before", "Bundle.identifier")])
        taken = self._kept(receipt, "", name, str(bundle["type"]), sha256, bundle)
        kind = "transaction-response" if bundle["type"] == "transaction" else "batch-response"
        status = "201" if taken.times == 1 else "200"
        done = [
            {"response": {"status": status, "location": f"{resource.get('resourceType')}/{receipt}-{number}"}}
            for number, resource in enumerate(checks.entries(bundle))
        ]
        return Answer(200, {"resourceType": "Bundle", "type": kind, "entry": done})

    def _read(self, path: str, identifier: str, base: str) -> Answer:
        if path == "metadata":
            return Answer(200, _capability(base))
        if path.startswith("Basic/") and path[6:] in self._received:
            return Answer(200, self._received[path[6:]].as_receipt(), {"ETag": 'W/"1"'})
        if path == "Basic":
            wanted = identifier.removeprefix(f"{MESSAGE}|")
            found = [each.as_receipt() for each in self._received.values() if each.message_id == wanted]
            entry = [{"fullUrl": f"{base}/Basic/{each['id']}", "resource": each} for each in found]
            bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
            return Answer(200, bundle | ({"entry": entry} if entry else {}))
        raise Refusal(404, "not-found", "There is no such resource")

    def _control_behaviour(self, method: str, body: Any) -> Any:
        return asdict(self.configure(body if method == "POST" else {}))

    def _control_received(self, method: str, body: Any) -> Any:
        return [asdict(taken) for taken in self.received()]


def _refused(status: int, issues: list[dict[str, Any]]) -> Answer:
    return Answer(status, {"resourceType": "OperationOutcome", "issue": issues})


def _capability(base: str) -> Resource:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-01-01",
        "kind": "instance",
        "software": {"name": "Simulated registry"},
        "implementation": {"description": "A registry in memory, for tests", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "messaging": [{"documentation": "POST $process-message takes every event"}],
    }
