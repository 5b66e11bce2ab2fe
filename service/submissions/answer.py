"""What a registry answered: taken, queried, refused; its receipt, held against what was sent.

Receipts come in the shapes that registries give them: a Provenance with our extension content-hash, or any resource
with the message id and a SHA-256 among its identifiers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from service.errors import ISSUE_TYPES, Issue, Upstream
from service.submissions.receipts import hash_of

SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})\Z")
MOST = 50

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """`state` is CMP, QRY or ERR; `receipt` a reference as the registry names it, `receipt_hash` what it states."""

    state: str
    issues: tuple[Issue, ...] = ()
    receipt: str | None = None
    receipt_hash: str | None = None


def answer_of(resource: Resource | None, message_id: str, digest: str) -> Answer:
    """The answer in a good reply to a message.

    Raises Upstream where it is none, speaks of another message, or its receipt of another content.
    """
    if resource is None or resource.get("resourceType") != "Bundle" or resource.get("type") != "message":
        name = resource.get("resourceType", "") if resource else "nothing"
        raise _useless(f"the answer is {name if str(name).isalnum() else 'something else'}, not a message")
    inside = [entry.get("resource") for entry in resource.get("entry", []) if isinstance(entry, dict)]
    resources = [one for one in inside if isinstance(one, dict)]
    header = next((one for one in resources if one.get("resourceType") == "MessageHeader"), {})
    reply = header.get("response", {})
    if reply.get("identifier") != message_id:
        raise _useless("the answer is to another message than the one that was sent")
    found = [one for one in resources if one.get("resourceType") == "OperationOutcome"]
    issues = tuple(issue for one in found for issue in issues_of(one))
    if reply.get("code") == "transient-error":
        raise Upstream("The registry answered that it cannot take the message now", code="transient", rule="upstream")
    if reply.get("code") != "ok":
        return Answer("ERR", issues or (Issue("processing", "The registry refused the message without a reason"),))
    reference, stated = receipt_in(resources, digest)
    grave = {issue.severity for issue in issues} & {"fatal", "error", "warning"}
    return Answer("QRY" if grave else "CMP", issues, reference, stated)


def receipt_in(resources: list[Resource], digest: str) -> tuple[str | None, str | None]:
    """(reference, hash) of the receipt among the resources of an answer.

    Raises Upstream where the hash is another one than `digest`.
    """
    for one in resources:
        stated = _stated(one)
        if stated is None:
            continue
        if stated != _digits(digest):
            raise _useless("its receipt states another hash than that of what was sent, so it speaks of something else")
        return f"{one['resourceType']}/{one.get('id', '')}", f"sha256:{stated}"
    return None, None


def _stated(resource: Resource) -> str | None:
    if resource.get("resourceType") in ("MessageHeader", "OperationOutcome"):
        return None
    if (text := hash_of(resource)) is not None:
        return _digits(text)
    identifiers = resource.get("identifier", [])
    values = (one.get("value", "") for one in identifiers if isinstance(one, dict)) if identifiers else ()
    return next((found for value in values if (found := _digits(str(value)))), None)


def _digits(text: str) -> str | None:
    match = SHA256.match(text)
    return match[1] if match else None


def issues_of(outcome: Resource | None) -> Iterator[Issue]:
    """The issues of a registry's OperationOutcome as ours, at most 50; informational ones are left out."""
    listed = outcome.get("issue") if outcome else None
    for one in (listed if isinstance(listed, list) else [])[:MOST]:
        if not isinstance(one, dict) or one.get("severity") == "information":
            continue
        code = one.get("code") if one.get("code") in ISSUE_TYPES else "processing"
        text = one.get("diagnostics") or one.get("details", {}).get("text") or "The registry gives no reason"
        expression = next(iter(one.get("expression") or one.get("location") or ()), None)
        severity = one.get("severity") if one.get("severity") in ("fatal", "error", "warning") else "error"
        yield Issue(str(code), str(text)[:1000], expression, None, str(severity))


def _useless(text: str) -> Upstream:
    return Upstream(f"The registry's answer cannot be used: {text}", code="processing", rule="submission-answer")
