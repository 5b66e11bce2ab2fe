RuleSet: OwnDefinition
* ^status = #active
* ^experimental = false
* ^publisher = "cart-fhir"
* ^version = "0.1.0"

Extension: LineNumber
Id: line-number
Title: "Line number"
Description: "Position of a therapy in the order in which the source lists the lines, from 1."
Context: MedicationStatement, Procedure, MedicationAdministration
* insert OwnDefinition
* value[x] only positiveInt
* value[x] 1..1

Extension: InfusedProduct
Id: infused-product
Title: "Infused product"
Description: "The product that a procedure infused. Procedure.usedReference does not admit a BiologicallyDerivedProduct in R4."
Context: Procedure
* insert OwnDefinition
* value[x] only Reference(BiologicallyDerivedProduct)
* value[x] 1..1

Extension: ReleaseStatusExtension
Id: release-status
Title: "Release status"
Description: "Outcome of the quality control of a batch."
Context: BiologicallyDerivedProduct
* insert OwnDefinition
* value[x] only CodeableConcept
* value[x] 1..1
* value[x] from ReleaseStatusVS (required)

Extension: FailureReasonExtension
Id: failure-reason
Title: "Failure reason"
Description: "Why a batch was not released or not infused."
Context: BiologicallyDerivedProduct
* insert OwnDefinition
* value[x] only CodeableConcept
* value[x] 1..1
* value[x] from FailureReasonVS (extensible)

Extension: ReleaseResult
Id: release-result
Title: "Release result"
Description: "A result of the quality control of a batch: a CAR-T cell measurement or another test."
Context: BiologicallyDerivedProduct
* insert OwnDefinition
* value[x] only Reference(Observation)
* value[x] 1..1

Extension: AdverseEventGrade
Id: adverse-event-grade
Title: "Adverse event grade"
Description: "Highest grade of the event, on the scale of the grade Observation that focuses on it."
Context: AdverseEvent
* insert OwnDefinition
* value[x] only CodeableConcept
* value[x] 1..1
* value[x] from ToxicityGradeVS (required)

Extension: AdverseEventResolved
Id: adverse-event-resolved
Title: "Adverse event resolved"
Description: "When the event resolved: a date, or the words of the source where it gives none."
Context: AdverseEvent
* insert OwnDefinition
* value[x] only string or dateTime
* value[x] 1..1

Extension: SuspectProduct
Id: suspect-product
Title: "Suspect product"
Description: "The product held to have caused the event. AdverseEvent.suspectEntity.instance does not admit a BiologicallyDerivedProduct in R4."
Context: AdverseEvent
* insert OwnDefinition
* value[x] only Reference(BiologicallyDerivedProduct)
* value[x] 1..1

Extension: MitigatingAction
Id: mitigating-action
Title: "Mitigating action"
Description: "What was done against the event: the administration or procedure, or its name."
Context: AdverseEvent
* insert OwnDefinition
* value[x] only CodeableConcept or Reference(MedicationAdministration or MedicationStatement or Procedure)
* value[x] 1..1

Extension: DiseaseStatus
Id: disease-status
Title: "Disease status"
Description: "Whether the disease is relapsed or refractory."
Context: Condition
* insert OwnDefinition
* value[x] only CodeableConcept
* value[x] 1..1
* value[x] from DiseaseStatusVS (required)

Extension: SourceCell
Id: source-cell
Title: "Source cell"
Description: "The place in the source from which a resource was made: table, row and column, or a passage of its text."
Context: Provenance.entity
* insert OwnDefinition
* extension contains
    table 0..1 and
    row 0..1 and
    column 0..1 and
    passage 0..1
* extension 1..*
* extension[table].value[x] only string
* extension[table].value[x] 1..1
* extension[row].value[x] only string
* extension[row].value[x] 1..1
* extension[column].value[x] only string
* extension[column].value[x] 1..1
* extension[passage].value[x] only string
* extension[passage].value[x] 1..1

Extension: ContentHash
Id: content-hash
Title: "Content hash"
Description: "Hash of the resource as it was imported: sha256: and lower-case hexadecimal digits."
Context: Provenance
* insert OwnDefinition
* value[x] only string
* value[x] 1..1

Extension: PublishedValue
Id: published-value
Title: "Published value"
Description: "What the publication prints, beside what its counts give."
Context: MeasureReport.group, MeasureReport.group.stratifier.stratum
* insert OwnDefinition
* value[x] only decimal or string
* value[x] 1..1

Extension: CountedBy
Id: counted-by
Title: "Counted by"
Description: "The rule by which a number was counted."
Context: Observation, MeasureReport.group, MeasureReport.group.stratifier.stratum
* insert OwnDefinition
* value[x] only string
* value[x] 1..1
