"""How strictly what is sent is judged: `Prefer: handling=strict|lenient`, else as CART_FHIR_HANDLING says.

What violates R4 itself is refused in either case. What violates only a profile is refused by strict handling; by
lenient handling it is stored with a DetectedIssue beside it, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from service.api import conditions, idempotency
from service.api.server import server_of
from service.errors import Issue
from service.fhir.json import check_depth, decode
from service.fhir.operations import Applied, Result
from service.trial.flags import Flags, flag_id

Errors = list[Issue]
WRITTEN = frozenset({"created", "updated", "unchanged"})


class Door:
    """Judges the resources of one request, and remembers what it let pass."""

    def __init__(self, request: Request) -> None:
        server = server_of(request)
        self.validator, self.max_depth = server.validator, server.settings.max_depth
        self.wish = conditions.prefer(request, "return", "")
        keyed = idempotency.keyed_of(request)
        # What was taken once is answered again as it was, however strictly it is asked for now.
        before = keyed is not None and keyed.before is not None
        self.lenient = before or conditions.prefer(request, "handling", server.settings.handling) == "lenient"
        self._patched: dict[str, Errors] = {}

    def anew(self) -> Door:
        """The same for another plan of the request, which knows nothing of what was patched by this one."""
        other = copy(self)
        other._patched = {}
        return other

    def passed(self, resource: Any) -> Errors:
        """What the resource is taken in spite of. Raises BadRequest or Unprocessable with all errors."""
        errors = self.validator.errors(resource)
        if errors and not self.passes(errors):
            raise self.validator.refusal(errors)
        return errors

    def passes(self, errors: Sequence[Issue]) -> bool:
        """Whether a resource with these errors is taken."""
        return not errors or (self.lenient and not any(map(self.validator.is_base, errors)))

    def patched(self, resource: dict[str, Any]) -> None:
        """What a patched resource must pass before it is stored: the same as one that is sent whole."""
        check_depth(resource, self.max_depth)
        self._patched[f"{resource['resourceType']}/{resource['id']}"] = self.passed(resource)

    def beside(self, sent: Mapping[int, Errors]) -> Flags:
        """The flags of what was let pass, by the number of the operation; of what is right now, they are settled."""
        return Flags(sent, self._patched)

    def beside_new(self, sent: Mapping[int, Errors]) -> Flags | None:
        """The same where all resources are new: what has a new id has no flag that could be settled."""
        return self.beside(sent) if any(sent.values()) else None

    def notes(self, applied: Applied, resource: dict[str, Any] | None = None) -> list[Issue]:
        """Everything that the validator has against what was written, where the client prefers an outcome.

        `resource` is what was sent; without it, what is stored is looked at.
        """
        if self.wish != "OperationOutcome" or applied.outcome not in WRITTEN or applied.stored is None:
            return []
        if resource is None:
            resource = decode(applied.stored.content or b"{}", 10_000)
        found = self.validator.check(resource)
        return [*flagged(applied, [one for one in found if one.severity == "error"]), *warnings(found)]

    def entry_notes(self, result: Result, sent: Errors | None) -> list[Issue]:
        """Why the resource of a bundle's entry was flagged; `sent` are its errors, None for a patch."""
        if not self.lenient or not isinstance(result, Applied) or result.outcome not in WRITTEN:
            return []
        if sent is None and result.stored is not None:
            sent = self.validator.errors(decode(result.stored.content or b"{}", 10_000))
        return [*flagged(result, sent), *warnings(sent)] if sent else []


def flagged(applied: Applied, errors: Sequence[Issue]) -> list[Issue]:
    """Where the flag of what was written stands."""
    if not errors or applied.stored is None:
        return []
    place = f"DetectedIssue/{flag_id(f'{applied.stored.type}/{applied.stored.id}')}"
    text = f"Accepted although it does not meet its profile; {place} says so"
    return [Issue("informational", text, None, None, "information")]


def warnings(found: Iterable[Issue]) -> list[Issue]:
    """The findings as they stand in the answer to what was accepted."""
    return [replace(issue, severity="warning") if issue.severity == "error" else issue for issue in found]
