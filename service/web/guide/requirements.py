"""What the trial asks of each resource, which profiles hold it, and what no single resource can say.

Source: the profile table of the domain reference; a rule that needs several resources belongs to the service's trial
rules, since an invariant sees one resource.
"""

from __future__ import annotations

from dataclasses import dataclass

SEVERAL = "needs several resources, which an invariant does not see: left to the service's trial rules"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row: the resource, its profiles (ids), what is asked, and (what, why) of that which the profiles leave."""

    resource: str
    profiles: tuple[str, ...]
    asks: str
    left: tuple[tuple[str, str], ...] = ()


REQUIREMENTS = (
    Requirement(
        "Patient",
        ("trial-patient",),
        "A pseudonym, ids of CIBMTR (crid) and EBMT where there are any, sex, birth date or the reason for its "
        "absence; no name, address or telecom; a security label.",
    ),
    Requirement(
        "ResearchStudy, ResearchSubject",
        ("trial-study", "trial-research-subject"),
        "Identifiers, status, consent; the registry number is NCT and eight digits.",
        (("One ResearchSubject for each study and individual", SEVERAL),),
    ),
    Requirement(
        "Consent",
        ("trial-consent",),
        "Status, scope research, category, patient, date or reason; an active consent permits.",
        (("Active before an infusion, where both dates are known", SEVERAL),),
    ),
    Requirement(
        "Condition",
        ("trial-condition",),
        "A code of ICD-10 or ICD-O-3, or the words of the source; clinical status; subject.",
    ),
    Requirement(
        "Procedure",
        ("leukapheresis", "car-t-infusion", "prior-hsct", "prior-radiotherapy"),
        "Status, category, code, subject, time or reason; a completed infusion names the product; a product that the "
        "infusion contains comes from the same subject and has not failed.",
        (("A product that is referred to comes from the subject of the infusion, and has not failed", SEVERAL),),
    ),
    Requirement(
        "Observation: laboratory",
        ("laboratory-result",),
        "Category laboratory, LOINC code, subject, time or reason, value or reason; UCUM system and code, or the unit "
        "unknown, never both.",
    ),
    Requirement(
        "Observation: grade",
        ("toxicity-grade",),
        "Value, exactly one method, focus; a calculated grade names what it was derived from; no grade is converted.",
        (("The grade on the AdverseEvent is that of the Observation which focuses on it", SEVERAL),),
    ),
    Requirement("Observation: ICE", ("ice-score",), "Eight items in their ranges; their sum is the score."),
    Requirement(
        "Observation: response",
        ("treatment-response",),
        "LOINC 97509-4, an NCIt value, the disease in focus, the criteria.",
    ),
    Requirement(
        "Observation: chimerism, CD19, vector copies",
        ("donor-chimerism", "cd19-cells", "car-t-measurement"),
        "The specimen; shares lie between 0 and 100 %.",
        (
            (
                "A chimerism without a specimen is accepted",
                "the published report names no specimen for any of them; must-support",
            ),
        ),
    ),
    Requirement(
        "Observation: other",
        ("trial-observation",),
        "Age and facts without a profile of their own, of a subject or a group: value or reason, time or reason.",
    ),
    Requirement(
        "Specimen, BiologicallyDerivedProduct",
        ("trial-specimen", "car-t-product"),
        "Identifiers (lot, donation number, Single European Code), the subject of the collection, the release status; "
        "what failed or was not released is unavailable, hence not infused.",
        (
            (
                "A released product without release results is reported, not refused",
                "the published report prints no results for any batch; a warning",
            ),
            ("No infusion refers to a product that failed", SEVERAL),
        ),
    ),
    Requirement(
        "MedicationStatement",
        ("prior-therapy",),
        "One line of therapy with its place in the order and its words.",
    ),
    Requirement(
        "MedicationAdministration",
        ("trial-medication-administration",),
        "Status, drug (ATC, RxNorm) or its words, subject, time or reason; what is given against a toxicity, "
        "tocilizumab always, names its reason; a CAR-T dose in 10*6/kg.",
        (
            ("The fractions of a dose add up to the total", SEVERAL),
            ("The reason of tocilizumab is a cytokine release syndrome of the same patient", SEVERAL),
        ),
    ),
    Requirement(
        "AdverseEvent",
        ("trial-adverse-event",),
        "Actuality, subject, event, outcome, date or reason, grade, end, suspected product, what was done; grade 5 "
        "if, and only if, fatal; what is serious says why.",
        (("The suspected product was given to the same patient", SEVERAL),),
    ),
    Requirement("DetectedIssue", ("trial-detected-issue",), "Code, severity, what is implicated, detail."),
    Requirement(
        "Provenance",
        ("trial-provenance",),
        "Target, time, agent, rule, entity with table, row and column, or the passage.",
        (("Every imported resource is a target", "needs the whole import, which writes both or nothing"),),
    ),
    Requirement("Group", ("trial-group",), "A step of the cohort with its count; each member once."),
    Requirement(
        "MeasureReport",
        ("trial-measure-report",),
        "Measure, counts of the three populations, score = numerator / denominator.",
        (("The counts are those of the stored resources", "the service computes them anew at each request"),),
    ),
    Requirement(
        "Task: registry report",
        ("registry-report",),
        "Plan, form, time point, infusion and subject; a state and the status that belongs to it; a report that is due "
        "has its last day, one that is waived a reason.",
        (("One Task for each subject, form and time point", "its id follows from these three"),),
    ),
)
# What R4 itself does not admit, and what stands in its place.
PITFALLS = (
    (
        "Procedure.usedReference admits no BiologicallyDerivedProduct",
        "the extension infused-product",
    ),
    (
        "MedicationAdministration.medication admits no BiologicallyDerivedProduct",
        "the concept car-t-product, and partOf the infusion that names the product",
    ),
    (
        "AdverseEvent.suspectEntity.instance admits no BiologicallyDerivedProduct",
        "the extension suspect-product",
    ),
    (
        "BiologicallyDerivedProduct has no search parameters",
        "our own: identifier, status, source, release-status",
    ),
    (
        "BiologicallyDerivedProduct.storage.scale spells its code farenheit",
        "kept as R4 has it; the profiles do not use it",
    ),
)
