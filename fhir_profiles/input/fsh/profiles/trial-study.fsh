Profile: TrialStudy
Parent: ResearchStudy
Id: trial-study
Title: "Trial"
Description: "The trial with its number at ClinicalTrials.gov."
* insert OwnProfile
* identifier 1..* MS
* identifier ^slicing.discriminator.type = #value
* identifier ^slicing.discriminator.path = "system"
* identifier ^slicing.rules = #open
* identifier contains nct 1..1 MS
* identifier[nct].system = $nct
* identifier[nct].value 1..1 MS
* identifier[nct] obeys nct-number
* title 1..1 MS
* status MS
* phase MS
* category MS
* sponsor MS
* site MS

Invariant: nct-number
Description: "A number of ClinicalTrials.gov is NCT and eight digits."
Severity: #error
Expression: "value.matches('^NCT[0-9]{8}$')"
