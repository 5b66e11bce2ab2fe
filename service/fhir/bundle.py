"""A batch or transaction Bundle to operations.

Source: https://hl7.org/fhir/R4/http.html#transaction and https://hl7.org/fhir/R4/bundle.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from service.errors import BadRequest, CartFhirError, Issue, PreconditionFailed
from service.fhir.conditions import Query, Scope, condition_of
from service.fhir.freshness import NOTHING, Known
from service.fhir.operations import ABSENT, Create, Delete, Operation, Patch, Plan, Read, Search, Update
from service.fhir.patch import Document, ReadPatch

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_URL = re.compile(
    r"(?:(?P<type>[A-Z][A-Za-z]+)(?:/(?P<id>[A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/(?P<version>\d{1,18})|/(?P<within>[A-Z][A-Za-z]+|\*))?)?)?(?:\?(?P<query>.*))?\Z",
    re.DOTALL,
)
# What the service answers and no plan knows: a history, an operation, the CapabilityStatement, a part of a resource.
_OTHER = re.compile(r"(?:[A-Za-z0-9\-./]*/)?(?:_history|\$[a-z\-]+|metadata)(?:\?.*)?\Z", re.DOTALL)
_SHOWN = ("_format", "_pretty")
UNLESS = "If-None-Match of a write is * on a PUT, without If-Match: the resource must not exist yet"
_ETAG = re.compile(r'(?:W/)?"?(\d{1,18})"?\Z')

ParseQuery = Callable[[Scope, list[tuple[str, str]], bool], Query]  # (where, pairs, strict)


class Entry(msgspec.Struct, frozen=True):
    """One entry: what it asks for, or why it cannot be understood. `resource` is what it sends, to be validated.

    Instead of an operation it may have an address to `forward` to, under the FHIR base, with `resource` as the body.
    """

    place: str
    method: str
    operation: Operation | None = None
    error: CartFhirError | None = None
    resource: dict[str, Any] | None = None
    known: Known = NOTHING
    forward: str | None = None


def parse(
    body: dict[str, Any], parse_query: ParseQuery, base: str, max_entries: int, read_patch: ReadPatch
) -> list[Entry]:
    """The entries of a batch or transaction. Raises BadRequest for another Bundle or too many entries."""
    if body.get("resourceType") != "Bundle" or body.get("type") not in ("batch", "transaction"):
        raise BadRequest(_instead(body), expression="Bundle.type", code="value", rule="bundle-type")
    entries = body.get("entry", [])
    if not isinstance(entries, list):
        raise BadRequest("Bundle.entry is a list", expression="Bundle.entry", rule="type-mismatch")
    if len(entries) > max_entries:
        text = f"The bundle has {len(entries)} entries, more than {max_entries}"
        raise BadRequest(text, expression="Bundle.entry", code="too-costly", rule="too-many-entries")
    reader = _EntryReader(parse_query, read_patch, base)
    return [reader.entry(index, entry) for index, entry in enumerate(entries)]


def _instead(body: dict[str, Any]) -> str:
    """What to do with what the FHIR base does not take."""
    text = "The FHIR base takes a Bundle of type batch or transaction"
    if body.get("resourceType") != "Bundle":
        return f"{text}; a resource alone goes to [base]/[type]"
    if body.get("type") == "message":
        return f"{text}; a message goes to [base]/$process-message"
    return f"{text}; POST [base]/Bundle stores a document, collection or any other Bundle as one resource"


def transaction(entries: Sequence[Entry], base: str, issues: Sequence[Issue] = ()) -> Plan:
    """All entries as one plan. Raises one BadRequest with every entry's error and the `issues` found elsewhere."""
    errors = [issue for entry in entries if entry.error for issue in entry.error.issues]
    text = "A history, an operation or a part of a resource is asked for alone or in a batch"
    errors += [
        Issue("not-supported", text, f"{entry.place}.request.url", "only-in-batch")
        for entry in entries
        if entry.forward
    ]
    if errors or issues:
        kinds = {type(entry.error) for entry in entries if entry.error} | {
            BadRequest for entry in entries if entry.forward
        }
        unmet = not issues and kinds == {PreconditionFailed}
        raise (PreconditionFailed if unmet else BadRequest)(issues=[*errors, *issues])
    operations = tuple(entry.operation for entry in entries if entry.operation is not None)
    return Plan(operations, tuple(entry.place for entry in entries), base)


