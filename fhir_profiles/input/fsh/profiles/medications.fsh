Profile: PriorTherapy
Parent: MedicationStatement
Id: prior-therapy
Title: "Prior therapy"
Description: "One line of therapy: a regimen or a drug, with its position in the order of the source and its words in medicationCodeableConcept.text."
* insert SubjectData
* extension contains LineNumber named lineNumber 1..1 MS
* status MS
* category 1..1 MS
* category = $concept#prior-therapy
* medication[x] only CodeableConcept
* medication[x] MS
* medication[x] from TherapyVS (extensible)
* medicationCodeableConcept obeys cf-code-or-text
* subject only Reference(Patient)
* subject MS
* effective[x] 1..1 MS
* obeys cf-effective
* effective[x] ^short = "When, or a data-absent-reason on effectiveDateTime"

Profile: TrialMedicationAdministration
Parent: MedicationAdministration
Id: trial-medication-administration
Title: "Administration"
Description: "A drug of bridging, lymphodepletion or toxicity treatment, or the CAR-T dose. R4 does not let medication[x] refer to a BiologicallyDerivedProduct: a dose has the concept car-t-product and is partOf the infusion that names the product."
* insert SubjectData
* insert ChosenBy($concept#car-t-product)
* extension contains LineNumber named lineNumber 0..1 MS
* status MS
* partOf MS
* category MS
* category from TherapyCategoryVS (extensible)
* medication[x] only CodeableConcept
* medication[x] MS
* medication[x] from AdministeredVS (extensible)
* medicationCodeableConcept obeys cf-code-or-text
* subject only Reference(Patient)
* subject MS
* effective[x] MS
* obeys cf-effective
* effective[x] ^short = "When, or a data-absent-reason on effectiveDateTime"
* reasonCode MS
* reasonReference MS
* dosage MS
* dosage.dose MS
* dosage.dose obeys cf-unit
* obeys cf-toxicity-reason and cf-tocilizumab and cf-cell-dose

Invariant: cf-toxicity-reason
Description: "A treatment of toxicity names the toxicity that it treats"
Severity: #error
Expression: "category.coding.where(system = 'https://cart-fhir.example/fhir/CodeSystem/trial-concept' and code = 'toxicity-treatment').exists() implies (reasonReference.exists() or reasonCode.exists())"

Invariant: cf-tocilizumab
Description: "Tocilizumab names the cytokine release syndrome that it treats"
Severity: #error
Expression: "medication.where(coding.where((system = 'http://www.whocc.no/atc' and code = 'L04AC07') or (system = 'http://www.nlm.nih.gov/research/umls/rxnorm' and code = '612865')).exists() or text.lower() = 'tocilizumab').exists() implies (reasonReference.exists() or reasonCode.exists())"

Invariant: cf-cell-dose
Description: "A CAR-T dose is given in 10*6/kg and is greater than 0 and at most 100: more is a lost exponent"
Severity: #error
Expression: "medication.coding.where(system = 'https://cart-fhir.example/fhir/CodeSystem/trial-concept' and code = 'car-t-product').empty() or dosage.dose.empty() or (dosage.dose.system = 'http://unitsofmeasure.org' and dosage.dose.code = '10*6/kg' and dosage.dose.value > 0 and dosage.dose.value <= 100)"
