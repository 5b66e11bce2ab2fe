"""What the entries of a batch or transaction did, as a response Bundle.

Source: https://hl7.org/fhir/R4/bundle.html#transaction-response
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from service.errors import CartFhirError, Issue, operation_outcome
from service.fhir.bundle import Entry
from service.fhir.conditions import Query
from service.fhir.json import encode
from service.fhir.operations import Answer, Applied, Search, SearchPage, Stored


def respond(
    kind: str,
    entries: Sequence[Entry],
    results: Sequence[Applied | Answer | CartFhirError],
    notes: Sequence[Sequence[Issue]],
    base: str,
    returns: str,
    render: Callable[[SearchPage, Query], bytes],
) -> bytes:
    """The response Bundle, an entry for each in the order of the request.

    `kind` is transaction-response or batch-response; `returns` is Prefer's return: minimal, representation or
    OperationOutcome; `notes` are what an entry's outcome says in any case; `render` makes a searchset.
    """
    parts = [
        _response(entry, result, noted, base.rstrip("/"), returns, render)
        for entry, result, noted in zip(entries, results, notes, strict=True)
    ]
    head = encode({"resourceType": "Bundle", "type": kind})
    return b"".join((head[:-1], b',"entry":[', b",".join(parts), b"]}")) if parts else head


def _response(
    entry: Entry,
    result: Applied | Answer | CartFhirError,
    notes: Sequence[Issue],
    base: str,
    returns: str,
    render: Callable[[SearchPage, Query], bytes],
) -> bytes:
    if isinstance(result, CartFhirError):
        return encode({"response": {"status": _status(result.status), "outcome": result.outcome()}})
    response: dict[str, Any] = {"status": _status(result.status)}
    if isinstance(result, Answer):
        return _answered(result, response)
    if result.page is not None and entry.method != "HEAD":
        assert isinstance(entry.operation, Search)
        return b'{"resource":%b,"response":%b}' % (render(result.page, entry.operation.query), encode(response))
    told = returns == "OperationOutcome" and result.outcome not in ("read", "found")
    outcome = {"outcome": _done(result, notes)} if told or notes else {}
    stored = result.stored
    if stored is None:
        return encode({"response": response | outcome})
    body = stored.content if entry.method != "HEAD" else None
    if result.outcome == "read" and entry.known.covers(stored):
        response["status"], body = _status(304), None
    elif result.outcome != "read" and returns != "representation":
        body = None
    response |= _place(stored, base) | outcome
    if body is None:
        return encode({"response": response})
    return b'{"fullUrl":"%b","resource":%b,"response":%b}' % (
        f"{base}/{stored.type}/{stored.id}".encode(),
        body,
        encode(response),
    )


def _answered(answer: Answer, response: dict[str, Any]) -> bytes:
    if answer.etag is not None:
        response["etag"] = answer.etag
    if not answer.content:
        return encode({"response": response})
    if answer.status < 400:
        return b'{"resource":%b,"response":%b}' % (answer.content, encode(response))
    return b'{"response":%b,"outcome":%b}}' % (encode(response)[:-1], answer.content)


def _place(stored: Stored, base: str) -> dict[str, Any]:
    place = {
        "etag": stored.etag,
        "lastModified": stored.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if stored.content is not None:
        place["location"] = f"{base}/{stored.type}/{stored.id}/_history/{stored.version}"
    return place


def _done(result: Applied, notes: Sequence[Issue]) -> dict[str, Any]:
    done = Issue("informational", f"The resource is {result.outcome}", severity="information")
    return operation_outcome([done, *notes])


def _status(code: int) -> str:
    return f"{code} {HTTPStatus(code).phrase}"