class _EntryReader:
    """Reads entries one by one; a fullUrl that stands twice is an error of the second."""

    def __init__(self, parse_query: ParseQuery, read_patch: ReadPatch, base: str) -> None:
        self.parse_query, self.read_patch, self.base = parse_query, read_patch, base.rstrip("/") + "/"
        self.full_urls: dict[str, str] = {}

    def entry(self, index: int, entry: Any) -> Entry:
        place = f"Bundle.entry[{index}]"
        try:
            return self._read(place, entry)
        except CartFhirError as error:
            resource = entry.get("resource") if isinstance(entry, dict) else None
            resource = resource if isinstance(resource, dict) else None
            issues = [issue if issue.expression else issue.under(place) for issue in error.issues]
            return Entry(place, "", None, type(error)(issues=issues, headers=error.headers), resource)

    def _read(self, place: str, entry: Any) -> Entry:
        if not isinstance(entry, dict):
            raise BadRequest("An entry is an object", expression=place, rule="type-mismatch")
        request = entry.get("request")
        if not isinstance(request, dict):
            text = "Every entry of a batch or transaction has a request"
            raise BadRequest(text, expression=f"{place}.request", code="required", rule="required-element")
        method, url = request.get("method"), request.get("url")
        if method not in METHODS:
            text = f"request.method is one of {', '.join(METHODS)}"
            raise BadRequest(text, expression=f"{place}.request.method", code="value", rule="code-invalid")
        address = url.removeprefix(self.base[:-1]).lstrip("/") if isinstance(url, str) else ""
        resource = entry.get("resource")
        if self._forwarded(method, address):
            body = resource if isinstance(resource, dict) else None
            return Entry(place, method, None, None, body, _known(place, request), address)
        match = _URL.match(address) if address else None
        if match is None or (method not in ("GET", "HEAD") and (match["within"] or not match["type"])):
            text = "request.url is [type], [type]/[id], [type]/[id]/_history/[version] or [type]?[query]"
            raise BadRequest(text, expression=f"{place}.request.url", code="value", rule="malformed-url")
        full_url = self._full_url(place, entry.get("fullUrl"))
        if method in ("POST", "PUT"):
            resource = _sent(place, resource, match["type"])
        operation = self._operation(place, method, match, request, resource, full_url)
        known = _known(place, request) if method in ("GET", "HEAD") else NOTHING
        return Entry(place, method, operation, None, resource, known)

    def _forwarded(self, method: str, address: str) -> bool:
        """Whether the entry asks for what only the service's own address answers."""
        if method in ("GET", "HEAD") and (match := _URL.match(address)) is not None:
            of_one = match["id"] is not None and match["within"] is None
            return of_one and any(name not in _SHOWN for name, _ in _pairs(match["query"] or ""))
        found = _OTHER.match(address)
        return found is not None and (method in ("GET", "HEAD") or (method == "POST" and "$" in address))

    def _full_url(self, place: str, full_url: Any) -> str | None:
        if not isinstance(full_url, str):
            return None
        other = self.full_urls.setdefault(full_url, place)
        if other != place:
            text = f"The fullUrl is that of {other} already"
            raise BadRequest(text, expression=f"{place}.fullUrl", code="duplicate", rule="duplicate-full-url")
        return full_url

    def _operation(
        self, place: str, method: str, url: re.Match[str], request: dict[str, Any], resource: Any, full_url: str | None
    ) -> Operation:
        type_, id_ = url["type"], url["id"]
        if method in ("GET", "HEAD"):
            if id_ is None or url["within"]:
                within = url["within"] if url["within"] != "*" else None
                scope = Scope(type_) if id_ is None else Scope(within, (type_, id_))
                return Search(self.parse_query(scope, _pairs(url["query"] or ""), False))
            return Read(type_, id_, int(url["version"]) if url["version"] else None)
        if url["version"]:
            raise BadRequest("A version cannot be changed", expression=f"{place}.request.url", rule="malformed-url")
        if_match = _if_match(place, method, request)
        if method == "POST":
            return self._create(place, url, request, resource, full_url)
        if method == "PUT":
            where = self._where(place, type_, id_, url["query"], "request.url")
            if id_ is not None and resource.get("id") != id_:
                text = "The resource's id is that of request.url"
                raise BadRequest(text, expression=f"{place}.resource.id", code="value", rule="id-mismatch")
            return Update(resource, where, if_match, full_url)
        if method == "DELETE":
            return Delete(type_, id_, self._where(place, type_, id_, url["query"], "request.url"), if_match)
        where = self._where(place, type_, id_, url["query"], "request.url")
        return Patch(type_, self._document(place, resource), id_, where, if_match)

    def _document(self, place: str, resource: Any) -> Document:
        if not isinstance(resource, dict):
            raise BadRequest("PATCH sends a resource", expression=f"{place}.resource", code="required")
        try:
            return self.read_patch(resource)
        except CartFhirError as error:
            raise error.under(f"{place}.resource") from None

    def _create(
        self, place: str, url: re.Match[str], request: dict[str, Any], resource: Any, full_url: str | None
    ) -> Operation:
        if url["id"] or url["query"] is not None:
            text = "request.url of a POST is the type alone; conditions stand in ifNoneExist"
            raise BadRequest(text, expression=f"{place}.request.url", code="value", rule="malformed-url")
        condition = request.get("ifNoneExist")
        if condition is None:
            return Create(resource, None, full_url)
        if not isinstance(condition, str):
            raise BadRequest("ifNoneExist is a query", expression=f"{place}.request.ifNoneExist", rule="type-mismatch")
        query = self._where(place, url["type"], None, condition_of(url["type"], condition), "request.ifNoneExist")
        return Create(resource, query, full_url)

    def _where(self, place: str, type_: str, id_: str | None, text: str | None, element: str) -> Query | None:
        """The condition of an interaction without id; an empty one would match everything."""
        if id_ is not None:
            return None
        try:
            query = self.parse_query(Scope(type_), _pairs(text or ""), True)
        except CartFhirError as error:
            issues = [Issue(i.code, i.text, f"{place}.{element}", i.rule) for i in error.issues]
            raise BadRequest(issues=issues) from None
        if not query.conditions:
            text = "A condition needs at least one search parameter"
            raise PreconditionFailed(text, expression=f"{place}.{element}", code="required", rule="empty-condition")
        return query


