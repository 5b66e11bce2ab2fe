"""Resources in JSON and documents in XML that mean the same, written by hand from the rules of R4."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from service.fhir.json import encode

DEPTH = 64
FHIR = 'xmlns="http://hl7.org/fhir"'
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
ABSENT_URL = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
ABSENT = {"extension": [{"url": ABSENT_URL, "valueCode": "unknown"}]}
ABSENT_XML = f'<extension url="{ABSENT_URL}"><valueCode value="unknown"/></extension>'


def exact(value: Any) -> bytes:
    """The JSON text with sorted keys: 1.0 is not 1.00 and true is not 1."""

    def ordered(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: ordered(part[name]) for name in sorted(part)}
        return [ordered(item) for item in part] if isinstance(part, list) else part

    return encode(ordered(value))


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "Ferritin"}, **elements}


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": part} for part in resources]}


def document(content: str, root: str = "Patient") -> bytes:
    return f"<{root} {FHIR}>{content}</{root}>".encode()


KNOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "attributes": (
        f'<Patient {FHIR}><id value="p"/><extension id="e" url="urn:e"><valueDate value="2020"/></extension>'
        '<active value="true"/><multipleBirthInteger value="2"/></Patient>',
        patient(
            id="p",
            extension=[{"id": "e", "url": "urn:e", "valueDate": "2020"}],
            active=True,
            multipleBirthInteger=2,
        ),
    ),
    "order": (
        f'<Observation {FHIR}><id value="o"/><meta><versionId value="1"/><profile value="urn:p"/></meta>'
        '<language value="tr"/><status value="final"/>'
        '<code><coding><system value="urn:s"/><code value="c"/></coding>'
        '<text value="t"/></code><valueQuantity><value value="1.50"/><unit value="mg/L"/></valueQuantity>'
        "</Observation>",
        {
            "valueQuantity": {"unit": "mg/L", "value": Decimal("1.50")},
            "code": {"text": "t", "coding": [{"code": "c", "system": "urn:s"}]},
            "status": "final",
            "language": "tr",
            "meta": {"profile": ["urn:p"], "versionId": "1"},
            "id": "o",
            "resourceType": "Observation",
        },
    ),
    "primitive-extensions": (
        f'<Patient {FHIR}><name><given>{ABSENT_XML}</given><given id="g" value="Ayşe"/><given value="Su"/></name>'
        f"<birthDate>{ABSENT_XML}</birthDate></Patient>",
        patient(
            name=[{"given": [None, "Ayşe", "Su"], "_given": [ABSENT, {"id": "g"}, None]}],
            _birthDate=ABSENT,
        ),
    ),
    "contained": (
        f'<Observation {FHIR}><text><status value="generated"/><div {XHTML}><b>a</b></div></text>'
        '<contained><Patient><id value="a"/></Patient></contained><contained><Device><id value="b"/></Device>'
        '</contained><status value="final"/><code><text value="c"/></code><subject><reference value="#a"/></subject>'
        "</Observation>",
        {
            "resourceType": "Observation",
            "text": {"status": "generated", "div": f"<div {XHTML}><b>a</b></div>"},
            "contained": [{"resourceType": "Patient", "id": "a"}, {"resourceType": "Device", "id": "b"}],
            "status": "final",
            "code": {"text": "c"},
            "subject": {"reference": "#a"},
        },
    ),
    "bundle": (
        f'<Bundle {FHIR}><type value="transaction"/><entry><fullUrl value="urn:uuid:1"/><resource><Patient/>'
        '</resource><request><method value="POST"/><url value="Patient"/></request></entry></Bundle>',
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "fullUrl": "urn:uuid:1",
                    "resource": {"resourceType": "Patient"},
                    "request": {"method": "POST", "url": "Patient"},
                }
            ],
        },
    ),
    "escapes": (
        f'<Patient {FHIR}><name><text value="&lt;a&gt; &amp; &quot;b&quot;&#10;&#9;\'"/></name></Patient>',
        patient(name=[{"text": '<a> & "b"\n\t\''}]),
    ),
}
