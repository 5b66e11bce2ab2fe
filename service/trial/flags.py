"""What was accepted although it does not meet a profile: a DetectedIssue beside each such resource.

It has the same id for the same resource each time, so that later writes find it: what is still wrong replaces it, what
is right settles it (status amended, with a mitigation). R4 gives DetectedIssue no status of its own for that.
Source: https://hl7.org/fhir/R4/detectedissue.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid5

from service.errors import ERROR_SYSTEM, Issue
from service.trial.mapping.identity import BASE, NAMESPACE
from service.trial.quality import ISSUES, RESTRICTED

TYPE = "DetectedIssue"
KIND = "profile-violation"
OPEN, SETTLED = "final", "amended"
SETTLEMENT = "A later version of the resource meets its profiles"
MOST = 100  # findings that one flag lists
PATIENT_ELEMENTS = ("subject", "patient", "individual")

Resource = dict[str, Any]


class Flags:
    """The flags of one plan (service.fhir.operations.Beside).

    `sent` are the findings by the number of the operation, `patched` by `Type/id` of what a patch made; the latter
    are looked up when the patch was done.
    """

    def __init__(
        self,
        sent: Mapping[int, Sequence[Issue]] | None = None,
        patched: Mapping[str, Sequence[Issue]] | None = None,
    ) -> None:
        self._sent: Mapping[int, Sequence[Issue]] = {} if sent is None else sent
        self._patched: Mapping[str, Sequence[Issue]] = {} if patched is None else patched

    def identity(self, type_: str, id_: str) -> tuple[str, str]:
        """Type and id of the flag of `type_/id_`."""
        return TYPE, flag_id(f"{type_}/{id_}")

    def wanted(self, number: int, reference: str, resource: Resource, known: Resource | None) -> Resource | None:
        """The flag that the resource needs; the settled one where it needs none any more and has one."""
        found = self._sent.get(number) or self._patched.get(reference)
        if found:
            return _flag(reference, resource, found, known or {})
        if known is None or known.get("status") != OPEN:
            return None
        return known | {"status": SETTLED, "mitigation": [{"action": {"text": SETTLEMENT}, "date": _now()}]}


def flag_id(reference: str) -> str:
    """The id of the flag of a resource (`Type/id`)."""
    return str(uuid5(NAMESPACE, f"profile/{reference}"))


def _flag(reference: str, resource: Resource, found: Sequence[Issue], known: Resource) -> Resource:
    still = known.get("status") == OPEN
    sources = {issue.source for issue in found if issue.source}
    patient = _patient(reference, resource)
    return {
        "resourceType": TYPE,
        "id": flag_id(reference),
        "meta": {"profile": [f"{BASE}/StructureDefinition/trial-detected-issue"], "security": [RESTRICTED]},
        "status": OPEN,
        "code": {"coding": [{"system": ISSUES, "code": KIND}]},
        "severity": "moderate",
        **({"patient": {"reference": patient}} if patient else {}),
        "identifiedDateTime": known["identifiedDateTime"] if still and "identifiedDateTime" in known else _now(),
        "implicated": [{"reference": reference}],
        "evidence": [_evidence(issue) for issue in found[:MOST]],
        "detail": _detail(found),
        **({"reference": sources.pop().partition("|")[0]} if len(sources) == 1 else {}),
        **({"mitigation": known["mitigation"]} if still and "mitigation" in known else {}),
    }


def _patient(reference: str, resource: Resource) -> str | None:
    if resource["resourceType"] == "Patient":
        return reference
    for name in PATIENT_ELEMENTS:
        value = resource.get(name)
        target = value.get("reference") if isinstance(value, dict) else None
        if isinstance(target, str) and target.startswith("Patient/"):
            return target
    return None


def _evidence(issue: Issue) -> Resource:
    source = f" ({issue.source})" if issue.source else ""
    coding = {"system": ERROR_SYSTEM, "code": issue.rule}
    return {"code": [{"coding": [coding], "text": f"{issue.expression}: {issue.text}{source}"}]}


def _detail(found: Sequence[Issue]) -> str:
    rules = dict.fromkeys(f"{issue.rule} at {issue.expression}" for issue in found[:MOST])
    more = f" and {len(found) - MOST} more" if len(found) > MOST else ""
    return f"Accepted although it does not meet its profile: {', '.join(rules)}{more}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