def _pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)


def _sent(place: str, resource: Any, type_: str) -> dict[str, Any]:
    if not isinstance(resource, dict):
        raise BadRequest("POST and PUT send a resource", expression=f"{place}.resource", code="required")
    if resource.get("resourceType") != type_:
        text = "The resourceType is the type of request.url"
        raise BadRequest(text, expression=f"{place}.resource.resourceType", code="value", rule="type-mismatch")
    return resource


def _if_match(place: str, method: str, request: dict[str, Any]) -> int | None:
    """The version that must be current; ABSENT where a PUT says `ifNoneMatch: *`."""
    version = _etag(place, request, "ifMatch")
    if version == 0:
        text = "ifMatch names a version that does not exist"
        raise PreconditionFailed(text, expression=f"{place}.request.ifMatch", rule="version-mismatch")
    if "ifNoneMatch" not in request:
        return version
    if method != "PUT" or request["ifNoneMatch"] != "*" or version is not None:
        expression = f"{place}.request.ifNoneMatch"
        raise BadRequest(UNLESS, expression=expression, code="not-supported", rule="malformed-etag")
    return ABSENT


def _known(place: str, request: dict[str, Any]) -> Known:
    """What a GET says that its client has: `ifNoneMatch`, `ifModifiedSince`."""
    tags, since = request.get("ifNoneMatch"), request.get("ifModifiedSince")
    if tags is not None and tags != "*":
        tags = f'W/"{_etag(place, request, "ifNoneMatch")}"'
    try:
        return Known(tags, datetime.fromisoformat(since).astimezone(UTC) if since is not None else None)
    except (ValueError, TypeError, OverflowError):
        text, expression = "ifModifiedSince is an instant, with a time zone", f"{place}.request.ifModifiedSince"
        raise BadRequest(text, expression=expression, code="value", rule="malformed-instant") from None


def _etag(place: str, request: dict[str, Any], name: str) -> int | None:
    text = request.get(name)
    if text is None:
        return None
    match = _ETAG.match(text) if isinstance(text, str) else None
    if match is None:
        expression = f"{place}.request.{name}"
        raise BadRequest(f'{name} is an ETag such as W/"3"', expression=expression, code="value", rule="malformed-etag")
    return int(match[1])
