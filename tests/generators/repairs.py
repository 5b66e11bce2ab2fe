"""What single invariants of R4 ask of a value made at random: each repair changes as little as it must.

Source: the constraints of the R4 snapshots, whose keys stand behind each.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from decimal import Decimal
from random import Random

from tests.generators.words import Object, Rule, choice, drop, has, needs, put

UCUM = "http://unitsofmeasure.org"
CODED = {"text": "x"}
REFERENCE = {"reference": "Patient/1"}
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"


def measured(code: str, low: int = 1) -> Rule:
    """age-1, cnt-3, dis-1, drt-1."""
    return lambda value, random: put(value, value=random.randint(low, 120), system=UCUM, code=code)


def unit(value: Object, random: Random) -> None:
    """A code of UCUM is a unit."""
    if value.get("system") == UCUM and isinstance(value.get("code"), str):
        value["code"] = "mg/dL"


def period(value: Object, random: Random) -> None:
    """per-1."""
    if has(value, "start") and isinstance(value.get("end"), str) and isinstance(value.get("start"), str):
        year = int(value["start"][:4])
        put(value, end=f"{year + 1:04d}" + random.choice(("", "-06", "-06-15")))


def ordered_range(value: Object, random: Random) -> None:
    """rng-2."""
    low, high = value.get("low"), value.get("high")
    if isinstance(low, dict) and isinstance(high, dict) and "value" in low and "value" in high:
        low["value"], high["value"] = sorted((low["value"], high["value"]))


def attachment(value: Object, random: Random) -> None:
    """size and hash are those of the data."""
    data = base64.b64decode(value["data"]) if isinstance(value.get("data"), str) else b"x"
    if "size" in value and "data" in value:
        put(value, size=len(data))
    if "hash" in value:
        put(value, hash=base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode())


def ratio(value: Object, random: Random) -> None:
    """rat-1."""
    if has(value, "numerator") != has(value, "denominator") or not has(value, "numerator", "extension"):
        put(value, numerator={"value": 1}, denominator={"value": Decimal("2.0")})


def repeat(value: Object, random: Random) -> None:
    """tim-1 to tim-10."""
    for name in ("duration", "period"):
        if has(value, name, f"{name}Max"):
            put(value, **{name: abs(value.get(name, 1)), f"{name}Unit": "d"})
    needs("countMax", count=1)(value, random)
    if has(value, "offset"):
        put(value, when=["ACM"])
    if has(value, "when"):
        drop(value, "timeOfDay")


def trigger(value: Object, random: Random) -> None:
    """trd-1 to trd-3."""
    drop(value, "data", "condition", *choice(value, "timing"))
    put(
        value,
        **random.choice(({"type": "named-event", "name": "x"}, {"type": "data-added", "data": [{"type": "Patient"}]})),
    )


def in_error(value: Object) -> bool:
    status = value.get("verificationStatus", {})
    return any(coding.get("code") == "entered-in-error" for coding in status.get("coding", ()))


def allergy(value: Object, random: Random) -> None:
    """ait-1, ait-2."""
    if in_error(value):
        drop(value, "clinicalStatus")
    else:
        put(value, clinicalStatus={"coding": [{"system": ALLERGY, "code": "active"}]})


def appointment(value: Object, random: Random) -> None:
    """app-2 to app-4."""
    if has(value, "start", "end"):
        put(value, start="2021-01-01T00:00:00Z", end="2021-01-02T00:00:00+03:00")
    put(value, status="cancelled")


def bundle(value: Object, random: Random) -> None:
    """bdl-1 to bdl-12."""
    kind = random.choice(("collection", "searchset", "history", "batch", "batch-response", "document", "message"))
    first = {"document": DOCUMENT, "message": MESSAGE}.get(kind, {"resourceType": "Patient"})
    parts: Object = {"resource": first}
    if kind in ("batch", "history"):
        parts["request"] = {"method": "POST", "url": "Patient"}
    if kind in ("batch-response", "history"):
        parts["response"] = {"status": "200"}
    if kind == "searchset":
        parts["search"] = {"mode": "match"}
    if kind not in ("searchset", "history"):
        drop(value, "total")
    uuid = f"urn:uuid:00000000-0000-4000-8000-{random.getrandbits(48):012x}"
    put(
        value,
        type=kind,
        entry=[{"fullUrl": uuid, **parts}],
        timestamp="2020-01-01T00:00:00Z",
        identifier={"system": "urn:ietf:rfc:3986", "value": uuid},
    )


def capability(value: Object, random: Random) -> None:
    """cpb-1 to cpb-15."""
    if "document" in value:
        put(value, document=value["document"][:1])
    put(value, kind="instance", implementation={"description": "x"}, rest=value.get("rest") or [{"mode": "server"}])
    for rest in value["rest"]:
        known = {resource["type"]: resource for resource in rest.get("resource", ()) if "type" in resource}
        if "resource" in rest:
            put(rest, resource=list(known.values()) or [{"type": "Patient"}])
        for resource in rest.get("resource", ()):
            for number, parameter in enumerate(resource.get("searchParam", ())):
                put(parameter, name=f"p{number}")


def codes(value: Object, random: Random) -> None:
    """csd-1."""
    for number, concept in enumerate(below(value, "concept")):
        put(concept, code=f"c{number}")


def below(value: Object, name: str) -> Iterator[Object]:
    for part in value.get(name, ()):
        yield part
        yield from below(part, name)


def condition(value: Object, random: Random) -> None:
    """con-3 to con-5."""
    if in_error(value):
        drop(value, "clinicalStatus", *choice(value, "abatement"))
    else:
        put(value, clinicalStatus={"coding": [{"system": CLINICAL, "code": "resolved"}]})


def family(value: Object, random: Random) -> None:
    """fhs-1, fhs-2."""
    drop(value, *(choice(value, "born") if choice(value, "age") else ["estimatedAge"]))


def observation(value: Object, random: Random) -> None:
    """obs-6, obs-7."""
    if not choice(value, "value"):
        return
    drop(value, "dataAbsentReason")
    own = value.get("code", {}).get("coding", [])
    for component in value.get("component", ()):
        if any(coding in own for coding in component.get("code", {}).get("coding", ())):
            put(component, code=dict(CODED))


def questionnaire(value: Object, random: Random) -> None:
    """que-2."""
    for number, item in enumerate(below(value, "item")):
        put(item, linkId=f"{number}")


def item(value: Object, random: Random) -> None:
    """que-1 to que-13."""
    if has(value, "item"):
        put(value, type="group")
        drop(value, "answerOption", "answerValueSet", "initial", "maxLength")
    else:
        put(value, type=random.choice(("string", "integer", "decimal", "open-choice")))
    if value["type"] == "integer":
        drop(value, "maxLength") if random.random() < 0.5 else None
    if has(value, "answerOption"):
        drop(value, "answerValueSet", "initial")
    if len(value.get("initial", ())) > 1:
        put(value, repeats=True)
    needs("enableWhen", enableBehavior="all")(value, random)


def when(value: Object, random: Random) -> None:
    """que-7."""
    if value.get("operator") == "exists":
        drop(value, *choice(value, "answer"))
        put(value, answerBoolean=random.random() < 0.5)


def list_of_entries(value: Object, random: Random) -> None:
    """lst-2, lst-3."""
    entries = value.get("entry", ())
    if any(has(entry, "deleted") for entry in entries):
        put(value, mode="changes")
        for entry in entries:
            drop(entry, "date")
    else:
        put(value, mode="working")


def prediction(value: Object, random: Random) -> None:
    """ras-1, ras-2."""
    if "probabilityDecimal" in value:
        put(value, probabilityDecimal=Decimal("99.5"))
    if "probabilityRange" in value:
        put(value, probabilityRange={"low": {"value": 1, "system": UCUM, "code": "%"}})


def structure(value: Object, random: Random) -> None:
    """sdf-1 to sdf-23."""
    drop(value, "snapshot", "contextInvariant", "context")
    element = [{"id": "Patient", "path": "Patient"}, {"id": "Patient.name", "path": "Patient.name", "min": 1}]
    base = "http://hl7.org/fhir/StructureDefinition/Patient"
    put(value, kind="resource", type="Patient", derivation="constraint", baseDefinition=base, abstract=False)
    put(value, url="http://x.example/d", differential={"element": element})


def parameter(value: Object, random: Random) -> None:
    """inv-1."""
    values = choice(value, "value")
    if len(values) + has(value, "resource") + has(value, "part") != 1:
        drop(value, *values, "resource", "part")
        put(value, valueString="x")


def stratifier(value: Object, random: Random) -> None:
    """mea-1."""
    if has(value, "component") == has(value, "code", "description", "criteria"):
        drop(value, "component")
        put(value, description="x")


def include(value: Object, random: Random) -> None:
    """vsd-1 to vsd-3."""
    put(value, system="http://x.example/s")
    if has(value, "concept"):
        drop(value, "filter")


def action(value: Object, random: Random) -> None:
    """tst-1, tst-2: an operation that names its source."""
    drop(value, "assert")
    put(value, operation={"sourceId": "x", "encodeRequestUrl": True})


def terminology(value: Object, random: Random) -> None:
    """tcp-1 to tcp-5."""
    put(value, kind="instance", implementation={"description": "x"})
    for system in value.get("codeSystem", ()):
        for number, version in enumerate(system.get("version", ())):
            put(version, code=f"{number}")


def characteristic(value: Object, random: Random) -> None:
    """evv-1: at most one definition."""
    there = choice(value, "definition")
    kept = random.choice(there) if there else ""
    drop(value, *(name for name in there if name != kept))


def inside_organization(value: Object, random: Random) -> None:
    """org-1 to org-3."""
    for part in (*value.get("address", ()), *value.get("telecom", ())):
        if part.get("use") == "home":
            put(part, use="work")


NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
DOCUMENT = {
    "resourceType": "Composition",
    "status": "final",
    "type": CODED,
    "date": "2020",
    "author": [REFERENCE],
    "title": "x",
}
MESSAGE = {
    "resourceType": "MessageHeader",
    "eventUri": "http://x.example/e",
    "source": {"endpoint": "http://x.example/"},
}
TWO = [{"type": "source", "resource": REFERENCE}, {"type": "alternate", "resource": REFERENCE}]
