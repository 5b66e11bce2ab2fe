RuleSet: TrialObservationRules
* insert SubjectData
* status MS
* category 1..* MS
* code MS
* subject 1..1 MS
* effective[x] 1..1 MS
* effective[x] only dateTime or Period or instant
* obeys cf-effective
* effective[x] ^short = "When, or a data-absent-reason on effectiveDateTime"
* value[x] MS
* dataAbsentReason MS

Profile: LaboratoryResult
Parent: Observation
Id: laboratory-result
Title: "Laboratory result"
Description: "A measurement with a UCUM unit, or, where the source prints none, with the reason in the place of the unit."
* insert TrialObservationRules
* insert ChosenBy($LNC#2532-0)
* insert ChosenBy($LNC#2276-4)
* insert ChosenBy($LNC#1988-5)
* insert ChosenBy($LNC#30522-7)
* insert ChosenBy($LNC#26881-3)
* insert ChosenBy($LNC#718-7)
* insert ChosenBy($LNC#751-8)
* insert ChosenBy($LNC#26499-4)
* insert ChosenBy($LNC#777-3)
* insert ChosenBy($LNC#26515-7)
* insert ChosenBy($LNC#6690-2)
* insert ChosenBy($LNC#26464-8)
* insert ChosenBy($LNC#2160-0)
* category ^slicing.discriminator.type = #pattern
* category ^slicing.discriminator.path = "$this"
* category ^slicing.rules = #open
* category contains laboratory 1..1 MS
* category[laboratory] = $obs-category#laboratory
* code from LaboratoryTestVS (extensible)
* code obeys cf-loinc
* subject only Reference(Patient)
* value[x] only Quantity
* valueQuantity.value 1..1
* valueQuantity obeys cf-unit
* specimen MS
* obeys cf-value-or-reason

Invariant: cf-loinc
Description: "A laboratory test has a LOINC code"
Severity: #error
Expression: "coding.where(system = 'http://loinc.org' and code.exists()).exists()"

Profile: Cd19Cells
Parent: LaboratoryResult
Id: cd19-cells
Title: "CD19 cells"
Description: "B cells after the infusion, as a count or a share, with the specimen in which they were counted."
* insert OwnDefinition
* insert ChosenBy($LNC#8116-6)
* insert ChosenBy($LNC#8117-4)
* code from Cd19VS (required)
* insert SpecimenOrReason
* obeys cf-cd19

Invariant: cf-cd19
Description: "A share of CD19 cells (LOINC 8117-4) is 0 to 100 %, a count is not negative"
Severity: #error
Expression: "value.empty() or (value.value >= 0 and (code.coding.where(system = 'http://loinc.org' and code = '8117-4').empty() or (value.value <= 100 and (value.code.empty() or value.code = '%'))))"

RuleSet: SpecimenOrReason
* specimen 1..1 MS
* specimen ^short = "What was tested, or a data-absent-reason in its place"
* obeys cf-specimen

Invariant: cf-specimen
Description: "A specimen is named, or a data-absent-reason stands in its place"
Severity: #error
Expression: "specimen.reference.exists() or specimen.identifier.exists() or specimen.extension.where(url = 'http://hl7.org/fhir/StructureDefinition/data-absent-reason').exists()"

Profile: CarTMeasurement
Parent: Observation
Id: car-t-measurement
Title: "CAR-T cell measurement"
Description: "Viability, transduction efficiency and vector copy number of a product, copies of the transgene in the subject. The product that was tested stands in focus."
* insert TrialObservationRules
* insert ChosenBy($concept#viability)
* insert ChosenBy($concept#transduction-efficiency)
* insert ChosenBy($concept#vector-copy-number)
* insert ChosenBy($concept#car-transgene-copies)
* category ^slicing.discriminator.type = #pattern
* category ^slicing.discriminator.path = "$this"
* category ^slicing.rules = #open
* category contains laboratory 1..1 MS
* category[laboratory] = $obs-category#laboratory
* code from CarTMeasurementVS (required)
* subject only Reference(Patient)
* focus MS
* focus only Reference(BiologicallyDerivedProduct)
* value[x] only Quantity
* valueQuantity.value 1..1
* valueQuantity obeys cf-unit
* insert SpecimenOrReason
* obeys cf-value-or-reason and cf-car-t-unit

Invariant: cf-car-t-unit
Description: "Viability and transduction efficiency are 0 to 100 %, vector copies are {copies}/{cell}, transgene copies {copies}/ug, and no value is negative"
Severity: #error
Expression: "value.empty() or (value.value >= 0 and (value.code.empty() or (code.coding.where(code = 'viability' or code = 'transduction-efficiency').exists() and value.code = '%' and value.value <= 100) or (code.coding.where(code = 'vector-copy-number').exists() and value.code = '{copies}/{cell}') or (code.coding.where(code = 'car-transgene-copies').exists() and value.code = '{copies}/ug')))"

Profile: DonorChimerism
Parent: Observation
Id: donor-chimerism
Title: "Donor chimerism"
Description: "Share of donor cells, 0 to 100 %. Preliminary, with a contradiction tag, where the source contradicts itself."
* insert TrialObservationRules
* insert ChosenBy($concept#donor-chimerism)
* category ^slicing.discriminator.type = #pattern
* category ^slicing.discriminator.path = "$this"
* category ^slicing.rules = #open
* category contains laboratory 1..1 MS
* category[laboratory] = $obs-category#laboratory
* code = $concept#donor-chimerism
* subject only Reference(Patient)
* value[x] only Quantity
* valueQuantity.value 1..1
* valueQuantity.system 1..1
* valueQuantity.system = $UCUM
* valueQuantity.code 1..1
* valueQuantity.code = #%
* valueQuantity obeys cf-percent
* specimen MS
* obeys cf-value-or-reason

Profile: ToxicityGradeObservation
Parent: Observation
Id: toxicity-grade
Title: "Toxicity grade"
Description: "A grade on a named scale. Grades of different scales are never converted into each other."
* insert TrialObservationRules
* insert ChosenBy($concept#crs-grade)
* insert ChosenBy($concept#icans-grade)
* insert ChosenBy($concept#cres-grade)
* insert ChosenBy($concept#hematological-toxicity)
* code 1..1
* code from ToxicityGradeCodeVS (required)
* subject only Reference(Patient)
* focus 1..* MS
* focus only Reference(AdverseEvent or Condition)
* value[x] 1..1
* value[x] only CodeableConcept
* value[x] from ToxicityGradeVS (required)
* dataAbsentReason 0..0
* method 1..1 MS
* method from GradingMethodVS (required)
* derivedFrom MS
* obeys cf-grade-derived and cf-grade-scale

Invariant: cf-grade-scale
Description: "CRES is graded by CARTOX and ICANS by ASTCT 2019, where the scale is known; no grade is converted"
Severity: #error
Expression: "(code.coding.where(code = 'cres-grade').exists() implies method.coding.where(code = 'cartox' or code = 'unknown').exists()) and (code.coding.where(code = 'icans-grade').exists() implies method.coding.where(code = 'astct-2019' or code = 'unknown').exists())"

Invariant: cf-grade-derived
Description: "A grade that software calculated (device) is derived from the findings that it used"
Severity: #error
Expression: "device.exists() implies derivedFrom.exists()"

Profile: IceScore
Parent: Observation
Id: ice-score
Title: "ICE score"
Description: "Immune effector cell-associated encephalopathy score with its eight items (ASTCT 2019)."
* insert TrialObservationRules
* insert ChosenBy($concept#ice-score)
* code = $concept#ice-score
* subject only Reference(Patient)
* value[x] 1..1
* value[x] only integer
* dataAbsentReason 0..0
* component 8..8 MS
* component ^slicing.discriminator.type = #pattern
* component ^slicing.discriminator.path = "code"
* component ^slicing.rules = #closed
* component contains year 1..1 MS and month 1..1 MS and city 1..1 MS and hospital 1..1 MS and
    naming 1..1 MS and command 1..1 MS and writing 1..1 MS and attention 1..1 MS
* insert IceItem(year, ice-orientation-year)
* insert IceItem(month, ice-orientation-month)
* insert IceItem(city, ice-orientation-city)
* insert IceItem(hospital, ice-orientation-hospital)
* insert IceItem(naming, ice-naming)
* insert IceItem(command, ice-command)
* insert IceItem(writing, ice-writing)
* insert IceItem(attention, ice-attention)
* obeys cf-ice-sum and cf-ice-range

RuleSet: IceItem(slice, code)
* component[{slice}].code = $concept#{code}
* component[{slice}].value[x] 1..1
* component[{slice}].value[x] only integer

Invariant: cf-ice-sum
Description: "The ICE score is the sum of its items"
Severity: #error
Expression: "value = component.value.aggregate($this + $total, 0)"

Invariant: cf-ice-range
Description: "Naming gives 0 to 3 points, every other item 0 or 1"
Severity: #error
Expression: "component.all(value >= 0 and (value <= 1 or (value <= 3 and code.coding.where(code = 'ice-naming').exists())))"

Profile: TreatmentResponse
Parent: Observation
Id: treatment-response
Title: "Treatment response"
Description: "Overall response of the disease."
* insert TrialObservationRules
* insert ChosenBy($LNC#97509-4)
* code = $LNC#97509-4
* subject only Reference(Patient)
* focus 1..* MS
* focus only Reference(Condition)
* value[x] 1..1
* value[x] only CodeableConcept
* value[x] from ResponseVS (required)
* dataAbsentReason 0..0
* method 1..1 MS
* method ^short = "Response criteria; as text where the source does not state them"

Profile: TrialObservation
Parent: Observation
Id: trial-observation
Title: "Trial observation"
Description: "A fact of a subject or a group that has no profile of its own: age, months from HSCT, bulky disease, B-cell aplasia and others."
* insert TrialObservationRules
* insert ChosenBy($concept#months-from-hsct-to-infusion)
* insert ChosenBy($concept#b-cell-aplasia)
* insert ChosenBy($concept#bulky-disease)
* insert ChosenBy($concept#prior-lines-of-therapy)
* insert ChosenBy($concept#vital-status)
* insert ChosenBy($concept#toxicity)
* insert ChosenBy($concept#without-b-cell-aplasia)
* insert ChosenBy($concept#progression-after-partial-response)
* insert ChosenBy($concept#deaths)
* insert ChosenBy($concept#graft-versus-host-disease)
* insert ChosenBy($concept#extramedullary-disease)
* extension contains CountedBy named countedBy 0..1 MS
* code from TrialObservationCodeVS (required)
* subject only Reference(Patient or Group)
* focus MS
* valueQuantity obeys cf-unit
* obeys cf-value-or-reason and cf-age

Invariant: cf-age
Description: "An age lies between 0 and 120 years"
Severity: #error
Expression: "code.coding.where(system = 'http://loinc.org' and code = '30525-0').empty() or value.where(code = 'a' and (value < 0 or value > 120)).empty()"

