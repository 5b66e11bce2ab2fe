"""batch and transaction: https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api import body, conditions, formats, idempotency, places
from service.api.forward import forward
from service.api.patch import check_of, read_patch_of
from service.api.replies import Reply
from service.api.search import render
from service.api.server import Server, server_of
from service.errors import BadRequest, CartFhirError, Issue, Unprocessable
from service.fhir import bundle, bundle_response
from service.fhir.bundle import Entry
from service.fhir.conditions import Query, Scope
from service.fhir.operations import Applied, Plan, Read, Result, Search


async def transaction(request: Request) -> Response:
    """POST [base]: a transaction as one plan, a batch as a plan for each entry."""
    formats.check_accept(request)
    formats.check_content_type(request)
    server, content = server_of(request), await body.raw(request)
    base, xml = server.base(request), formats.sends_xml(request)
    body.speaks_of(request)
    handling = conditions.prefer(request, "handling", "lenient")
    kind, entries, found = await body.compute(lambda: _understood(server, content, base, xml, handling), len(content))
    results: Sequence[Result]
    if kind == "transaction":
        results = await idempotency.write(request, _plan(server, entries, found, base))
    else:
        results = await _batch(request, entries, found, base)
    results = await _placed(request, results)
    wish = conditions.prefer(request, "return", "minimal")
    answer = bundle_response.respond(
        f"{kind}-response", entries, results, base, wish, lambda page, query: render(server, base, page, query)
    )
    return Reply(200, answer)


async def _placed(request: Request, results: Sequence[Result]) -> Sequence[Result]:
    """The results, those that are errors with line and column."""
    errors = [result for result in results if isinstance(result, CartFhirError)]
    if not errors:
        return results
    placed = iter(await places.in_errors(request, errors))
    return [next(placed) if isinstance(result, CartFhirError) else result for result in results]


def _understood(
    server: Server, content: bytes, base: str, xml: bool, handling: str
) -> tuple[str, list[Entry], list[list[Issue]]]:
    """The kind of the bundle, its entries, and what the validator has against the resource of each."""

    def query(scope: Scope, pairs: list[tuple[str, str]], strict: bool) -> Query:
        return server.query(scope, pairs, "strict" if strict else handling)

    value = body.an_object(content, server, xml)
    entries = bundle.parse(value, query, base, server.settings.max_bundle_entries, read_patch_of(server))
    return value["type"], entries, [_errors(server, entry) for entry in entries]


def _errors(server: Server, entry: Entry) -> list[Issue]:
    if entry.resource is None or entry.forward is not None:
        return []
    found = server.validator.check(_without_id(entry))
    return [issue for issue in found if issue.severity == "error"]


def _without_id(entry: Entry) -> dict[str, Any]:
    """What is written: the id of a POST is the server's to give."""
    resource = entry.resource or {}
    return {key: value for key, value in resource.items() if key != "id"} if entry.method == "POST" else resource


def _plan(server: Server, entries: list[Entry], found: list[list[Issue]], base: str) -> Plan:
    """The plan of a transaction. Raises BadRequest or Unprocessable with the findings of all entries."""
    structural = any(server.validator.is_base(issue) for issues in found for issue in issues)
    placed = [
        issue.under(f"{entry.place}.resource") for entry, issues in zip(entries, found, strict=True) for issue in issues
    ]
    if placed and not structural and not any(entry.error for entry in entries):
        raise Unprocessable(issues=placed)
    return replace(bundle.transaction(entries, base, placed), check=check_of(server))


async def _batch(request: Request, entries: list[Entry], found: list[list[Issue]], base: str) -> Sequence[Result]:
    """What each entry of a batch did. With an idempotency key each entry is applied once, even if the service died
    between two of them; all answers are kept once none is of the kind that another try may mend."""
    keyed = idempotency.keyed_of(request)
    if keyed is not None and keyed.before is not None:
        return keyed.before
    results = await _each(request, entries, found, base)
    if keyed is not None and not any(isinstance(one, CartFhirError) and one.status >= 500 for one in results):
        await server_of(request).database.write(Plan((), once=replace(keyed.once, results=tuple(results))))
    return results


async def _each(request: Request, entries: list[Entry], found: list[list[Issue]], base: str) -> list[Result]:
    """What each entry of a batch did: all writes, which may share a commit, then the reads."""
    server = server_of(request)
    results: list[Result | None] = [_refusal(server, *pair) for pair in zip(entries, found, strict=True)]
    for reads in (False, True):
        chosen = [
            number
            for number, (entry, result) in enumerate(zip(entries, results, strict=True))
            if result is None and (entry.forward is not None or isinstance(entry.operation, (Read, Search))) == reads
        ]
        done = await asyncio.gather(*(_apply(request, entries[number], base) for number in chosen))
        for number, result in zip(chosen, done, strict=True):
            results[number] = result
    return [result for result in results if result is not None]


def _refusal(server: Server, entry: Entry, issues: list[Issue]) -> CartFhirError | None:
    if entry.error is not None:
        return entry.error
    if not issues:
        return None
    kind = BadRequest if any(server.validator.is_base(issue) for issue in issues) else Unprocessable
    return kind(issues=[issue.under(f"{entry.place}.resource") for issue in issues])


async def _apply(request: Request, entry: Entry, base: str) -> Result:
    server, operation = server_of(request), entry.operation
    if entry.forward is not None:
        return await forward(request, entry)
    assert operation is not None  # an entry without one has an error
    try:
        if isinstance(operation, Search):
            return Applied("found", page=await server.database.search(operation.query))
        if isinstance(operation, Read) and operation.version is None:
            return Applied("read", await server.database.read(operation.type, operation.id))
        if isinstance(operation, Read):
            return Applied("read", await server.database.read_version(operation.type, operation.id, operation.version))
        plan = Plan((operation,), (entry.place,), base, check=check_of(server))
        (applied,) = await idempotency.write(request, plan, entry.place)
        return applied
    except CartFhirError as error:
        return error
