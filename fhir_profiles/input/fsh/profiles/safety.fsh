Profile: TrialAdverseEvent
Parent: AdverseEvent
Id: trial-adverse-event
Title: "Adverse event"
Description: "A toxicity with its grade, its end, the suspected product and what was done against it."
* insert SubjectData
* insert ChosenBy($concept#cres)
* insert ChosenBy($concept#icans)
* insert ChosenBy($concept#hematological-toxicity)
* insert ChosenBy($MDR#10052015)
* extension contains AdverseEventGrade named grade 0..1 MS and
    AdverseEventResolved named resolved 0..1 MS and
    SuspectProduct named suspectProduct 0..* MS and
    MitigatingAction named mitigatingAction 0..* MS
* actuality MS
* event 1..1 MS
* event from ToxicityEventVS (extensible)
* event obeys cf-code-or-text
* subject only Reference(Patient)
* subject MS
* date 1..1 MS
* date ^short = "When, or a data-absent-reason on it"
* seriousness MS
* outcome 1..1 MS
* study MS
* obeys cf-fatal and cf-serious and cf-resolved and cf-event-date

Invariant: cf-fatal
Description: "Grade 5 if, and only if, the outcome is fatal"
Severity: #error
Expression: "extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/adverse-event-grade').empty() or (extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/adverse-event-grade').value.coding.where(code = 'C48275').exists() = outcome.coding.where(code = 'fatal').exists())"

Invariant: cf-serious
Description: "An event that is called serious names the criterion in seriousness.text"
Severity: #error
Expression: "seriousness.coding.where(code = 'Serious' or code = 'serious').exists() implies seriousness.text.exists()"

Invariant: cf-resolved
Description: "An event that has an end is not called fatal or ongoing"
Severity: #error
Expression: "extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/adverse-event-resolved').empty() or outcome.coding.where(code = 'fatal' or code = 'ongoing').empty()"

Invariant: cf-event-date
Description: "The date of the event is given, or a data-absent-reason in its place"
Severity: #error
Expression: "date.hasValue() or date.extension.where(url = 'http://hl7.org/fhir/StructureDefinition/data-absent-reason').exists()"
