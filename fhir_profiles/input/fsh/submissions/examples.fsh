Instance: example-report-day-100
InstanceOf: RegistryReport
Usage: #example
Title: "Follow-up at day 100, not due: the date of the infusion is not known"
* insert RestrictedData
* instantiatesUri = "https://cart-fhir.example/fhir/PlanDefinition/cibmtr-cellular-therapy|0.1.0"
* status = #draft
* statusReason.text = "The date of the infusion is not recorded, so the report has no due date"
* businessStatus = SubmissionStatus#NOTDUE
* intent = #order
* description = "Follow-up at day 100 (form 4100)"
* focus.type = "Questionnaire"
* focus.identifier.system = "urn:ietf:rfc:3986"
* focus.identifier.value = "https://cart-fhir.example/fhir/Questionnaire/cibmtr-4100-r4|0.1.0"
* for = Reference(example-patient-2)
* input[form].valueString = "4100"
* input[timePoint].valueCode = #day-100
* input[infusion].valueReference = Reference(example-infusion-2)
