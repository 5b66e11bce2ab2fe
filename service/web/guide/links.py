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
SYSTEMS = {
    "http://loinc.org": "LOINC",
    "http://snomed.info/sct": "SNOMED CT",
    "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl": "NCI Thesaurus",
    "http://hl7.org/fhir/sid/icd-10": "ICD-10",
    "http://terminology.hl7.org/CodeSystem/icd-o-3": "ICD-O-3",
    "http://terminology.hl7.org/CodeSystem/mdr": "MedDRA",
    "http://www.whocc.no/atc": "ATC",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
    "http://hl7.org/fhir/administrative-gender": "administrative gender",
}


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
    if url in SYSTEMS:
        return Link(SYSTEMS[url])
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
