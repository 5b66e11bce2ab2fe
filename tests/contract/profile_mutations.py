"""Changes of the examples of the profiles: those that a profile refuses, with the place and rule, and those it takes.

The first bad example of each rule is a file that the guide shows (fhir_profiles/bad); here are more of them.

A change maps a path to its new value; None removes what stands there.
"""

from __future__ import annotations

from typing import Any

Changes = dict[str, Any]
OWN = "https://cart-fhir.example/fhir"
NCIT = "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"
UCUM = "http://unitsofmeasure.org"
REASON = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}
OTHER = {"extension": [{"url": "https://elsewhere.example/remark", "valueString": "no date"}]}


def concept(code: str, system: str = f"{OWN}/CodeSystem/trial-concept") -> dict[str, Any]:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code}]}


def extension(name: str, **value: Any) -> dict[str, Any]:
    """An extension of ours."""
    return {"url": f"{OWN}/StructureDefinition/{name}", **value}


# example, changes, expression of the issue, its rule
REFUSED: list[tuple[str, Changes, str, str]] = [
    # Patient
    ("example-patient-2", {"address": [{"city": "Istanbul"}]}, "Patient.address", "cardinality-max"),
    ("example-patient-2", {"telecom": [{"system": "phone", "value": "0"}]}, "Patient.telecom", "cardinality-max"),
    ("example-patient-2", {"_birthDate": None}, "Patient.birthDate", "element-required"),
    ("example-patient-2", {"identifier": None}, "Patient.identifier", "element-required"),
    # Study, participation, consent, cohort
    ("example-study", {"title": None}, "ResearchStudy.title", "element-required"),
    ("example-research-subject-2", {"identifier": None}, "ResearchSubject.identifier", "element-required"),
    ("example-consent-2", {"patient": None}, "Consent.patient", "element-required"),
    ("example-consent-2", {"_dateTime": None}, "Consent.dateTime", "element-required"),
    ("example-group-treated-all", {"quantity": None}, "Group.quantity", "element-required"),
    ("example-group-treated-all", {"code": concept("bridging")}, "Group.code.coding", "binding-required"),
    # Disease
    ("example-condition-2", {"code": None}, "Condition.code", "element-required"),
    # Procedures
    ("example-leukapheresis-2", {"_performedDateTime": OTHER}, "Procedure", "cf-performed"),
    ("example-infusion-2", {"status": "not-done"}, "Procedure", "cf-infusion-product"),
    ("example-infusion-2", {"code.coding[0]": None}, "Procedure.code", "pattern-value"),
    ("example-hsct-2", {"category": concept("bridging")}, "Procedure.category", "pattern-value"),
    ("example-hsct-2", {"category": OTHER}, "Procedure.category", "cf-code-or-text"),
    ("example-radiotherapy", {"category": OTHER}, "Procedure.category", "cf-code-or-text"),
    ("example-radiotherapy", {"category": concept("restricted")}, "Procedure.category.coding", "binding-required"),
    # Drugs
    ("example-therapy-2", {"extension": None}, "MedicationStatement.extension", "slice-required"),
    ("example-dose-2", {"dosage.dose.system": "urn:units"}, "MedicationAdministration.dosage.dose", "cf-unit"),
    ("example-dose-2", {"dosage.dose.code": "mg"}, "MedicationAdministration", "cf-cell-dose"),
    (
        "example-tocilizumab-2",
        {"reasonCode": None, "reasonReference": None},
        "MedicationAdministration",
        "cf-toxicity-reason",
    ),
    # Product and specimen
    ("example-product-2", {"extension": None}, "BiologicallyDerivedProduct.extension", "slice-required"),
    ("example-product-2", {"collection.source": None}, "BiologicallyDerivedProduct", "cf-product-source"),
    ("example-product-2", {"identifier": None}, "BiologicallyDerivedProduct.identifier", "element-required"),
    ("example-product-2", {"status": None}, "BiologicallyDerivedProduct.status", "element-required"),
    ("example-product-failed", {"status": "available"}, "BiologicallyDerivedProduct", "cf-product-failed"),
    ("example-specimen-synthetic", {"identifier": None}, "Specimen.identifier", "element-required"),
    # Laboratory
    (
        "example-ldh-2",
        {"valueQuantity.unit": "U/L", "valueQuantity._unit": None},
        "Observation.valueQuantity",
        "cf-unit",
    ),
    (
        "example-ldh-2",
        {"valueQuantity.system": UCUM, "valueQuantity.code": "U/L"},
        "Observation.valueQuantity",
        "cf-unit",
    ),
    ("example-crp-synthetic", {"valueQuantity.system": "urn:units"}, "Observation.valueQuantity", "cf-unit"),
    ("example-crp-synthetic", {"valueQuantity.value": None}, "Observation.valueQuantity.value", "element-required"),
    ("example-crp-synthetic", {"effectiveDateTime": None}, "Observation.effective", "element-required"),
    ("example-crp-synthetic", {"category": None}, "Observation.category", "slice-required"),
    ("example-crp-2", {"subject.reference": "Device/1"}, "Observation.subject.reference", "reference-target"),
    ("example-chimerism-2", {"valueQuantity.code": "1"}, "Observation.valueQuantity.code", "pattern-value"),
    # Grades and responses
    ("example-crs-grade-2", {"focus": None}, "Observation.focus", "element-required"),
    (
        "example-crs-grade-2",
        {"valueCodeableConcept": concept("C4870", NCIT)},
        "Observation.valueCodeableConcept.coding",
        "binding-required",
    ),
    ("example-ice-synthetic", {"component[6].valueInteger": 2}, "Observation", "cf-ice-range"),
    ("example-ice-synthetic", {"component[7]": None}, "Observation.component", "slice-required"),
    ("example-response-2", {"method": None}, "Observation.method", "element-required"),
    # Other observations
    ("example-age-2", {"code": {"text": "Age"}}, "Observation.code.coding", "binding-required"),
    # Adverse events
    ("example-crs-2", {"outcome.coding[0].code": "fatal", "extension[1]": None}, "AdverseEvent", "cf-fatal"),
    ("example-crs-2", {"outcome": None}, "AdverseEvent.outcome", "element-required"),
    ("example-crs-2", {"_date": None}, "AdverseEvent.date", "element-required"),
    # Bookkeeping
    ("example-issue-unit", {"detail": None}, "DetectedIssue.detail", "element-required"),
    ("example-issue-unit", {"severity": None}, "DetectedIssue.severity", "element-required"),
    ("example-issue-unit", {"code": {"text": "odd"}}, "DetectedIssue.code.coding", "binding-required"),
    ("example-provenance-ldh-2", {"policy": None}, "Provenance.policy", "element-required"),
    ("example-report-response-rate", {"group": None}, "MeasureReport.group", "element-required"),
    (
        "example-report-response-rate",
        {"group[0].stratifier[0].stratum[1].measureScore.value": 0.8},
        "MeasureReport.group[0].stratifier[0].stratum[1]",
        "cf-score",
    ),
    ("example-report-response-rate", {"group[0].population[2].count": 8}, "MeasureReport.group[0]", "cf-numerator"),
    (
        "example-report-response-rate",
        {"group[0].population[2]": None},
        "MeasureReport.group[0].population",
        "slice-required",
    ),
]

