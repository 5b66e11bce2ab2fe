RuleSet: OfPatient2
* insert RestrictedData
* subject = Reference(example-patient-2)

Instance: example-hsct-2
InstanceOf: PriorHsct
Usage: #example
Title: "Allogeneic transplantation of patient 2"
* insert OfPatient2
* status = #completed
* category = $concept#prior-therapy
* code = $SCT#425843001
* code.text = "Allogenic"
* insert NoDate(performedDateTime)

Instance: example-radiotherapy
InstanceOf: PriorRadiotherapy
Usage: #example
Title: "Radiotherapy as the first line (synthetic subject)"
* insert RestrictedData
* extension[lineNumber].valuePositiveInt = 1
* status = #completed
* category = $concept#prior-therapy
* code = $SCT#108290001
* code.text = "RT"
* subject = Reference(example-patient-synthetic)
* performedPeriod.start = "2019-02-04"
* performedPeriod.end = "2019-03-01"

Instance: example-therapy-2
InstanceOf: PriorTherapy
Usage: #example
Title: "A line of therapy of patient 2"
* insert OfPatient2
* extension[lineNumber].valuePositiveInt = 1
* status = #completed
* category = $concept#prior-therapy
* medicationCodeableConcept = $regimen#all-ic-bfm-2009
* medicationCodeableConcept.text = "ALL-IC BFM 2009"
* insert NoDate(effectiveDateTime)

Instance: example-leukapheresis-2
InstanceOf: Leukapheresis
Usage: #example
Title: "Leukapheresis of patient 2"
* insert OfPatient2
* status = #completed
* category.text = "Leukapheresis"
* code = $concept#leukapheresis
* code.text = "Peripheral mononuclear cell apheresis"
* insert NoDate(performedDateTime)

Instance: example-product-2
InstanceOf: CarTProduct
Usage: #example
Title: "Released product of patient 2"
* insert RestrictedData
* extension[releaseStatus].valueCodeableConcept = $release#released
* identifier.system = $record-id
* identifier.value = "ISIKOK19-002-product"
* productCategory = #cells
* productCode = $concept#car-t-product
* status = #available
* collection.source = Reference(example-patient-2)
* insert NoDate(collection.collectedDateTime)

Instance: example-product-failed
InstanceOf: CarTProduct
Usage: #example
Title: "The batch that failed, of a subject whom the paper does not name"
* insert RestrictedData
* extension[releaseStatus].valueCodeableConcept = $release#failed
* extension[failureReason].valueCodeableConcept = $failure#production-failed
* identifier.system = $record-id
* identifier.value = "unidentified-subject-product"
* productCategory = #cells
* productCode = $concept#car-t-product
* status = #unavailable
* insert NoDate(collection.collectedDateTime)

Instance: example-infusion-2
InstanceOf: CarTInfusion
Usage: #example
Title: "Infusion of patient 2"
* insert OfPatient2
* extension[infusedProduct].valueReference = Reference(example-product-2)
* status = #completed
* category = $SCT#14152002
* code.coding[0] = $concept#car-t-infusion
* code.coding[1] = $SCT#14152002
* code.text = "ISIKOK-19 infusion"
* insert NoDate(performedDateTime)

Instance: example-dose-2
InstanceOf: TrialMedicationAdministration
Usage: #example
Title: "Total dose of patient 2"
* insert OfPatient2
* partOf = Reference(example-infusion-2)
* status = #completed
* medicationCodeableConcept = $concept#car-t-product
* medicationCodeableConcept.text = "ISIKOK-19"
* insert NoDate(effectiveDateTime)
* dosage.text = "Total over all fractions"
* dosage.route = $SCT#47625008
* dosage.dose = 6.4 '10*6/kg' "10⁶/kg"

Instance: example-tocilizumab-2
InstanceOf: TrialMedicationAdministration
Usage: #example
Title: "Tocilizumab of patient 2"
* insert OfPatient2
* status = #completed
* category = $concept#toxicity-treatment
* medicationCodeableConcept.coding[0] = $ATC#L04AC07
* medicationCodeableConcept.coding[1] = $RxNorm#612865
* medicationCodeableConcept.text = "tocilizumab"
* insert NoDate(effectiveDateTime)
* reasonCode = $MDR#10052015
* reasonReference = Reference(example-crs-grade-2)
* note.text = "single dose"

Instance: example-product-synthetic
InstanceOf: CarTProduct
Usage: #example
Title: "Released product with its lot, its codes and its release results (synthetic subject)"
* insert RestrictedData
* extension[releaseStatus].valueCodeableConcept = $release#released
* extension[releaseResult][0].valueReference = Reference(example-viability-synthetic)
* extension[releaseResult][1].valueReference = Reference(example-vector-copies-synthetic)
* identifier[lot].value = "SYN-2020-07"
* identifier[din].value = "T000020000001"
* identifier[sec].value = "TR000001T000020000001A000000000020210228"
* productCategory = #cells
* productCode = $concept#car-t-product
* status = #available
* collection.source = Reference(example-patient-synthetic)
* collection.collectedDateTime = "2020-02-10"

Instance: product-within
InstanceOf: BiologicallyDerivedProduct
Usage: #inline
* extension.url = "https://cart-fhir.example/fhir/StructureDefinition/release-status"
* extension.valueCodeableConcept = $release#released
* identifier.system = $lot-id
* identifier.value = "SYN-2020-07"
* collection.source = Reference(example-patient-synthetic)

Instance: example-infusion-contained
InstanceOf: CarTInfusion
Usage: #example
Title: "Infusion that brings its product with it (synthetic subject)"
* insert RestrictedData
* contained = product-within
* extension[infusedProduct].valueReference.reference = "#product-within"
* status = #completed
* category = $SCT#14152002
* code = $concept#car-t-infusion
* subject = Reference(example-patient-synthetic)
* performedDateTime = "2020-03-04T10:30:00+03:00"
