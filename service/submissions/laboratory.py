"""Laboratory results as CIBMTR takes them by FHIR: small transactions of labelled Observations, posted to the base.

Source: the implementation guide CIBMTR Reporting 0.1.8
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from service.conformance.validator import Validator
from service.errors import Issue, Unprocessable
from service.fhir.operations import Resource
from service.submissions.questionnaire import UCUM
from service.trial.mapping.identity import BASE

CENTRES = "http://terminology.cibmtr.org/codesystem/transplant-center"
IDENTIFIER = f"{BASE}/identifier/observation"
MOST = 50
CENTRE = re.compile(r"rc_\d{5}")


def bundles(
    observations: Iterable[Resource], centre: str, subject: Mapping[str, Any] | None = None
) -> tuple[Resource, ...]:
    """Transactions of at most 50 Observations each, by date and id, every resource with the label of the `centre`.

    `centre` is `rc_` and five digits; `subject` the Reference by which CIBMTR knows the recipient, in place of ours.
    An Observation gets our id as an identifier and is created unless one with it is there: sent again, nothing is
    doubled. Raises Unprocessable for a malformed centre.
    """
    if not CENTRE.fullmatch(centre):
        text = "A transplant centre of CIBMTR is rc_ and five digits"
        raise Unprocessable(text, expression="Observation.meta.security", code="value", rule="centre-label")
    ordered = sorted(observations, key=lambda one: (str(one.get("effectiveDateTime", "")), one["id"]))
    entries = [_entry(one, centre, subject) for one in ordered]
    parts = (entries[first : first + MOST] for first in range(0, len(entries), MOST))
    return tuple({"resourceType": "Bundle", "type": "transaction", "entry": part} for part in parts)


def lab_refusals(bundle: Resource, validator: Validator) -> tuple[Issue, ...]:
    """Every reason why a Bundle of results must not be sent: rules of R4 and profiles, and those of CIBMTR."""
    found = validator.errors(bundle)
    return tuple(found) if found else tuple(_refused(bundle))


def _entry(observation: Resource, centre: str, subject: Mapping[str, Any] | None) -> dict[str, Any]:
    meta = observation.get("meta", {})
    others = [one for one in meta.get("security", ()) if one.get("system") != CENTRES]
    identifier = {"system": IDENTIFIER, "value": observation["id"]}
    identifiers = [one for one in observation.get("identifier", ()) if one.get("system") != IDENTIFIER]
    result = {key: value for key, value in observation.items() if key not in ("id", "meta", "subject")}
    result |= {
        "meta": {"security": [*others, {"system": CENTRES, "code": centre}]},
        "identifier": [*identifiers, identifier],
        "subject": dict(subject) if subject is not None else observation.get("subject"),
    }
    unless = f"identifier={IDENTIFIER}|{observation['id']}"
    return {"resource": result, "request": {"method": "POST", "url": "Observation", "ifNoneExist": unless}}


def _refused(bundle: Resource) -> Iterator[Issue]:
    entries = bundle.get("entry", ())
    if bundle.get("type") != "transaction" or not entries:
        yield Issue("business-rule", "Results are sent as a transaction", "Bundle.type", "not-a-result")
    if len(entries) > MOST:
        text = f"The Bundle has {len(entries)} results, more than {MOST}"
        yield Issue("too-long", text, "Bundle.entry", "too-many-results")
    labels = set()
    for number, entry in enumerate(entries):
        place, resource = f"Bundle.entry[{number}].resource", entry.get("resource", {})
        codes = [one.get("code", "") for one in resource.get("meta", {}).get("security", ()) if _is_centre(one)]
        labels.update(codes)
        if len(codes) != 1 or not CENTRE.fullmatch(codes[0]):
            text = "The resource needs the label of one transplant centre"
            yield Issue("security", text, f"{place}.meta.security", "centre-label")
        if resource.get("resourceType") != "Observation" or not _is_measured(resource):
            text = "A result is an Observation with a number and a unit of UCUM"
            yield Issue("business-rule", text, f"{place}.value", "not-a-result")
    if len(labels) > 1:
        yield Issue("security", "The Bundle has results of several centres", "Bundle.entry", "centre-label")


def _is_centre(coding: dict[str, Any]) -> bool:
    return coding.get("system") == CENTRES


def _is_measured(observation: Resource) -> bool:
    quantity = observation.get("valueQuantity", {})
    return "value" in quantity and quantity.get("system") == UCUM and bool(quantity.get("code"))