ACCEPTED: list[tuple[str, Changes]] = [
    ("example-patient-2", {"_birthDate": None, "birthDate": "1998"}),
    ("example-patient-2", {"identifier[1]": {"system": f"{OWN}/identifier/crid", "value": "1234567"}}),
    ("example-patient-2", {"meta.security[0].code": "V"}),
    ("example-consent-2", {"_dateTime": None, "dateTime": "2020-01-07"}),
    ("example-condition-2", {"code": {"text": "Double-hit lymphoma"}}),
    ("example-condition-2", {"subject.reference": "Group/example-group-treated-all"}),
    (
        "example-infusion-2",
        {"_performedDateTime": None, "performedPeriod": {"start": "2020-03-09", "end": "2020-03-11"}},
    ),
    ("example-infusion-2", {"status": "not-done", "extension": None, "_performedDateTime": None}),
    ("example-hsct-2", {"status": "not-done", "_performedDateTime": None}),
    ("example-radiotherapy", {"category": concept("bridging"), "extension": None}),
    ("example-therapy-2", {"medicationCodeableConcept": {"text": "Blinatumomab"}}),
    ("example-dose-2", {"dosage.dose.value": 0.5}),
    ("example-tocilizumab-2", {"reasonCode": None}),
    ("example-product-2", {"status": "unavailable"}),
    ("example-ldh-2", {"valueQuantity": {"value": 207, "unit": "U/L", "system": UCUM, "code": "U/L"}}),
    ("example-ldh-2", {"valueQuantity": {"value": 207, "comparator": "<", "system": UCUM, "code": "U/L"}}),
    ("example-ldh-2", {"valueQuantity": None, "dataAbsentReason": concept("not-performed", "urn:s")}),
    ("example-crp-synthetic", {"effectiveDateTime": None, "effectivePeriod": {"start": "2020-03-02"}}),
    ("example-age-2", {"valueQuantity": None, "valueQuantity.value": 22, "valueQuantity._unit": REASON}),
    ("example-age-2", {"valueQuantity": None, "valueCodeableConcept": {"text": "adult"}}),
    ("example-crp-synthetic", {"effectiveDateTime": None, "effectiveInstant": "2020-03-02T07:45:00+03:00"}),
    ("example-chimerism-2", {"valueQuantity.value": 0}),
    ("example-chimerism-2", {"valueQuantity.value": 99.5}),
    ("example-crs-grade-2", {"method": concept("ctcae-5", f"{OWN}/CodeSystem/grading-method")}),
    (
        "example-crs-2",
        {
            "extension[0]": extension("adverse-event-grade", valueCodeableConcept=concept("C48275", NCIT)),
            "extension[1]": extension("suspect-product", valueReference={"reference": "BiologicallyDerivedProduct/x"}),
            "outcome.coding[0].code": "fatal",
        },
    ),
    ("example-crs-2", {"_date": None, "date": "2020-03-12T14:00:00+03:00"}),
    (
        "example-report-response-rate",
        {"group[0].measureScore": None, "group[0].population[1].count": 0, "group[0].population[2].count": 0},
    ),
    ("example-crs-2", {"seriousness": {"text": "Prolonged the stay in hospital"}}),
    ("example-infusion-contained", {"contained[0].collection": None}),
    ("example-viability-synthetic", {"valueQuantity": {"value": 93.5, "_unit": REASON}}),
    (
        "example-cd19-synthetic",
        {"code.coding[0].code": "8116-6", "valueQuantity.value": 412, "valueQuantity.code": "/uL"},
    ),
    ("example-cd19-synthetic", {"specimen": REASON}),
    ("example-tocilizumab-2", {"reasonReference": None}),
]
