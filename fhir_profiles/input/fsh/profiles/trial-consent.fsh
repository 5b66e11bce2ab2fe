Profile: TrialConsent
Parent: Consent
Id: trial-consent
Title: "Consent to the trial"
Description: "Informed consent of a subject to take part."
* insert OwnProfile
* insert Restricted
* status MS
* scope MS
* scope = http://terminology.hl7.org/CodeSystem/consentscope#research
* category MS
* category ^slicing.discriminator.type = #pattern
* category ^slicing.discriminator.path = "$this"
* category ^slicing.rules = #open
* category contains document 1..1 MS
* category[document] = $LNC#59284-0
* patient 1..1 MS
* patient only Reference(TrialPatient)
* dateTime 1..1 MS
* dateTime.extension contains $absent named absent 0..1 MS
* provision MS
* obeys consent-dated

Invariant: consent-dated
Description: "The time of the consent is given, or a data-absent-reason in its place."
Severity: #error
Expression: "dateTime.hasValue() or dateTime.extension('http://hl7.org/fhir/StructureDefinition/data-absent-reason').exists()"
