"""What leaves the house for one obligation: a message with the response, its Task, the subject and the sources.

The bundle is deterministic: the same contents give the same ids, order and hash. Only the resources that an answer
names travel with it, and the infusion.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from service.conformance.validator import Validator
from service.errors import CartFhirError, Issue, Unprocessable
from service.fhir.operations import Resource
from service.submissions import envelope
from service.submissions.checking import check_response
from service.submissions.forms import form_of
from service.submissions.populate import ANSWER_SOURCE, EMPTY_REASON
from service.submissions.record import Held
from service.submissions.schedule import input_of
from service.trial.mapping.identity import content_hash

NAMING = ("name", "telecom", "address", "photo", "contact")
COLUMNS = ("linkId", "question", "answer", "unit", "source", "reason")


def make(
    response: Resource,
    obligation: Resource,
    patient: Resource,
    held: Mapping[str, Held],
    *,
    sender: Resource,
    to: str,
    made: datetime,
    replaces: str | None = None,
) -> Resource:
    """The message Bundle of a filled form.

    `held` are the resources of the record by `Type/id`; `sender` is MessageHeader.source, whose endpoint is the FHIR
    base under which the resources are known; `to` the registry's address; `made` the time of Bundle.timestamp;
    `replaces` the id of the message that this one stands in for. A response in progress is sent as completed. Raises
    Unprocessable where a source is not held in the version that the answer names.
    """
    chosen = dict.fromkeys(_bare(reference) for reference in sources(response))
    if anchor := (input_of(obligation, "infusion") or {}).get("reference"):
        chosen[anchor] = None
    missing = [one for one in sources(response) if not _is_held(one, held)] + [one for one in chosen if one not in held]
    if missing:
        text = f"{missing[0]} is not in the record that is to be sent, or not in this version: fill the form again"
        raise Unprocessable(text, expression="QuestionnaireResponse.item", rule="answer-source-missing")
    answered = _sent(response)
    if answered["status"] == "in-progress":
        answered |= {"status": "completed"}
    answered["id"] = str(uuid5(UUID(obligation["id"]), content_hash({**answered, "id": ""})))
    whom = f"{patient['resourceType']}/{patient['id']}"
    others = [_sent(held[name].resource, held[name].version) for name in sorted(chosen) if name != whom]
    resources = [answered, _sent(obligation), _sent(patient), *others]
    base = sender["endpoint"].rstrip("/")
    entries = [{"fullUrl": f"{base}/{one['resourceType']}/{one['id']}", "resource": one} for one in resources]
    contents = content_hash({"entry": entries, "to": to, "replaces": replaces})
    message_id = str(uuid5(uuid5(NAMESPACE_URL, sender["endpoint"]), contents))
    stamp = made.isoformat(timespec="seconds")
    return envelope.enclosed(envelope.SUBMISSION, message_id, sender, to, stamp, entries, replaces)


def refusals(package: Resource, validator: Validator) -> tuple[Issue, ...]:
    """Every reason why a package must not leave; empty for one that may. Expressions are those of the Bundle."""
    found = validator.errors(package)
    if found:  # what follows relies on the shape that R4 gives it
        return tuple(found)
    return tuple(_refused(package))


def sources(response: Resource) -> tuple[str, ...]:
    """The references (`Type/id/_history/version`) that the answers of a response name, each once."""
    found = (one for _, answer in _answers(response) for one in answer.get("extension", ()))
    return tuple(dict.fromkeys(one["valueReference"]["reference"] for one in found if one["url"] == ANSWER_SOURCE))


def as_csv(response: Resource) -> str:
    """The answers and the reasons of gaps as CSV (RFC 4180, CRLF): one row for each answer, in the form's order.

    A text that a spreadsheet would take for a formula has an apostrophe in front.
    """
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for group in response.get("item", ()):
        for item in group.get("item", ()):
            head = (item["linkId"], item.get("text", ""))
            for answer in item.get("answer", ()):
                named = " ".join(
                    one["valueReference"]["reference"]
                    for one in answer.get("extension", ())
                    if one["url"] == ANSWER_SOURCE
                )
                writer.writerow((*head, *_cells(answer), named, ""))
            for extension in item.get("extension", ()):
                if extension["url"] == EMPTY_REASON:
                    writer.writerow((*head, "", "", "", extension["valueCoding"]["code"]))
    return file.getvalue()


def _cells(answer: dict[str, Any]) -> tuple[str, str]:
    """Answer and unit."""
    if coding := answer.get("valueCoding"):
        return _plain(str(coding.get("display", coding.get("code", "")))), ""
    if quantity := answer.get("valueQuantity"):
        return str(quantity.get("value", "")), str(quantity.get("code", ""))
    return _plain(str(next((value for key, value in answer.items() if key.startswith("value")), ""))), ""


def _plain(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _refused(package: Resource) -> Iterator[Issue]:
    entries = package.get("entry", ())
    known = {_key(entry["resource"]) for entry in entries}
    whom = {_key(entry["resource"]) for entry in entries if entry["resource"]["resourceType"] == "Patient"}
    for number, entry in enumerate(entries):
        place, resource = f"Bundle.entry[{number}].resource", entry["resource"]
        type_ = resource["resourceType"]
        if type_ == "QuestionnaireResponse":
            yield from _response(resource, place, known)
        if type_ == "Patient":
            for name in NAMING:
                if name in resource:
                    text = "A subject leaves the house under a pseudonym only"
                    yield Issue("security", text, f"{place}.{name}", "package-subject")
        elif not _subjects(resource) <= whom:
            text = "The resource is of another subject than the package"
            yield Issue("security", text, place, "package-subject")
    if len(whom) != 1:
        yield Issue("business-rule", "A package speaks of one subject", "Bundle.entry", "package-subject")


def _response(response: Resource, place: str, known: set[str]) -> Iterator[Issue]:
    try:
        form = form_of(response.get("questionnaire", ""))
    except CartFhirError as error:
        yield from (Issue(one.code, one.text, f"{place}.questionnaire", one.rule) for one in error.issues)
        return
    yield from (issue.under(place) for issue in check_response(form, response))
    for number, answer in _answers(response):
        for one in answer.get("extension", ()):
            if one["url"] == ANSWER_SOURCE and _bare(one["valueReference"]["reference"]) not in known:
                text = f"The source of an answer to {number} is not in the package"
                yield Issue("not-found", text, place, "answer-source-missing")


def _answers(response: Resource) -> Iterator[tuple[str, dict[str, Any]]]:
    for group in response.get("item", ()):
        for item in group.get("item", ()):
            yield from ((item["linkId"], answer) for answer in item.get("answer", ()))


def _sent(resource: Resource, version: str | None = None) -> Resource:
    """The resource without what only this server says of it; a version stays where an answer names it."""
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    meta = ({"versionId": version} if version else {}) | meta
    return {key: value for key, value in resource.items() if key != "meta"} | ({"meta": meta} if meta else {})


def _is_held(reference: str, held: Mapping[str, Held]) -> bool:
    one = held.get(_bare(reference))
    return one is not None and one.reference == reference


def _bare(reference: str) -> str:
    return reference.partition("/_history/")[0]


def _key(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource.get('id')}"


def _subjects(resource: Resource) -> set[str]:
    """The patients of whom a resource speaks by its own subject."""
    holders: Sequence[Any] = [resource.get(name) for name in ("subject", "patient", "for", "individual")]
    holders = [*holders, resource.get("collection", {}).get("source")]
    found = (holder.get("reference", "") for holder in holders if isinstance(holder, dict))
    return {reference for reference in found if reference.startswith("Patient/")}
