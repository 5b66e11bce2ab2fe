"""Which repairs each type of R4 and each part of one needs, so that its invariants hold."""

from __future__ import annotations

from random import Random

from tests.generators import repairs
from tests.generators.words import (
    Object,
    Rule,
    always,
    choice,
    every,
    has,
    needs,
    not_both,
    of_choice,
    one_of,
    put,
    some,
    without,
)

RULES: dict[str, Rule] = {
    "Age": repairs.measured("a"),
    "AllergyIntolerance": repairs.allergy,
    "Appointment": repairs.appointment,
    "Appointment.participant": some("type", actor=repairs.REFERENCE),
    "AppointmentResponse": some("participantType", actor=repairs.REFERENCE),
    "Attachment": every(needs("data", contentType="text/plain"), repairs.attachment),
    "AuditEvent.entity": not_both("name", "query"),
    "Bundle": repairs.bundle,
    "CapabilityStatement": repairs.capability,
    "CarePlan.activity": not_both("detail", "reference"),
    "CodeSystem": repairs.codes,
    "ConceptMap.group.element.target": always(comment="x"),
    "ConceptMap.group.unmapped": always(mode="fixed", code="x"),
    "Condition": repairs.condition,
    "Condition.evidence": some("code", detail=[repairs.REFERENCE]),
    "Condition.stage": some("assessment", summary=repairs.CODED),
    "Consent": some("policy", policyRule=repairs.CODED),
    "ContactPoint": needs("value", system="phone"),
    "Count": repairs.measured("1", 0),
    "CoverageEligibilityResponse.insurance.item": one_of("productOrService", category=repairs.CODED),
    "DataRequirement.codeFilter": one_of("searchParam", path="x"),
    "DataRequirement.dateFilter": one_of("searchParam", path="x"),
    "Distance": repairs.measured("m", 0),
    "Duration": repairs.measured("d", 0),
    "EventDefinition.trigger": repairs.trigger,
    "EvidenceVariable.characteristic": repairs.characteristic,
    "EvidenceVariable.characteristic.definitionByCombination.characteristic": repairs.characteristic,
    "Expression": some("reference", expression="x"),
    "FamilyMemberHistory": repairs.family,
    "Goal.target": of_choice("detail", "measure", repairs.CODED),
    "Group": lambda value, random: put(value, actual=True) if has(value, "member") else None,
    "Immunization.education": some("documentType", reference="http://x.example/"),
    "ImmunizationRecommendation.recommendation": some("vaccineCode", targetDisease=repairs.CODED),
    "ImplementationGuide.definition.resource": without("fhirVersion", "groupingId"),
    "InsurancePlan": some("identifier", name="x"),
    "Linkage": always(item=repairs.TWO),
    "List": every(repairs.list_of_entries, not_both("emptyReason", "entry")),
    "Measure.group.stratifier": repairs.stratifier,
    "MeasureReport": always(type="summary"),
    "MeasureReport.group.stratifier.stratum": one_of("component", value=repairs.CODED),
    "MedicationAdministration.dosage": lambda value, random: (
        None if choice(value, "rate") or has(value, "dose") else put(value, dose={"value": 1})
    ),
    "MedicationDispense": without("whenPrepared"),
    "MessageDefinition.focus": always(max="*"),
    "MolecularSequence": always(coordinateSystem=1),
    "MolecularSequence.referenceSeq": every(
        without("chromosome", "genomeBuild", "referenceSeqId", "referenceSeqPointer"), always(referenceSeqString="ACGT")
    ),
    "NamingSystem": always(kind="identifier"),
    "NamingSystem.uniqueId": without("preferred"),
    "Observation": repairs.observation,
    "Observation.referenceRange": some("low", "high", text="x"),
    "OperationDefinition.parameter": every(some("part", type="string"), without("searchType", "targetProfile")),
    "Composition.section": every(not_both("emptyReason", "entry"), some("entry", "section", text=repairs.NARRATIVE)),
    "Organization": every(some("identifier", name="x"), repairs.inside_organization),
    "Parameters.parameter": repairs.parameter,
    "Patient.contact": some("telecom", "address", "organization", name=repairs.CODED),
    "Period": repairs.period,
    "Quantity": every(needs("code", system=repairs.UCUM), repairs.unit),
    "Questionnaire": repairs.questionnaire,
    "Questionnaire.item": repairs.item,
    "Questionnaire.item.enableWhen": repairs.when,
    "QuestionnaireResponse.item": not_both("answer", "item"),
    "Range": repairs.ordered_range,
    "Ratio": repairs.ratio,
    "RequestGroup.action": one_of("action", resource=repairs.REFERENCE),
    "RiskAssessment.prediction": repairs.prediction,
    "SearchParameter": every(needs("xpath", xpathUsage="normal"), needs("chain"), always(type="reference")),
    "ServiceRequest": needs("orderDetail", code=repairs.CODED),
    "StructureDefinition": repairs.structure,
    "StructureMap.group.rule.target": every(needs("element", context="x"), needs("context", contextType="variable")),
    "StructureDefinition.mapping": some("uri", name="x"),
    "Task": without("lastModified"),
    "TerminologyCapabilities": repairs.terminology,
    "TestReport.setup.action": one_of("assert", operation={"result": "pass"}),
    "TestReport.test.action": one_of("assert", operation={"result": "pass"}),
    "TestScript.metadata.capability": lambda value, random: put(value, required=True, validated=True),
    "TestScript.setup.action": repairs.action,
    "TestScript.teardown.action": repairs.action,
    "TestScript.test.action": repairs.action,
    "TestScript.variable": without("expression", "headerField"),
    "Timing.repeat": repairs.repeat,
    "TriggerDefinition": repairs.trigger,
    "ValueSet.compose.include": repairs.include,
    "ValueSet.expansion.contains": always(system="http://x.example/s", code="x", display="x"),
}


def repair(path: str, value: Object, random: Random) -> None:
    """The value such that the invariants of its type hold."""
    rule = RULES.get(path)
    if rule is not None:
        rule(value, random)
