"""$process-message: a message in, a message out.

An event that is not in the registry is answered by a message whose response code is fatal-error, with status 422, so
that an interface engine that looks at the status alone does not take it for done.
Source: https://hl7.org/fhir/R4/messageheader-operation-process-message.html and https://hl7.org/fhir/R4/messaging.html
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api import body, formats, idempotency, places, receiving
from service.api.handling import Door, flagged, warnings
from service.api.operations import events
from service.api.operations.inputs import posted
from service.api.operations.message import answer
from service.api.server import Server, server_of
from service.errors import BadRequest, CartFhirError, Issue, TooLarge, Unprocessable
from service.fhir.message import Message, read

KNOWN = {"async": "false"}
ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]\.resource(.*)\Z")


async def process_message(request: Request) -> Response:
    """POST $process-message: 200 with a message that says what was done; 4xx with one that says why nothing was."""
    formats.check_accept(request)
    _check_parameters(request)
    server, base = server_of(request), server_of(request).base(request)
    try:
        sent = await posted(request)
    except BadRequest as error:
        await receiving.note_refusal(request, await body.raw(request), error)
        raise
    if sent is None:
        raise BadRequest("The body is empty: a message is needed", code="required", rule="body-empty")
    if receiving.is_for_us(sent):
        body.speaks_of(request)
        return await receiving.process(request, sent)
    size = len(await body.raw(request))
    body.speaks_of(request)
    door = Door(request)
    message, errors = await body.compute(lambda: _understood(server, door, sent), size)
    event, passed = events.REGISTRY.get(message.event), _by_entry(errors, message)
    try:
        if event is None:
            known = ", ".join(f"{system}#{code}" for system, code in events.KNOWN)
            text = f"This server does not know the event of the message; it knows {known}"
            raise Unprocessable(text, expression=message.event_place, code="not-supported", rule="unknown-event")
        plan = replace(event(server, message, base), beside=door.beside(passed))
        applied = await idempotency.write(request, plan)
    except CartFhirError as error:
        return answer(message, base, await places.in_error(request, error))
    marks = [mark for number, one in enumerate(applied) for mark in flagged(one, passed.get(number, []))]
    return answer(message, base, applied, [*marks, *warnings(errors)])


def _check_parameters(request: Request) -> None:
    for name, value in request.query_params.multi_items():
        if name.startswith("_") or KNOWN.get(name) == value:
            continue
        text = "Messages are answered at once: async=true and response-url are not supported, and there is nothing else"
        raise BadRequest(text, code="not-supported", rule="unknown-parameter")


def _by_entry(errors: list[Issue], message: Message) -> dict[int, list[Issue]]:
    """The errors that lenient handling let pass, by the number of the entry, each as seen from its resource."""
    found: dict[int, list[Issue]] = {}
    for issue in errors:
        match = ENTRY.match(issue.expression or "")
        if match and int(match[1]) > 0:  # the first is the header, which is not stored
            number = int(match[1]) - 1
            name = message.entries[number][1]["resource"]["resourceType"]
            found.setdefault(number, []).append(replace(issue, expression=name + match[2]))
    return found


def _understood(server: Server, door: Door, sent: dict[str, Any]) -> tuple[Message, list[Issue]]:
    """The message, and what it is taken in spite of.

    Raises BadRequest or Unprocessable with entry and element, TooLarge for too many entries.
    """
    body.check_type(sent, "Bundle")
    if sent.get("type") != "message":
        text = "$process-message takes a Bundle of type message; a batch or transaction goes to the FHIR base"
        raise BadRequest(text, expression="Bundle.type", code="value", rule="bundle-type")
    entries = sent.get("entry")
    if isinstance(entries, list) and len(entries) > server.settings.max_bundle_entries:
        text = f"The message has {len(entries)} entries, more than {server.settings.max_bundle_entries}"
        raise TooLarge(text, expression="Bundle.entry", code="too-costly", rule="too-many-entries")
    message = read(sent)
    return message, door.passed(sent)
