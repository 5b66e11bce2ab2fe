"""The registry's own rules. Each check gives OperationOutcome issues with the FHIRPath expression of the place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from service.simulators.registry.behaviour import Behaviour
from service.simulators.wire import Resource

Issue = dict[str, Any]
_HEADER = "Bundle.entry[0].resource"


def issue(code: str, text: str, expression: str, severity: str = "error") -> Issue:
    """An `OperationOutcome.issue`."""
    return {"severity": severity, "code": code, "diagnostics": text, "expression": [expression]}


def entries(bundle: Resource) -> list[Resource]:
    """The resources of a bundle, with {} where an entry has none."""
    listed = bundle.get("entry")
    found = [entry.get("resource") if isinstance(entry, dict) else None for entry in listed or []]
    return [resource if isinstance(resource, dict) else {} for resource in found]


def event_of(header: Resource) -> str:
    """The code of eventCoding, or eventUri; "" where there is neither."""
    coding = header.get("eventCoding")
    return str(coding.get("code", "")) if isinstance(coding, dict) else str(header.get("eventUri", ""))


def malformed(bundle: Resource) -> Issue | None:
    """Why a body is no message at all, which is 400."""
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "message":
        return issue("structure", "A Bundle of type message is needed", "Bundle.type")
    resources = entries(bundle)
    if not resources or resources[0].get("resourceType") != "MessageHeader":
        return issue("structure", "The first entry must be a MessageHeader", _HEADER)
    if not isinstance(resources[0].get("id"), str):
        return issue("required", "The MessageHeader needs an id", f"{_HEADER}.id")
    return None


def message_issues(bundle: Resource, behaviour: Behaviour) -> list[Issue]:
    """Why a message is refused, which is 422; none where it is taken."""
    return [*_header_issues(bundle, behaviour), *_entry_issues(bundle, behaviour)]


def _header_issues(bundle: Resource, behaviour: Behaviour) -> Iterator[Issue]:
    header, event = entries(bundle)[0], event_of(entries(bundle)[0])
    if not event:
        yield issue("required", "The MessageHeader needs an event", f"{_HEADER}.event")
    elif behaviour.events and event not in behaviour.events:
        yield issue("not-supported", "This registry does not know the event", f"{_HEADER}.event")
    if not (header.get("source") or {}).get("endpoint"):
        yield issue("required", "The MessageHeader needs a source with an endpoint", f"{_HEADER}.source.endpoint")
    known = {name for entry in bundle["entry"] for name in _names(entry)}
    for number, focus in enumerate(header.get("focus") or []):
        if focus.get("reference") not in known:
            yield issue("not-found", "The focus is not in the message", f"{_HEADER}.focus[{number}]")


def _names(entry: dict[str, Any]) -> Iterator[str]:
    resource = entry.get("resource") or {}
    if "fullUrl" in entry:
        yield str(entry["fullUrl"])
    if "id" in resource:
        yield f"{resource.get('resourceType')}/{resource['id']}"


def _entry_issues(bundle: Resource, behaviour: Behaviour) -> Iterator[Issue]:
    resources = entries(bundle)
    if len(resources) < 2:
        yield issue("required", "The message carries nothing", "Bundle.entry")
    for number, resource in enumerate(resources):
        if "resourceType" not in resource:
            yield issue("required", "The entry has no resource", f"Bundle.entry[{number}]")
    types = {resource.get("resourceType") for resource in resources}
    for type_ in behaviour.requires:
        if type_ not in types:
            yield issue("required", f"A message needs a {type_}", "Bundle.entry")
    if behaviour.rejects:
        yield issue("business-rule", behaviour.rejection, behaviour.rejected_at)


def bundle_issues(bundle: Resource, behaviour: Behaviour) -> list[Issue]:
    """Why a bundle that was posted to the base is refused; none where it is taken."""
    resources, found = entries(bundle), []
    if not resources:
        found.append(issue("required", "The bundle carries nothing", "Bundle.entry"))
    observations = sum(resource.get("resourceType") == "Observation" for resource in resources)
    if observations > behaviour.most_observations:
        text = f"A bundle may have {behaviour.most_observations} Observations, this one has {observations}"
        found.append(issue("too-long", text, "Bundle.entry"))
    for number, resource in enumerate(resources):
        if behaviour.centre_pattern and not _labelled(resource, behaviour.centre_pattern):
            place = f"Bundle.entry[{number}].resource.meta.security"
            found.append(issue("required", "The label of the centre is missing", place))
    if behaviour.rejects:
        found.append(issue("business-rule", behaviour.rejection, behaviour.rejected_at))
    return found


def _labelled(resource: Resource, pattern: str) -> bool:
    labels = (resource.get("meta") or {}).get("security") or []
    return any(re.fullmatch(pattern, str(label.get("code"))) for label in labels if isinstance(label, dict))
