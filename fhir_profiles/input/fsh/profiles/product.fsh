Profile: CarTProduct
Parent: BiologicallyDerivedProduct
Id: car-t-product
Title: "CAR-T product"
Description: "A batch, from collection to release. A failed batch is unavailable and says why; every other names the subject from whom its cells came."
* insert SubjectData
* insert ChosenBy($concept#car-t-product)
* extension contains ReleaseStatusExtension named releaseStatus 1..1 MS and
    FailureReasonExtension named failureReason 0..* MS and
    ReleaseResult named releaseResult 0..* MS
* identifier 1..* MS
* identifier.system 1..1
* identifier.value 1..1
* identifier ^slicing.discriminator.type = #value
* identifier ^slicing.discriminator.path = "system"
* identifier ^slicing.rules = #open
* identifier contains lot 0..1 MS and din 0..1 MS and sec 0..1 MS
* identifier[lot].system = "https://cart-fhir.example/fhir/identifier/product-lot" (exactly)
* identifier[lot] ^short = "Lot number of the manufacturer"
* identifier[din].system = "https://cart-fhir.example/fhir/identifier/din" (exactly)
* identifier[din] ^short = "Donation identification number (ISBT 128)"
* identifier[din] obeys cf-din
* identifier[sec].system = "https://cart-fhir.example/fhir/identifier/sec" (exactly)
* identifier[sec] ^short = "Single European Code"
* identifier[sec] obeys cf-sec
* productCategory 1..1 MS
* productCategory = #cells
* productCode 1..1 MS
* productCode = $concept#car-t-product
* status 1..1 MS
* collection 1..1 MS
* collection.source only Reference(Patient)
* collection.source MS
* collection.collected[x] MS
* collection.collected[x] 1..1
* obeys cf-product-source and cf-product-failed and cf-product-unreleased and cf-product-results

Invariant: cf-din
Description: "A donation identification number is 13 capitals and digits, without the flag and check characters"
Severity: #error
Expression: "value.matches('^[A-Z0-9]{13}$')"

Invariant: cf-sec
Description: "A Single European Code is 40 capitals and digits: donation and product identification sequence"
Severity: #error
Expression: "value.matches('^[A-Z0-9]{40}$')"

Invariant: cf-product-results
Description: "A released product refers to the results by which it was released"
Severity: #warning
Expression: "extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/release-status').value.coding.where(code = 'released').exists() implies extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/release-result').exists()"

Invariant: cf-product-unreleased
Description: "A product that was not released is unavailable: it is never infused"
Severity: #error
Expression: "extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/release-status').value.coding.where(code = 'released').exists() or status = 'unavailable'"

Invariant: cf-product-source
Description: "A product that has not failed names the subject from whom its cells came"
Severity: #error
Expression: "extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/release-status').value.coding.where(code = 'failed').exists() or collection.source.exists()"

Invariant: cf-product-failed
Description: "A failed product is unavailable and has a failure reason"
Severity: #error
Expression: "extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/release-status').value.coding.where(code = 'failed').exists() implies (status = 'unavailable' and extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/failure-reason').exists())"

Profile: TrialSpecimen
Parent: Specimen
Id: trial-specimen
Title: "Specimen"
Description: "What a laboratory or product test was made of."
* insert SubjectData
* identifier 1..* MS
* identifier.system 1..1
* identifier.value 1..1
* type 1..1 MS
* subject 1..1 MS
* subject only Reference(Patient)
* collection MS
* collection.collected[x] MS
