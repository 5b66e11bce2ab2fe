"""From a method and an address to an interaction; transactions and batches go the same way, entry by entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from service.simulators.ehr.capability import described
from service.simulators.ehr.interactions import TYPE, Interactions
from service.simulators.wire import Answer, Refusal, Resource

# https://hl7.org/fhir/R4/http.html#trules
_ORDER = ("DELETE", "POST", "PUT", "GET")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: `path` is relative to the base, `headers` have lower-case names.

    In a transaction `shared` is its instant and `new_id` the id that a create shall give.
    """

    method: str
    path: str
    query: str = ""
    body: Resource | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    shared: datetime | None = None
    new_id: str | None = None

    def resource(self) -> Resource:
        """The body. Raises Refusal where there is none."""
        if self.body is None:
            raise Refusal(400, "structure", "The request has no resource")
        return self.body


class Dispatch:
    """Answers requests by `interactions`."""

    def __init__(self, interactions: Interactions, secured: bool = False) -> None:
        self.interactions = interactions
        self.secured = secured

    def perform(self, asked: Asked) -> Answer:
        """Does one interaction. Raises Refusal."""
        parts = [part for part in asked.path.split("/") if part]
        pairs = parse_qsl(asked.query, keep_blank_values=True)
        if parts == ["metadata"]:
            return Answer(200, described(self.interactions.quirks, self.interactions.base, self.secured))
        if not parts and asked.method == "POST":
            return self._bundle(asked.resource())
        if parts == ["_history"]:
            return self.interactions.history(None, None, pairs)
        if not parts or not TYPE.fullmatch(parts[0]):
            raise Refusal(404, "not-found", "There is nothing at this address")
        return self._of_type(asked, parts[0], parts[1:], pairs)

    def _of_type(self, asked: Asked, type_: str, rest: list[str], pairs: list[tuple[str, str]]) -> Answer:
        does = self.interactions
        match asked.method, rest:
            case "GET", []:
                return does.search(type_, pairs)
            case "POST", []:
                return does.create(
                    type_, asked.resource(), asked.headers.get("if-none-exist"), asked.shared, asked.new_id
                )
            case "PUT", []:
                return does.update_where(type_, asked.resource(), asked.query, asked.headers.get("if-match"))
            case "GET", ["_history"]:
                return does.history(type_, None, pairs)
            case "GET", [id_]:
                return does.read(type_, id_)
            case "PUT", [id_]:
                return does.update(type_, id_, asked.resource(), asked.headers.get("if-match"), asked.shared)
            case "DELETE", [id_]:
                return does.delete(type_, id_)
            case "GET", [id_, "_history"]:
                return does.history(type_, id_, pairs)
            case "GET", [id_, "_history", number]:
                return does.vread(type_, id_, number)
        raise Refusal(405, "not-supported", "This server does not do that here")

    def _bundle(self, bundle: Resource) -> Answer:
        kind, entries = bundle.get("type"), bundle.get("entry") or []
        if bundle.get("resourceType") != "Bundle" or kind not in ("transaction", "batch"):
            raise Refusal(400, "value", "The base takes bundles of type transaction and batch")
        if not all(isinstance(entry, dict) and isinstance(entry.get("request"), dict) for entry in entries):
            raise Refusal(400, "required", "An entry has no request")
        if kind == "transaction":
            done = self._transaction(entries)
        else:
            shared = self.interactions.resources.instant()
            done = [self._alone(entry, shared) for entry in entries]
        return Answer(200, {"resourceType": "Bundle", "type": f"{kind}-response", "entry": done})

    def _transaction(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        mode = self.interactions.quirks.transactions
        if mode == "absent":
            raise Refusal(400, "not-supported", "This server does no transactions")
        if mode == "fails":
            raise Refusal(500, "exception", "The transaction failed")
        shared = self.interactions.resources.instant()
        done: dict[int, dict[str, Any]] = {}
        links: dict[str, str] = {}
        order = sorted(range(len(entries)), key=lambda at: _rank(entries[at]))
        with self.interactions.resources.whole():
            for at in order:
                self._foresee(entries[at], links)
            for at in order:
                new_id = links.get(str(entries[at].get("fullUrl")), "/").rpartition("/")[2]
                done[at] = _response(self._entry(relinked(entries[at], links), shared, new_id))
        return [done[at] for at in range(len(entries))]

    def _foresee(self, entry: dict[str, Any], links: dict[str, str]) -> None:
        """Reserves an id for a create, so that entries can refer to it in any order."""
        request, url = entry["request"], entry.get("fullUrl")
        if request.get("method") != "POST" or not isinstance(url, str):
            return
        type_ = str(request.get("url"))
        condition = request.get("ifNoneExist")
        found = self.interactions.find(type_, parse_qsl(condition)) if condition else []
        if len(found) == 1 and not self.interactions.quirks.ignores_if_none_exist:
            links[url] = found[0].reference
            return
        links[url] = f"{type_}/{self.interactions.resources.new_id()}"

    def _alone(self, entry: dict[str, Any], shared: datetime) -> dict[str, Any]:
        try:
            return _response(self._entry(entry, shared))
        except Refusal as refusal:
            return _response(refusal.answer)

    def _entry(self, entry: dict[str, Any], shared: datetime, new_id: str = "") -> Answer:
        request = entry["request"]
        url = urlsplit(str(request.get("url", "")))
        names = {"if-match": request.get("ifMatch"), "if-none-exist": request.get("ifNoneExist")}
        headers = {name: str(value) for name, value in names.items() if value}
        path = url.path.removeprefix(urlsplit(self.interactions.base).path)
        return self.perform(
            Asked(str(request.get("method")), path, url.query, entry.get("resource"), headers, shared, new_id)
        )


def _rank(entry: dict[str, Any]) -> int:
    method = entry["request"].get("method")
    return _ORDER.index(method) if method in _ORDER else len(_ORDER)


def relinked(value: Any, links: Mapping[str, str]) -> Any:
    """`value` with each `reference` that is a key of `links` replaced."""
    if isinstance(value, list):
        return [relinked(each, links) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: links.get(each, each) if name == "reference" and isinstance(each, str) else relinked(each, links)
        for name, each in value.items()
    }


def _response(answer: Answer) -> dict[str, Any]:
    response: dict[str, Any] = {"status": str(answer.status)}
    for name, header in (("location", "Location"), ("etag", "ETag")):
        if header in answer.headers:
            response[name] = answer.headers[header]
    resource = answer.resource
    if resource and resource["resourceType"] == "OperationOutcome":
        return {"response": response | {"outcome": resource}}
    if resource and "lastUpdated" in resource.get("meta", {}):
        response["lastModified"] = resource["meta"]["lastUpdated"]
    return {"resource": resource, "response": response} if resource else {"response": response}
