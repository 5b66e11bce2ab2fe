RuleSet: Served(index, type)
* rest.resource[{index}].type = #{type}
* rest.resource[{index}].interaction[+].code = #read
* rest.resource[{index}].interaction[+].code = #vread
* rest.resource[{index}].interaction[+].code = #search-type
* rest.resource[{index}].interaction[+].code = #create
* rest.resource[{index}].interaction[+].code = #update
* rest.resource[{index}].conditionalCreate = true
* rest.resource[{index}].conditionalUpdate = true

RuleSet: Keeps(index, profile)
* rest.resource[{index}].supportedProfile[+] = "https://cart-fhir.example/fhir/StructureDefinition/{profile}"

RuleSet: Searches(index, code, kind, definition)
* rest.resource[{index}].searchParam[+].name = "{code}"
* rest.resource[{index}].searchParam[=].type = #{kind}
* rest.resource[{index}].searchParam[=].definition = "{definition}"

RuleSet: SearchesOwn(index, type, code, kind)
* insert Searches({index}, {code}, {kind}, https://cart-fhir.example/fhir/SearchParameter/{type}-{code})

Instance: trial-server
InstanceOf: CapabilityStatement
Usage: #definition
* id = "trial-server"
* url = "https://cart-fhir.example/fhir/CapabilityStatement/trial-server"
* version = "0.1.0"
* name = "TrialServer"
* title = "What a server of the trial offers"
* status = #active
* experimental = false
* date = "2026-01-01"
* publisher = "cart-fhir"
* description = "What a client of the trial may count on: profiles that are checked, interactions and searches. Each server states at /fhir/metadata what it offers; cart-fhir offers all of this and more."
* kind = #requirements
* fhirVersion = #4.0.1
* format[0] = #application/fhir+json
* format[1] = #application/fhir+xml
* patchFormat = #application/json-patch+json
* rest.mode = #server
* rest.documentation = "A transaction succeeds or fails as a whole. Every write is checked against the profiles that it claims."
* rest.interaction[0].code = #transaction
* rest.interaction[1].code = #batch
* rest.interaction[2].code = #history-system
* rest.operation[0].name = "process-message"
* rest.operation[0].definition = "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message"
* insert Served(0, Patient)
* insert Keeps(0, trial-patient)
* insert Searches(0, identifier, token, http://hl7.org/fhir/SearchParameter/Patient-identifier)
* insert Served(1, ResearchStudy)
* insert Keeps(1, trial-study)
* insert Searches(1, identifier, token, http://hl7.org/fhir/SearchParameter/ResearchStudy-identifier)
* insert Served(2, ResearchSubject)
* insert Keeps(2, trial-research-subject)
* insert Searches(2, individual, reference, http://hl7.org/fhir/SearchParameter/ResearchSubject-individual)
* insert Searches(2, study, reference, http://hl7.org/fhir/SearchParameter/ResearchSubject-study)
* insert Served(3, Consent)
* insert Keeps(3, trial-consent)
* insert Searches(3, status, token, http://hl7.org/fhir/SearchParameter/Consent-status)
* insert Served(4, Condition)
* insert Keeps(4, trial-condition)
* insert SearchesOwn(4, Condition, disease-status, token)
* insert Served(5, Procedure)
* insert Keeps(5, leukapheresis)
* insert Keeps(5, car-t-infusion)
* insert Keeps(5, prior-hsct)
* insert Keeps(5, prior-radiotherapy)
* insert SearchesOwn(5, Procedure, infused-product, reference)
* insert Served(6, Observation)
* insert Keeps(6, laboratory-result)
* insert Keeps(6, cd19-cells)
* insert Keeps(6, car-t-measurement)
* insert Keeps(6, donor-chimerism)
* insert Keeps(6, toxicity-grade)
* insert Keeps(6, ice-score)
* insert Keeps(6, treatment-response)
* insert Keeps(6, trial-observation)
* insert Searches(6, code, token, http://hl7.org/fhir/SearchParameter/clinical-code)
* insert Searches(6, category, token, http://hl7.org/fhir/SearchParameter/Observation-category)
* insert Searches(6, subject, reference, http://hl7.org/fhir/SearchParameter/Observation-subject)
* insert Searches(6, focus, reference, http://hl7.org/fhir/SearchParameter/Observation-focus)
* insert Served(7, Specimen)
* insert Keeps(7, trial-specimen)
* insert Searches(7, identifier, token, http://hl7.org/fhir/SearchParameter/Specimen-identifier)
* insert Served(8, BiologicallyDerivedProduct)
* insert Keeps(8, car-t-product)
* insert SearchesOwn(8, BiologicallyDerivedProduct, identifier, token)
* insert SearchesOwn(8, BiologicallyDerivedProduct, status, token)
* insert SearchesOwn(8, BiologicallyDerivedProduct, source, reference)
* insert SearchesOwn(8, BiologicallyDerivedProduct, release-status, token)
* insert Served(9, MedicationAdministration)
* insert Keeps(9, trial-medication-administration)
* insert Searches(9, subject, reference, http://hl7.org/fhir/SearchParameter/MedicationAdministration-subject)
* insert Served(10, MedicationStatement)
* insert Keeps(10, prior-therapy)
* insert Searches(10, subject, reference, http://hl7.org/fhir/SearchParameter/MedicationStatement-subject)
* insert Served(11, AdverseEvent)
* insert Keeps(11, trial-adverse-event)
* insert Searches(11, subject, reference, http://hl7.org/fhir/SearchParameter/AdverseEvent-subject)
* insert SearchesOwn(11, AdverseEvent, suspect-product, reference)
* insert SearchesOwn(11, AdverseEvent, grade, token)
* insert Served(12, DetectedIssue)
* insert Keeps(12, trial-detected-issue)
* insert SearchesOwn(12, DetectedIssue, status, token)
* insert SearchesOwn(12, DetectedIssue, severity, token)
* insert Served(13, Provenance)
* insert Keeps(13, trial-provenance)
* insert Searches(13, target, reference, http://hl7.org/fhir/SearchParameter/Provenance-target)
* insert SearchesOwn(13, Provenance, policy, uri)
* insert Served(14, Group)
* insert Keeps(14, trial-group)
* insert Searches(14, identifier, token, http://hl7.org/fhir/SearchParameter/Group-identifier)
* insert Served(15, MeasureReport)
* insert Keeps(15, trial-measure-report)
* insert Searches(15, measure, reference, http://hl7.org/fhir/SearchParameter/MeasureReport-measure)
* insert Served(16, Task)
* insert Keeps(16, registry-report)
* insert Searches(16, code, token, http://hl7.org/fhir/SearchParameter/Task-code)
* insert Searches(16, business-status, token, http://hl7.org/fhir/SearchParameter/Task-business-status)
* insert Searches(16, subject, reference, http://hl7.org/fhir/SearchParameter/Task-subject)
