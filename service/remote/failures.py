"""Answers that cannot be used, in plain words. Nothing of a body is quoted but codes of closed lists and places."""

from __future__ import annotations

import re
from typing import Any

from service.errors import (
    ISSUE_TYPES,
    BadRequest,
    Upstream,
    UpstreamConflict,
    UpstreamGone,
    UpstreamRefused,
)
from service.fhir import json
from service.remote.calls import Answer, Call
from service.remote.limits import Limits

Resource = dict[str, Any]

_EXPRESSION = re.compile(r"[A-Z][A-Za-z]{2,40}(\.[a-z][A-Za-z]{1,60}(\[\d{1,6}\])?){0,12}\Z")
_MOST_TOLD = 3  # issues of an outcome that a text names
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,60}\Z")


def resource_of(call: Call, answer: Answer, limits: Limits) -> Resource:
    """The resource of a good answer, numbers to the digit. Raises Upstream where there is none."""
    problem, code = None, "processing"
    if not answer.body.strip():
        problem, rule = "the answer is empty", "upstream-empty"
    elif _is_markup(answer):
        kind = "XML" if "xml" in answer.headers.get("content-type", "") and b"<html" not in answer.body else "HTML"
        hint = " (a login page, a proxy, or another address than that of the FHIR API)" if kind == "HTML" else ""
        problem, rule = f"the answer is {kind}, not FHIR in JSON{hint}", "upstream-not-fhir"
    else:
        try:
            found = json.decode(answer.body, max_depth=limits.depth)
        except BadRequest as error:
            problem, rule, code = _why(error), "upstream-not-fhir", "transient"
            if answer.body.rstrip()[-1:] not in (b"}", b"]"):
                problem, rule = "the answer is JSON that ends too early", "upstream-truncated"
        else:
            if isinstance(found, dict) and isinstance(found.get("resourceType"), str):
                return found
            problem, rule = "the answer is JSON, but no FHIR resource", "upstream-not-fhir"
    raise Upstream(
        f"{call.shown}: {answer.status}: {problem}",
        code=code,
        rule=rule,
        status_code=answer.status,
        ambiguous=call.method != "GET",
        request_id=call.id,
    )


def expect(call: Call, answer: Answer, resource: Resource, *types: str) -> Resource:
    """The resource, if it is of one of the types. Raises Upstream."""
    found = resource["resourceType"]
    if found in types:
        return resource
    kind = found if _TYPE.match(found) else "something unknown"
    raise Upstream(
        f"{call.shown}: {answer.status}: the answer is {kind}, where {' or '.join(types)} was asked for",
        code="processing",
        rule="upstream-wrong-resource",
        status_code=answer.status,
        answer=resource if found == "OperationOutcome" else None,
        ambiguous=call.method != "GET",
        request_id=call.id,
    )


def checked(call: Call, answer: Answer, limits: Limits) -> Answer:
    """The answer, if its status is 2xx. Raises Upstream, UpstreamConflict, UpstreamGone, UpstreamRefused."""
    status = answer.status
    if 200 <= status < 300:
        return answer
    outcome = _outcome(answer, limits)
    text = f"{call.shown}: {status}{_explained(call, status, outcome)}"
    facts: dict[str, Any] = {
        "status_code": status,
        "answer": outcome,
        "ambiguous": answer.doubtful or (status >= 500 and call.method != "GET"),
        "request_id": call.id,
    }
    if status in (404, 410):
        raise UpstreamGone(text, code="deleted" if status == 410 else "not-found", **facts)
    if status in (409, 412):
        raise UpstreamConflict(text, **facts)
    if status in (401, 403):
        raise UpstreamRefused(text, code="login" if status == 401 else "forbidden", rule="upstream-access", **facts)
    if 300 <= status < 500:
        raise UpstreamRefused(text, **facts)
    raise Upstream(text, **facts)


def _explained(call: Call, status: int, outcome: Resource | None) -> str:
    if status == 401:
        words = "the server does not accept the login of this connection"
    elif status == 403:
        words = "the client may not do this: are its scopes and permissions right?"
    elif status == 404 and outcome is None:
        words = "not found, and the answer is no FHIR: is the base address right?"
    else:
        return told(outcome)
    return f": {words}{told(outcome)}"


def told(outcome: Resource | None) -> str:
    """The issues of an OperationOutcome: code and place, e.g. `; the server says: required at Patient.name`."""
    issues = outcome.get("issue") if outcome else None
    found = [_issue(issue) for issue in issues[:_MOST_TOLD]] if isinstance(issues, list) else []
    said = ", ".join(dict.fromkeys(one for one in found if one))
    return f"; the server says: {said}" if said else ""


def _issue(issue: Any) -> str:
    code = issue.get("code") if isinstance(issue, dict) else None
    if not isinstance(code, str) or code not in ISSUE_TYPES:
        return ""
    places = issue.get("expression")
    place = places[0] if isinstance(places, list) and places and isinstance(places[0], str) else ""
    return f"{code} at {place}" if _EXPRESSION.match(place) else code


def _outcome(answer: Answer, limits: Limits) -> Resource | None:
    if not answer.body.strip() or _is_markup(answer):
        return None
    try:
        found = json.decode(answer.body, max_depth=limits.depth)
    except BadRequest:
        return None
    if isinstance(found, dict) and found.get("type") == "message":  # the answer to a message says why in an entry
        entries = found.get("entry")
        inside = [one.get("resource") for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
        found = next((one for one in inside if isinstance(one, dict) and "issue" in one), None)
    return found if isinstance(found, dict) and found.get("resourceType") == "OperationOutcome" else None


def _is_markup(answer: Answer) -> bool:
    return answer.body.lstrip()[:1] == b"<"


def _why(error: BadRequest) -> str:
    issue = error.issues[0]
    if issue.rule == "json-too-deep":
        return "the answer nests too deep"
    if issue.rule == "json-duplicate-key":
        return "a key stands twice in one object of the answer"
    return "the answer is not JSON" + (f" (line {issue.line}, column {issue.column})" if issue.line else "")
