"""Changes of the examples of the profiles: those that a profile refuses, with the place and rule, and those it takes.

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
    ("example-patient-2", {"name": [{"family": "Yılmaz"}]}, "Patient.name", "cardinality-max"),
    ("example-patient-2", {"address": [{"city": "Istanbul"}]}, "Patient.address", "cardinality-max"),
    ("example-patient-2", {"telecom": [{"system": "phone", "value": "0"}]}, "Patient.telecom", "cardinality-max"),
    ("example-patient-2", {"_birthDate": None}, "Patient.birthDate", "element-required"),
    ("example-patient-2", {"_birthDate": OTHER}, "Patient", "cf-birth-date"),
    ("example-patient-2", {"gender": None}, "Patient.gender", "element-required"),
    ("example-patient-2", {"identifier": None}, "Patient.identifier", "element-required"),
    ("example-patient-2", {"identifier[0].system": "urn:other"}, "Patient.identifier", "slice-required"),
    ("example-patient-2", {"identifier[0].value": "Ayşe Yılmaz"}, "Patient.identifier[0]", "cf-pseudonym"),
    (
        "example-patient-2",
        {"identifier[0].type": concept("MR", "http://terminology.hl7.org/CodeSystem/v2-0203")},
        "Patient.identifier[0]",
        "cf-no-record-number",
    ),
    # Study, participation, consent, cohort
    ("example-study", {"identifier[0].value": "NCT4206943"}, "ResearchStudy.identifier[0].value", "cf-nct"),
    ("example-study", {"identifier[0]": None}, "ResearchStudy.identifier", "slice-required"),
    ("example-study", {"title": None}, "ResearchStudy.title", "element-required"),
    ("example-research-subject-2", {"consent": None}, "ResearchSubject.consent", "element-required"),
    ("example-research-subject-2", {"identifier": None}, "ResearchSubject.identifier", "element-required"),
    ("example-consent-2", {"scope": concept("treatment", "urn:s")}, "Consent.scope", "pattern-value"),
    ("example-consent-2", {"patient": None}, "Consent.patient", "element-required"),
    ("example-consent-2", {"_dateTime": None}, "Consent.dateTime", "element-required"),
    ("example-consent-2", {"_dateTime": OTHER}, "Consent", "cf-consent-date"),
    ("example-group-treated-all", {"actual": False, "member": None}, "Group.actual", "pattern-value"),
    ("example-group-treated-all", {"quantity": None}, "Group.quantity", "element-required"),
    ("example-group-treated-all", {"code": concept("bridging")}, "Group.code.coding", "binding-required"),
    ("example-group-treated-all", {"quantity": 0}, "Group", "cf-members"),
    (
        "example-group-treated-all",
        {"member[1]": {"entity": {"reference": "Patient/example-patient-2"}}},
        "Group",
        "cf-member-once",
    ),
    # Disease
    ("example-condition-2", {"clinicalStatus": None}, "Condition", "cf-clinical-status"),
    ("example-condition-2", {"code": {"coding": [{"system": "urn:s", "code": "x"}]}}, "Condition.code", "cf-disease"),
    ("example-condition-2", {"code": None}, "Condition.code", "element-required"),
    # Procedures
    ("example-leukapheresis-2", {"_performedDateTime": None}, "Procedure", "cf-performed"),
    ("example-leukapheresis-2", {"_performedDateTime": OTHER}, "Procedure", "cf-performed"),
    ("example-leukapheresis-2", {"category": OTHER}, "Procedure.category", "cf-code-or-text"),
    ("example-leukapheresis-2", {"code": concept("car-t-infusion")}, "Procedure.code", "pattern-value"),
    ("example-infusion-2", {"extension": None}, "Procedure", "cf-infusion-product"),
    ("example-infusion-2", {"status": "not-done"}, "Procedure", "cf-infusion-product"),
    ("example-infusion-2", {"_performedDateTime": None}, "Procedure", "cf-performed"),
    ("example-infusion-2", {"category": OTHER}, "Procedure.category", "cf-code-or-text"),
    ("example-infusion-2", {"code.coding[0]": None}, "Procedure.code", "pattern-value"),
    (
        "example-hsct-2",
        {"code": concept("77465005", "http://snomed.info/sct")},
        "Procedure.code.coding",
        "binding-required",
    ),
    ("example-hsct-2", {"category": concept("bridging")}, "Procedure.category", "pattern-value"),
    ("example-hsct-2", {"_performedDateTime": None}, "Procedure", "cf-performed"),
    ("example-hsct-2", {"category": OTHER}, "Procedure.category", "cf-code-or-text"),
    ("example-radiotherapy", {"extension": None}, "Procedure", "cf-line"),
    ("example-radiotherapy", {"performedPeriod": None}, "Procedure", "cf-performed"),
    ("example-radiotherapy", {"category": OTHER}, "Procedure.category", "cf-code-or-text"),
    ("example-radiotherapy", {"category": concept("restricted")}, "Procedure.category.coding", "binding-required"),
    # Drugs
    ("example-therapy-2", {"extension": None}, "MedicationStatement.extension", "slice-required"),
    ("example-therapy-2", {"_effectiveDateTime": OTHER}, "MedicationStatement", "cf-effective"),
    (
        "example-therapy-2",
        {"medicationCodeableConcept": OTHER},
        "MedicationStatement.medicationCodeableConcept",
        "cf-code-or-text",
    ),
    ("example-dose-2", {"dosage.dose.value": 530}, "MedicationAdministration", "cf-cell-dose"),
    ("example-dose-2", {"dosage.dose.system": "urn:units"}, "MedicationAdministration.dosage.dose", "cf-unit"),
    ("example-dose-2", {"dosage.dose.code": "mg"}, "MedicationAdministration", "cf-cell-dose"),
    ("example-dose-2", {"_effectiveDateTime": OTHER}, "MedicationAdministration", "cf-effective"),
    (
        "example-dose-2",
        {"medicationCodeableConcept": OTHER},
        "MedicationAdministration.medicationCodeableConcept",
        "cf-code-or-text",
    ),
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
    (
        "example-product-2",
        {"extension[0].valueCodeableConcept.coding[0].code": "quarantined"},
        "BiologicallyDerivedProduct",
        "cf-product-unreleased",
    ),
    ("example-product-failed", {"status": "available"}, "BiologicallyDerivedProduct", "cf-product-failed"),
    ("example-product-failed", {"extension[1]": None}, "BiologicallyDerivedProduct", "cf-product-failed"),
    ("example-specimen-synthetic", {"type": None}, "Specimen.type", "element-required"),
    ("example-specimen-synthetic", {"identifier": None}, "Specimen.identifier", "element-required"),
    # Laboratory
    ("example-ldh-2", {"valueQuantity._unit": None}, "Observation.valueQuantity", "cf-unit"),
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
    ("example-crp-synthetic", {"valueQuantity": None}, "Observation", "cf-value-or-reason"),
    ("example-crp-synthetic", {"effectiveDateTime": None}, "Observation.effective", "element-required"),
    ("example-crp-synthetic", {"code": {"text": "CRP"}}, "Observation.code", "cf-loinc"),
    ("example-crp-synthetic", {"category": None}, "Observation.category", "slice-required"),
    ("example-ferritin-2", {"_effectiveDateTime": OTHER}, "Observation", "cf-effective"),
    ("example-crp-2", {"subject.reference": "Device/1"}, "Observation.subject.reference", "reference-target"),
    ("example-chimerism-2", {"valueQuantity.value": 101}, "Observation.valueQuantity", "cf-percent"),
    ("example-chimerism-2", {"valueQuantity.code": "1"}, "Observation.valueQuantity.code", "pattern-value"),
    ("example-chimerism-2", {"valueQuantity": None}, "Observation", "cf-value-or-reason"),
    ("example-chimerism-2", {"_effectiveDateTime": OTHER}, "Observation", "cf-effective"),
    # Grades and responses
    ("example-crs-grade-2", {"method": None}, "Observation.method", "element-required"),
    ("example-crs-grade-2", {"method": {"text": "own"}}, "Observation.method.coding", "binding-required"),
    ("example-crs-grade-2", {"focus": None}, "Observation.focus", "element-required"),
    ("example-crs-grade-2", {"_effectiveDateTime": OTHER}, "Observation", "cf-effective"),
    (
        "example-crs-grade-2",
        {"valueCodeableConcept": concept("C4870", NCIT)},
        "Observation.valueCodeableConcept.coding",
        "binding-required",
    ),
    (
        "example-crs-grade-2",
        {"code": concept("cres-grade"), "method": concept("astct-2019", f"{OWN}/CodeSystem/grading-method")},
        "Observation",
        "cf-grade-scale",
    ),
    ("example-crs-grade-2", {"device": {"display": "calculator"}}, "Observation", "cf-grade-derived"),
    ("example-ice-synthetic", {"valueInteger": 9}, "Observation", "cf-ice-sum"),
    ("example-ice-synthetic", {"component[6].valueInteger": 2}, "Observation", "cf-ice-range"),
    ("example-ice-synthetic", {"component[7]": None}, "Observation.component", "slice-required"),
    ("example-ice-synthetic", {"effectiveDateTime": None, "_effectiveDateTime": OTHER}, "Observation", "cf-effective"),
    ("example-response-2", {"focus": None}, "Observation.focus", "element-required"),
    ("example-response-2", {"method": None}, "Observation.method", "element-required"),
    ("example-response-2", {"_effectiveDateTime": OTHER}, "Observation", "cf-effective"),
    (
        "example-response-2",
        {"valueCodeableConcept": {"text": "CR"}},
        "Observation.valueCodeableConcept.coding",
        "binding-required",
    ),
    # Other observations
    ("example-age-2", {"valueQuantity.value": 220}, "Observation", "cf-age"),
    ("example-age-2", {"valueQuantity.code": None}, "Observation.valueQuantity", "cf-unit"),
    ("example-age-2", {"valueQuantity": None}, "Observation", "cf-value-or-reason"),
    ("example-age-2", {"_effectiveDateTime": OTHER}, "Observation", "cf-effective"),
    ("example-age-2", {"code": {"text": "Age"}}, "Observation.code.coding", "binding-required"),
    # Adverse events
    ("example-crs-2", {"outcome.coding[0].code": "fatal", "extension[1]": None}, "AdverseEvent", "cf-fatal"),
    (
        "example-crs-2",
        {"extension[0].valueCodeableConcept.coding[0].code": "C48275"},
        "AdverseEvent",
        "cf-fatal",
    ),
    ("example-crs-2", {"outcome.coding[0].code": "ongoing"}, "AdverseEvent", "cf-resolved"),
    ("example-crs-2", {"outcome": None}, "AdverseEvent.outcome", "element-required"),
    ("example-crs-2", {"_date": OTHER}, "AdverseEvent", "cf-event-date"),
    ("example-crs-2", {"_date": None}, "AdverseEvent.date", "element-required"),
    ("example-crs-2", {"event": OTHER}, "AdverseEvent.event", "cf-code-or-text"),
    (
        "example-crs-2",
        {"seriousness": concept("Serious", "http://terminology.hl7.org/CodeSystem/adverse-event-seriousness")},
        "AdverseEvent",
        "cf-serious",
    ),
    # Bookkeeping
    ("example-issue-unit", {"implicated": None}, "DetectedIssue.implicated", "element-required"),
    ("example-issue-unit", {"detail": None}, "DetectedIssue.detail", "element-required"),
    ("example-issue-unit", {"severity": None}, "DetectedIssue.severity", "element-required"),
    ("example-issue-unit", {"code": {"text": "odd"}}, "DetectedIssue.code.coding", "binding-required"),
    ("example-provenance-ldh-2", {"entity": None}, "Provenance.entity", "element-required"),
    ("example-provenance-ldh-2", {"policy": None}, "Provenance.policy", "element-required"),
    ("example-provenance-ldh-2", {"entity[0].extension": None}, "Provenance.entity[0]", "cf-source-cell"),
    ("example-report-response-rate", {"group": None}, "MeasureReport.group", "element-required"),
    ("example-report-response-rate", {"group[0].measureScore.value": 0.72}, "MeasureReport.group[0]", "cf-score"),
    (
        "example-report-response-rate",
        {"group[0].stratifier[0].stratum[1].measureScore.value": 0.8},
        "MeasureReport.group[0].stratifier[0].stratum[1]",
        "cf-score",
    ),
    ("example-report-response-rate", {"group[0].population[2].count": 8}, "MeasureReport.group[0]", "cf-numerator"),
    ("example-report-response-rate", {"group[0].population[0].count": 6}, "MeasureReport.group[0]", "cf-population"),
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
    ("example-report-response-rate", {"group[0].measureScore": None, "group[0].population[1].count": 6}),
]
