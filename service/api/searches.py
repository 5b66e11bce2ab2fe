"""Worked searches for Swagger: what a trial asks of the store, each an operation of its own."""

from __future__ import annotations

from service.api.answers import FOUND
from service.api.examples import COUNT, Operation, Parameter


def typed(name: str, type_: str, summary: str, text: str, *parameters: Parameter) -> tuple[str, str, Operation]:
    """A search of one type as an operation of its own: (operation id, path, operation)."""
    found = Operation(summary, text, "Worked searches", (*parameters, COUNT), errors=(400, 406), answer=FOUND)
    return name, f"/fhir/{type_}", found


SEARCHES = (
    typed(
        "searchFerritin",
        "Observation",
        "Ferritin above 1000",
        "Laboratory values by code and quantity, with the patient of each. The paper prints no unit for them, so the "
        "search names none; for a hospital's values it would be `gt1000|http://unitsofmeasure.org|ng/mL`.",
        Parameter("code", "system|code", "http://loinc.org|2276-4"),
        Parameter("value-quantity", "prefix, number|system|unit", "gt1000"),
        Parameter("_include", "also the resources referred to", "Observation:subject"),
    ),
    typed(
        "searchInfusions",
        "Procedure",
        "CAR-T infusions",
        "By the project's own code, the latest first.",
        Parameter("code", "system|code", "https://cart-fhir.example/fhir/CodeSystem/trial-concept|car-t-infusion"),
    ),
    typed(
        "searchDiagnoses",
        "Condition",
        "Acute lymphoblastic leukaemia",
        "By ICD-10 code.",
        Parameter("code", "system|code", "http://hl7.org/fhir/sid/icd-10|C91.0"),
    ),
    typed(
        "searchIssues",
        "DetectedIssue",
        "What is doubtful in the data",
        "Contradictions and implausible values that the import found, each with its evidence.",
    ),
    typed(
        "searchProducts",
        "BiologicallyDerivedProduct",
        "CAR-T products",
        "The manufactured products, the failed batches included.",
    ),
)
