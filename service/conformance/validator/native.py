"""R4 invariants written in Python: those that are frequent, or that FHIRPath cannot state without the whole resource.

`NATIVE` maps the key to a function that is true where the rule holds; it gets an object of any content. A key that
several types share with another meaning stands as `key@path`. Source: the constraints of the R4 snapshots.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from service.conformance.validator.findings import Around
from service.conformance.validator.presence import (
    Holds,
    Object,
    chosen,
    coded,
    distinct,
    exactly_one,
    has,
    implies,
    in_order,
    not_both,
    not_negative,
    number,
    objects,
    some,
)

_UCUM = "http://unitsofmeasure.org"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VER_STATUS = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
_NAMED = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)(?:/[A-Za-z0-9.-]{1,64}(?:/_history/.*)?|\?.*)$")
_ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"


def _positive_ucum(value: Object) -> bool:
    amount = number(value.get("value"))
    return _ucum(value) and (amount is None or amount > 0)


def _ucum(value: Object) -> bool:
    return (has(value, "code") or not has(value, "value")) and value.get("system", _UCUM) == _UCUM


def _count(value: Object) -> bool:
    amount = number(value.get("value"))
    whole = amount is None or isinstance(amount, int) or amount == amount.to_integral_value()
    return _ucum(value) and value.get("code", "1") == "1" and whole


def _duration(value: Object) -> bool:
    return not has(value, "code") or (value.get("system") == _UCUM and has(value, "value"))


def _ratio(value: Object) -> bool:
    both = has(value, "numerator") == has(value, "denominator")
    return both and (has(value, "numerator") or has(value, "extension"))


def _range(value: Object) -> bool:
    low, high = value.get("low"), value.get("high")
    if not isinstance(low, dict) or not isinstance(high, dict):
        return True
    same = all(low.get(name) == high.get(name) for name in ("system", "code", "unit"))
    first, last = number(low.get("value")), number(high.get("value"))
    return not same or first is None or last is None or first <= last


def _obs_7(value: Object) -> bool:
    code = value.get("code")
    if "component" not in value or not isinstance(code, dict) or not chosen(value, "value"):
        return True
    own = objects(code.get("coding"))
    parts = [part.get("code") for part in objects(value["component"])]
    return not any(coding in own for part in objects(parts) for coding in objects(part.get("coding")))


def _bundle(*types: str) -> Callable[[str], Holds]:
    def of_entries(name: str) -> Holds:
        return lambda value: all(
            has(entry, name) == (value.get("type") in types) for entry in objects(value.get("entry"))
        )

    return of_entries


def _bdl_7(value: Object) -> bool:
    """Entries of the same fullUrl are of different versions; a history may tell one version twice."""
    if value.get("type") == "history":
        return True
    seen = set()
    for entry in objects(value.get("entry")):
        resource = entry.get("resource")
        meta = resource.get("meta") if isinstance(resource, dict) else None
        version = meta.get("versionId") if isinstance(meta, dict) else None
        told = str(entry.get("fullUrl")), str(version)
        if has(entry, "fullUrl") and told in seen:
            return False
        seen.add(told)
    return True


def _con_3(value: Object) -> bool:
    """As it is meant: the published expression compares a concept with a text and so is true of every category."""
    if has(value, "clinicalStatus") or coded(value.get("verificationStatus"), _VER_STATUS, "entered-in-error"):
        return True
    return not coded(value.get("category"), _CATEGORY, "problem-list-item")


def _ctm_1(value: Object, around: Around) -> bool:
    """By the text of the reference or what is contained: an unknown target breaks no rule."""
    member = value.get("member")
    reference = member.get("reference") if isinstance(member, dict) else None
    if not has(value, "onBehalfOf") or not isinstance(reference, str):
        return True
    if reference.startswith("#"):
        target = around.contained(reference[1:])
        return target is None or target.get("resourceType") == "Practitioner"
    named = _NAMED.search(reference)
    return named is None or named[1] == "Practitioner"


def _groupings(value: Object) -> bool:
    known = [grouping.get("id") for grouping in objects(value.get("grouping"))]
    return all(item["groupingId"] in known for item in objects(value.get("resource")) if "groupingId" in item)


def _versions(value: Object) -> bool:
    known, definition = value.get("fhirVersion"), value.get("definition")
    if not isinstance(known, list) or not isinstance(definition, dict):
        return True
    told = [item.get("fhirVersion") for item in objects(definition.get("resource"))]
    return all(version in known for versions in told if isinstance(versions, list) for version in versions)


def _con_4(value: Object) -> bool:
    return not chosen(value, "abatement") or coded(
        value.get("clinicalStatus"), _CLINICAL, "resolved", "remission", "inactive"
    )


def _con_5(value: Object) -> bool:
    wrong = coded(value.get("verificationStatus"), _VER_STATUS, "entered-in-error")
    return not wrong or not has(value, "clinicalStatus")


def _link_ids(value: Object) -> Iterable[Any]:
    for item in objects(value.get("item")):
        yield item.get("linkId")
        yield from _link_ids(item)


def _codes(value: Object) -> Iterable[Any]:
    for concept in objects(value.get("concept")):
        yield concept.get("code")
        yield from _codes(concept)


def _parameter(value: Object) -> bool:
    return has(value, "part") + chosen(value, "value") + has(value, "resource") == 1


def _percentages(value: Object) -> bool:
    return all(
        end.get("code") == "%" and end.get("system") == _UCUM
        for name in ("low", "high")
        for end in objects(value.get(name))
    )


def _tim_9(value: Object) -> bool:
    when = value.get("when")
    if not has(value, "offset"):
        return True
    return isinstance(when, list) and bool(when) and not {"C", "CM", "CD", "CV"} & {str(item) for item in when}


NATIVE: dict[str, Holds] = {
    "age-1": _positive_ucum,
    "ait-1": lambda v: coded(v.get("verificationStatus"), _ALLERGY, "entered-in-error") or has(v, "clinicalStatus"),
    "ait-2": lambda v: (
        not coded(v.get("verificationStatus"), _ALLERGY, "entered-in-error") or not has(v, "clinicalStatus")
    ),
    "app-1": some("type", "actor"),
    "app-2": lambda v: has(v, "start") == has(v, "end"),
    "app-3": lambda v: (has(v, "start") and has(v, "end")) or v.get("status") in ("proposed", "cancelled", "waitlist"),
    "app-4": lambda v: not has(v, "cancelationReason") or v.get("status") in ("noshow", "cancelled"),
    "apr-1": some("participantType", "actor"),
    "att-1": implies("data", "contentType"),
    "bdl-1": lambda v: not has(v, "total") or v.get("type") in ("searchset", "history"),
    "bdl-2": lambda v: (
        v.get("type") == "searchset" or not any(has(entry, "search") for entry in objects(v.get("entry")))
    ),
    "bdl-3": _bundle("batch", "transaction", "history")("request"),
    "bdl-4": _bundle("batch-response", "transaction-response", "history")("response"),
    "bdl-5": some("resource", "request", "response"),
    "bdl-7": _bdl_7,
    "bdl-8": lambda v: "/_history/" not in str(v.get("fullUrl", "")),
    "ces-1": exactly_one("category", "productOrService"),
    "cmp-1": some("text", "entry", "section"),
    "cmp-2": not_both("emptyReason", "entry"),
    "cnt-3": _count,
    "con-1": some("summary", "assessment"),
    "con-2": some("code", "detail"),
    "con-3": _con_3,
    "con-4": _con_4,
    "con-5": _con_5,
    "cpl-3": not_both("detail", "reference"),
    "cpt-2": implies("value", "system"),
    "csd-1": lambda v: distinct(_codes(v)),
    "dis-1": _ucum,
    "drq-1": exactly_one("path", "searchParam"),
    "drq-2": exactly_one("path", "searchParam"),
    "drt-1": _duration,
    "exp-1": some("expression", "reference"),
    "fhs-1": lambda v: not (chosen(v, "age") and chosen(v, "born")),
    "fhs-2": lambda v: chosen(v, "age") or not has(v, "estimatedAge"),
    "gol-1": lambda v: not chosen(v, "detail") or has(v, "measure"),
    "grp-1": lambda v: not has(v, "member") or v.get("actual") is True,
    "ig-1": _groupings,
    "ig-2": _versions,
    "imm-1": some("documentType", "reference"),
    "inv-1@Parameters.parameter": _parameter,
    "inv-1@Task": in_order("authoredOn", "lastModified"),
    "ipn-1": some("identifier", "name"),
    "lnk-1": lambda v: not isinstance(v.get("item"), list) or len(v["item"]) > 1,
    "lst-1": not_both("emptyReason", "entry"),
    "mad-1": lambda v: has(v, "dose") or chosen(v, "rate"),
    "mdd-1": in_order("whenPrepared", "whenHandedOver"),
    "mrp-1": lambda v: v.get("type") != "data-collection" or not has(v, "group"),
    "obs-3": some("low", "high", "text"),
    "obs-6": lambda v: "dataAbsentReason" not in v or not chosen(v, "value"),
    "obs-7": _obs_7,
    "opd-1": some("type", "part"),
    "org-1": some("identifier", "name"),
    "org-2": lambda v: v.get("use") != "home",
    "org-3": lambda v: v.get("use") != "home",
    "pat-1": some("name", "telecom", "address", "organization"),
    "per-1": in_order("start", "end"),
    "ppc-1": some("policy", "policyRule"),
    "prr-1": implies("orderDetail", "code"),
    "qrs-1": not_both("answer", "item"),
    "qty-3": implies("code", "system"),
    # Where `repeats`, `abstract` or a code is missing, the expressions of these give nothing; the words of the rules
    # are plain. `is Boolean` of que-7 means the FHIR type.
    "que-7": lambda v: v.get("operator") != "exists" or has(v, "answerBoolean") or not chosen(v, "answer"),
    "que-13": lambda v: v.get("repeats") is True or len(objects(v.get("initial"))) <= 1,
    "ras-1": _percentages,
    "vsd-9": lambda v: has(v, "code") or v.get("abstract") is True,
    "que-2": lambda v: distinct(_link_ids(v)),
    "rat-1": _ratio,
    "ras-2": lambda v: (found := number(v.get("probabilityDecimal"))) is None or found <= 100,
    "rng-2": _range,
    "rqg-1": exactly_one("resource", "action"),
    "sev-1": not_both("name", "query"),
    "tim-1": implies("duration", "durationUnit"),
    "tim-2": implies("period", "periodUnit"),
    "tim-4": not_negative("duration"),
    "tim-5": not_negative("period"),
    "tim-6": implies("periodMax", "period"),
    "tim-7": implies("durationMax", "duration"),
    "tim-8": implies("countMax", "count"),
    "tim-9": _tim_9,
    "tim-10": not_both("timeOfDay", "when"),
    "vsd-1": some("valueSet", "system"),
    "vsd-2": lambda v: not has(v, "concept", "filter") or has(v, "system"),
    "vsd-3": not_both("concept", "filter"),
}
# Rules that look at the resource around the element, too.
AROUND: dict[str, Callable[[Object, Around], bool]] = {"ctm-1": _ctm_1}
