"""The one exception tree; every error knows its HTTP status and renders as an OperationOutcome.

    CartFhirError
    ├── BadRequest            400  not parsable, malformed, or against a structural rule
    ├── NotFound              404
    ├── MethodNotAllowed      405
    ├── NotAcceptable         406
    ├── Conflict              409  integrity, lock, duplicate in flight
    ├── Gone                  410  the resource was deleted
    ├── PreconditionFailed    412  If-Match or a criterion that is not selective
    ├── TooLarge              413
    ├── UnsupportedMediaType  415
    ├── Unprocessable         422  a profile or business rule
    ├── Internal              500
    ├── Unavailable           503  the store is busy or gone; nothing was written
    └── Upstream              502  a server that the service calls failed, or its answer cannot be used
        ├── UpstreamConflict  502  it answered 409 or 412
        ├── UpstreamGone      502  it answered 404 or 410
        ├── UpstreamRefused   502  it answered another 4xx, or what the connection is set up with cannot work
        ├── Unreachable       502  no answer: name, connection, TLS, time
        └── Later             503  not before `until`

Texts name places and rules, never values of a patient's record.
Source: https://hl7.org/fhir/R4/http.html and https://hl7.org/fhir/R4/operationoutcome.html
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

ISSUE_SOURCE = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-source"
ERROR_SYSTEM = "https://cart-fhir.example/fhir/CodeSystem/error"

# https://hl7.org/fhir/R4/valueset-issue-type.html
ISSUE_TYPES = frozenset(
    "invalid structure required value invariant security login unknown expired forbidden suppressed "
    "processing not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension "
    "too-costly business-rule conflict transient lock-error no-store exception timeout incomplete throttled "
    "informational".split()
)


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding: R4 issue `code`, stable machine code `rule`, human `text`, FHIRPath `expression`.

    `line` and `column` (1-based) are those of the element in the body, where it came in as text.
    `source` is the canonical of the definition that is violated.
    """

    code: str
    text: str
    expression: str | None = None
    rule: str | None = None
    severity: str = "error"
    line: int | None = None
    column: int | None = None
    source: str | None = None

    def under(self, prefix: str) -> Issue:
        """The same issue seen from a container: `Bundle.entry[7].resource` + `Observation.status`."""
        if self.expression is None:
            return replace(self, expression=prefix)
        _, _, rest = self.expression.partition(".")
        return replace(self, expression=f"{prefix}.{rest}" if rest else prefix)

    def as_fhir(self) -> dict[str, Any]:
        """An `OperationOutcome.issue` element."""
        issue: dict[str, Any] = {"severity": self.severity, "code": self.code}
        if self.source:
            issue = {"extension": [{"url": ISSUE_SOURCE, "valueString": self.source}], **issue}
        if self.rule:
            issue["details"] = {"coding": [{"system": ERROR_SYSTEM, "code": self.rule}], "text": self.text}
        issue["diagnostics"] = self.text
        if self.line is not None:
            issue["location"] = [f"line {self.line}, column {self.column}"]
        if self.expression:
            issue["expression"] = [self.expression]
        return issue


class CartFhirError(Exception):
    """Root of the tree. `CartFhirError("text", rule="…")` or with `issues=` for several at once."""

    status = 500
    code = "exception"
    rule = "internal"

    def __init__(
        self,
        text: str = "",
        *,
        expression: str | None = None,
        code: str | None = None,
        rule: str | None = None,
        issues: tuple[Issue, ...] | list[Issue] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        self.issues = tuple(issues) or (Issue(code or self.code, text, expression, rule or self.rule),)
        self.headers = headers or {}
        super().__init__("; ".join(issue.text for issue in self.issues))

    def under(self, prefix: str) -> CartFhirError:
        """The same error with every expression seen from `prefix` (a bundle entry)."""
        return type(self)(issues=[issue.under(prefix) for issue in self.issues], headers=self.headers)

    def outcome(self) -> dict[str, Any]:
        """The OperationOutcome resource."""
        return operation_outcome(self.issues)


def operation_outcome(issues: tuple[Issue, ...] | list[Issue]) -> dict[str, Any]:
    """An OperationOutcome with `issues`, in their order."""
    return {"resourceType": "OperationOutcome", "issue": [issue.as_fhir() for issue in issues]}


class BadRequest(CartFhirError):
    status, code, rule = 400, "structure", "malformed"


class NotFound(CartFhirError):
    status, code, rule = 404, "not-found", "unknown-resource"


class MethodNotAllowed(CartFhirError):
    status, code, rule = 405, "not-supported", "method-not-allowed"


class NotAcceptable(CartFhirError):
    status, code, rule = 406, "not-supported", "not-acceptable"


class Conflict(CartFhirError):
    status, code, rule = 409, "conflict", "conflict"


class Gone(CartFhirError):
    status, code, rule = 410, "deleted", "deleted"


class PreconditionFailed(CartFhirError):
    status, code, rule = 412, "conflict", "precondition-failed"


class TooLarge(CartFhirError):
    status, code, rule = 413, "too-long", "body-too-large"


class UnsupportedMediaType(CartFhirError):
    status, code, rule = 415, "not-supported", "unsupported-media-type"


class Unprocessable(CartFhirError):
    status, code, rule = 422, "business-rule", "unprocessable"


class Internal(CartFhirError):
    status, code, rule = 500, "exception", "internal"


class Unavailable(CartFhirError):
    status, code, rule = 503, "transient", "unavailable"


class Upstream(CartFhirError):
    """A server that the service calls failed. Texts name method, address without query and status, never a body.

    `status_code` is that of its answer and `answer` the OperationOutcome that it sent, which may hold a patient's
    data. `ambiguous` is true where a write may have taken place; `request_id` is the X-Request-Id that was sent.
    """

    status, code, rule = 502, "transient", "upstream"

    def __init__(
        self,
        text: str = "",
        *,
        status_code: int | None = None,
        answer: dict[str, Any] | None = None,
        ambiguous: bool = False,
        request_id: str | None = None,
        code: str | None = None,
        rule: str | None = None,
        issues: tuple[Issue, ...] | list[Issue] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(text, code=code, rule=rule, issues=issues, headers=headers)
        self.status_code = status_code
        self.answer = answer
        self.ambiguous = ambiguous
        self.request_id = request_id

    @property
    def transient(self) -> bool:
        """True where the same request may succeed at another time without anybody's help."""
        return self.issues[0].code in ("transient", "timeout", "throttled")

    def under(self, prefix: str) -> Upstream:
        error = type(self)(issues=[issue.under(prefix) for issue in self.issues])
        error.__dict__.update({name: value for name, value in self.__dict__.items() if name != "issues"})
        return error


class UpstreamConflict(Upstream):
    code, rule = "conflict", "upstream-conflict"


class UpstreamGone(Upstream):
    code, rule = "not-found", "upstream-gone"


class UpstreamRefused(Upstream):
    code, rule = "processing", "upstream-refused"


class Unreachable(Upstream):
    code, rule = "transient", "upstream-unreachable"


class Later(Upstream):
    """Nothing may be sent before `until`, an aware UTC datetime: the server said so, or its circuit is open."""

    status, code, rule = 503, "throttled", "upstream-later"
    until: datetime = datetime.min.replace(tzinfo=UTC)

    @classmethod
    def at(cls, until: datetime, text: str, status_code: int | None = None, request_id: str | None = None) -> Later:
        """The error with its `until`."""
        error = cls(text, status_code=status_code, request_id=request_id)
        error.until = until
        return error
