"""Where a canonical leads: to a page of the guide, to the R4 specification, or nowhere.

Source of the addresses: https://hl7.org/fhir/R4/
"""

from __future__ import annotations

from dataclasses import dataclass

from service.conformance.records import CORE, canonical
from service.web.guide.content import Guide

R4 = "http://hl7.org/fhir/R4/"
DATA_TYPES = frozenset(
    "Address Age Annotation Attachment CodeableConcept Coding ContactPoint Count Distance Duration HumanName "
    "Identifier Money Period Quantity Range Ratio SampledData Signature SimpleQuantity Timing base64Binary boolean "
    "canonical code date dateTime decimal id instant integer markdown oid positiveInt string time unsignedInt uri "
    "url uuid".split()
)
SPECIAL = {
    "Extension": "extensibility.html#Extension",
    "Meta": "resource.html#Meta",
    "Narrative": "narrative.html",
    "Reference": "references.html#Reference",
    "Dosage": "dosage.html",
    "Element": "element.html",
    "BackboneElement": "backboneelement.html",
}
META_DATA_TYPES = frozenset(
    "ContactDetail Contributor DataRequirement Expression ParameterDefinition RelatedArtifact TriggerDefinition "
    "UsageContext".split()
)


@dataclass(frozen=True, slots=True)
class Link:
    """A text, and where it leads: '' for nowhere."""

    text: str
    href: str = ""


def to_type(code: str) -> Link:
    """A type of R4 by its name."""
    if code in SPECIAL:
        return Link(code, R4 + SPECIAL[code])
    if code in DATA_TYPES:
        return Link(code, f"{R4}datatypes.html#{code}")
    if code in META_DATA_TYPES:
        return Link(code, f"{R4}metadatatypes.html#{code}")
    return Link(code, f"{R4}{code.lower()}.html" if code[:1].isupper() else "")


def to(guide: Guide, url: str) -> Link:
    """A definition by its canonical."""
    found = guide.by_url.get(canonical(url))
    if found is not None:
        return Link(found.title, found.href)
    name = canonical(url).rpartition("/")[2]
    if url.startswith(CORE):
        if name[:1].isupper():
            return to_type(name)
        return Link(name, f"{R4}extension-{name.lower()}.html" if "-" in name else to_type(name).href)
    if url.startswith("http://hl7.org/fhir/ValueSet/"):
        return Link(name, f"{R4}valueset-{name}.html")
    if url.startswith("http://hl7.org/fhir/SearchParameter/"):
        return Link(name, f"{R4}searchparameter-registry.html")
    return Link(canonical(url))
