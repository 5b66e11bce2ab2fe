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
from service.api.handling import Door
from service.api.patch import patch_reader
from service.api.replies import Reply
from service.api.search import render
from service.api.server import Server, server_of
from service.errors import CartFhirError, Issue, Unprocessable
from service.fhir import bundle, bundle_response
from service.fhir.bundle import Entry
from service.fhir.conditions import Query, Scope
from service.fhir.operations import Applied, Plan, Read, Result, Search
from service.trial.flags import Flags

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


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
    door = Door(request)
    if kind == "transaction":
        results = await idempotency.write(request, _plan(door, entries, found, base))
    else:
        results = await _batch(request, door, entries, found, base)
    results = await _placed(request, results)
    notes = [_notes(door, *one) for one in zip(entries, found, results, strict=True)]
    wish = conditions.prefer(request, "return", "minimal")
    answer = bundle_response.respond(
        f"{kind}-response", entries, results, notes, base, wish, lambda page, query: render(server, base, page, query)
    )
    return Reply(200, answer)


def _notes(door: Door, entry: Entry, errors: list[Issue], result: Result) -> list[Issue]:
    if entry.method not in WRITES or entry.forward is not None:
        return []
    return door.entry_notes(result, None if entry.method == "PATCH" else errors)


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
    reader = patch_reader(server.definitions, server.settings.max_depth)
    entries = bundle.parse(value, query, base, server.settings.max_bundle_entries, reader)
    return value["type"], entries, [_errors(server, entry) for entry in entries]


def _errors(server: Server, entry: Entry) -> list[Issue]:
    if entry.resource is None or entry.forward is not None:
        return []
    return server.validator.errors(_without_id(entry))


def _without_id(entry: Entry) -> dict[str, Any]:
    """What is written: the id of a POST is the server's to give."""
    resource = entry.resource or {}
    return {key: value for key, value in resource.items() if key != "id"} if entry.method == "POST" else resource


def _passes(door: Door, entry: Entry, errors: list[Issue]) -> bool:
    """Whether what the entry sends is taken; a patch is no resource that could be stored with its errors."""
    return not errors or (entry.method != "PATCH" and door.passes(errors))


def _plan(door: Door, entries: list[Entry], found: list[list[Issue]], base: str) -> Plan:
    """The plan of a transaction. Raises BadRequest or Unprocessable with the findings of all refused entries."""
    placed = [
        issue.under(f"{entry.place}.resource")
        for entry, errors in zip(entries, found, strict=True)
        if not _passes(door, entry, errors)
        for issue in errors
    ]
    if placed and not any(entry.error for entry in entries) and not any(map(door.validator.is_base, placed)):
        raise Unprocessable(issues=placed)
    plan = bundle.transaction(entries, base, placed)
    return replace(plan, check=door.patched, beside=_beside(door, entries, found))


def _beside(door: Door, entries: Sequence[Entry], found: Sequence[list[Issue]]) -> Flags | None:
    sent = {number: errors for number, errors in enumerate(found) if errors}
    changes = any(entry.method in WRITES and entry.method != "POST" for entry in entries)
    return door.beside(sent) if changes else door.beside_new(sent)


async def _batch(
    request: Request, door: Door, entries: list[Entry], found: list[list[Issue]], base: str
) -> Sequence[Result]:
    """What each entry of a batch did. With an idempotency key each entry is applied once, even if the service died
    between two of them; all answers are kept once none is of the kind that another try may mend."""
    keyed = idempotency.keyed_of(request)
    if keyed is not None and keyed.before is not None:
        return keyed.before
    results = await _each(request, door, entries, found, base)
    if keyed is not None and not any(isinstance(one, CartFhirError) and one.status >= 500 for one in results):
        await server_of(request).database.write(Plan((), once=replace(keyed.once, results=tuple(results))))
    return results


async def _each(
    request: Request, door: Door, entries: list[Entry], found: list[list[Issue]], base: str
) -> list[Result]:
    """What each entry of a batch did: all writes, which may share a commit, then the reads."""
    results: list[Result | None] = [_refusal(door, *pair) for pair in zip(entries, found, strict=True)]
    for reads in (False, True):
        chosen = [
            number
            for number, (entry, result) in enumerate(zip(entries, results, strict=True))
            if result is None and (entry.forward is not None or isinstance(entry.operation, (Read, Search))) == reads
        ]
        done = await asyncio.gather(
            *(_apply(request, door.anew(), entries[number], found[number], base) for number in chosen)
        )
        for number, result in zip(chosen, done, strict=True):
            results[number] = result
    return [result for result in results if result is not None]


def _refusal(door: Door, entry: Entry, errors: list[Issue]) -> CartFhirError | None:
    if entry.error is not None:
        return entry.error
    return None if _passes(door, entry, errors) else door.validator.refusal(errors).under(f"{entry.place}.resource")


async def _apply(request: Request, door: Door, entry: Entry, errors: list[Issue], base: str) -> Result:
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
        plan = Plan((operation,), (entry.place,), base, check=door.patched, beside=_beside(door, [entry], [errors]))
        (applied,) = await idempotency.write(request, plan, entry.place)
        return applied
    except CartFhirError as error:
        return error
