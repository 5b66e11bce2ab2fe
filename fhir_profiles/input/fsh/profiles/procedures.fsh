RuleSet: TrialProcedure
* insert SubjectData
* status MS
* category 1..1 MS
* code 1..1 MS
* category obeys cf-code-or-text
* subject only Reference(Patient)
* subject MS
* performed[x] MS
* performed[x] only dateTime or Period
* obeys cf-performed
* performed[x] ^short = "When, or a data-absent-reason on performedDateTime"

Profile: Leukapheresis
Parent: Procedure
Id: leukapheresis
Title: "Leukapheresis"
Description: "Collection of mononuclear cells as starting material of the product."
* insert TrialProcedure
* insert ChosenBy($concept#leukapheresis)
* code = $concept#leukapheresis

Profile: CarTInfusion
Parent: Procedure
Id: car-t-infusion
Title: "CAR-T infusion"
Description: "Infusion of the product. A completed one names the product that was infused."
* insert TrialProcedure
* insert ChosenBy($concept#car-t-infusion)
* code = $concept#car-t-infusion
* extension contains InfusedProduct named infusedProduct 0..* MS
* contained MS
* obeys cf-infusion-product and cf-infusion-autologous and cf-infusion-released

Invariant: cf-infusion-product
Description: "A completed infusion names the infused product; one that was not done names none"
Severity: #error
Expression: "(status = 'completed' implies extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/infused-product').exists()) and (status = 'not-done' implies extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/infused-product').empty())"

Invariant: cf-infusion-autologous
Description: "A product that the infusion contains was collected from the same subject"
Severity: #error
Expression: "contained.where($this is BiologicallyDerivedProduct).collection.source.reference.all($this = %resource.subject.reference)"

Invariant: cf-infusion-released
Description: "A product that the infusion contains has not failed"
Severity: #error
Expression: "contained.where($this is BiologicallyDerivedProduct).extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/release-status').value.coding.where(code = 'failed').empty()"

Profile: PriorHsct
Parent: Procedure
Id: prior-hsct
Title: "Prior transplantation"
Description: "Haematopoietic stem cell transplantation before the trial, by donor. The months until the infusion are an Observation of their own."
* insert TrialProcedure
* extension contains LineNumber named lineNumber 0..1 MS
* category = $concept#prior-therapy
* code from HsctVS (required)

Profile: PriorRadiotherapy
Parent: Procedure
Id: prior-radiotherapy
Title: "Radiotherapy"
Description: "Radiotherapy before the trial, or as bridging."
* insert TrialProcedure
* extension contains LineNumber named lineNumber 0..1 MS
* category from TherapyCategoryVS (required)
* code = $SCT#108290001
* obeys cf-line

Invariant: cf-line
Description: "An earlier therapy that was given has its place in the order of the lines"
Severity: #error
Expression: "category.coding.where(code = 'prior-therapy').empty() or status = 'not-done' or extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/line-number').exists()"
