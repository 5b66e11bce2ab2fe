"""The events of messages that this server understands, and what each does.

An event is a code of CodeSystem/message-event and a function from a message to a Plan.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from service.api.server import Server
from service.errors import CartFhirError, Issue, Unprocessable
from service.fhir.conditions import Scope
from service.fhir.message import HEADER, Message
from service.fhir.operations import Plan, Update
from service.submissions.envelope import SUBMISSION, VOID

SYSTEM = "https://cart-fhir.example/fhir/CodeSystem/message-event"

Event = Callable[[Server, Message, str], Plan]


def record_update(server: Server, message: Message, base: str) -> Plan:
    """Every resource of the message as a conditional update by its own identifier, all in one transaction.

    Ids and versions of the sender are not ours and are left out; links between the entries are kept by their fullUrl.
    Raises Unprocessable with every entry that has no identifier, and for a focus that is not in the message.
    """
    issues = list(_focus_issues(message))
    operations = []
    for place, entry in message.entries:
        resource = {key: value for key, value in entry.get("resource", {}).items() if key != "id"}
        try:
            where = server.query(Scope(resource["resourceType"]), [_condition(server, place, resource)], "strict")
        except CartFhirError as error:
            issues += error.issues
            continue
        operations.append(Update(resource, where, full_url=entry.get("fullUrl")))
    if issues:
        raise Unprocessable(issues=issues)
    return Plan(tuple(operations), tuple(place for place, _ in message.entries), base)


def _focus_issues(message: Message) -> Iterator[Issue]:
    focus = message.header.get("focus", [])
    if not focus:
        yield Issue(
            "required", "The event needs a focus: the resources it is about", f"{HEADER}.focus", "focus-missing"
        )
    known = set()
    for _, entry in message.entries:
        resource = entry.get("resource", {})
        known |= {entry.get("fullUrl"), f"{resource.get('resourceType')}/{resource.get('id')}"}
    for number, one in enumerate(focus):
        if one.get("reference") not in known:
            place = f"{HEADER}.focus[{number}].reference"
            yield Issue("not-found", "The focus is not in the message", place, "focus-not-in-message")


def _condition(server: Server, place: str, resource: dict[str, Any]) -> tuple[str, str]:
    """The search that finds the resource: by its official identifier, else by the first complete one."""
    type_ = resource["resourceType"]
    parameter = server.definitions.search_parameters.get(type_, "identifier")
    found = resource.get("identifier", []) if parameter is not None else []
    complete = [
        one for one in (found if isinstance(found, list) else [found]) if one.get("system") and one.get("value")
    ]
    complete.sort(key=lambda one: one.get("use") != "official")
    if not complete:
        text = "The event finds every resource by an identifier with system and value; this one has none"
        raise Unprocessable(text, expression=f"{place}.resource.identifier", code="required", rule="identifier-missing")
    return "identifier", "|".join(_escaped(complete[0][name]) for name in ("system", "value"))


def _escaped(text: str) -> str:
    """The text as part of a search value: https://hl7.org/fhir/R4/search.html#escaping"""
    return re.sub(r"([\\,|$])", r"\\\1", text)


REGISTRY: dict[tuple[str, str], Event] = {(SYSTEM, "record-update"): record_update}
# Those of submissions are more than one plan: service.api.receiving.
KNOWN = (*REGISTRY, (SYSTEM, SUBMISSION), (SYSTEM, VOID))
