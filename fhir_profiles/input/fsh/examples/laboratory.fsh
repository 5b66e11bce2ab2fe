RuleSet: WithoutUnit(value)
* valueQuantity.value = {value}
* valueQuantity.unit.extension.url = $absent
* valueQuantity.unit.extension.valueCode = #unknown

RuleSet: Table1Value(code, word)
* insert OfPatient2
* status = #final
* category[laboratory] = $obs-category#laboratory
* code = $LNC#{code}
* code.text = "{word}"
* insert NoDate(effectiveDateTime)

Instance: example-ldh-2
InstanceOf: LaboratoryResult
Usage: #example
Title: "LDH of patient 2, printed without a unit"
* insert Table1Value(2532-0, LDH)
* insert WithoutUnit(207)

Instance: example-ferritin-2
InstanceOf: LaboratoryResult
Usage: #example
Title: "Ferritin of patient 2, printed without a unit"
* insert Table1Value(2276-4, Ferritin)
* insert WithoutUnit(2376)

Instance: example-crp-2
InstanceOf: LaboratoryResult
Usage: #example
Title: "CRP of patient 2, printed without a unit"
* insert Table1Value(1988-5, CRP)
* insert WithoutUnit(3.3)

Instance: example-patient-synthetic
InstanceOf: TrialPatient
Usage: #example
Title: "A synthetic subject"
* insert RestrictedData
* identifier[subject].value = "SYNTHETIC-901"
* gender = #male
* birthDate = "1967-05"

Instance: example-crp-synthetic
InstanceOf: LaboratoryResult
Usage: #example
Title: "CRP as a hospital reports it (synthetic subject)"
* insert RestrictedData
* status = #final
* category[laboratory] = $obs-category#laboratory
* code = $LNC#1988-5 "C reactive protein [Mass/volume] in Serum or Plasma"
* subject = Reference(example-patient-synthetic)
* effectiveDateTime = "2020-03-02T07:45:00+03:00"
* valueQuantity = 41.70 'mg/L' "mg/L"
* referenceRange.high = 5 'mg/L' "mg/L"

Instance: example-chimerism-2
InstanceOf: DonorChimerism
Usage: #example
Title: "Donor chimerism as the text lists it for 14 months"
* insert OfPatient2
* meta.tag = $quality#contradiction
* status = #preliminary
* category[laboratory] = $obs-category#laboratory
* code = $concept#donor-chimerism
* insert NoDate(effectiveDateTime)
* valueQuantity = 98 '%' "%"

Instance: example-cd19-synthetic
InstanceOf: Cd19Cells
Usage: #example
Title: "No B cells four weeks after the infusion (synthetic subject)"
* insert RestrictedData
* status = #final
* category[laboratory] = $obs-category#laboratory
* code = $LNC#8117-4 "CD19 cells/100 cells in Blood"
* subject = Reference(example-patient-synthetic)
* effectiveDateTime = "2020-04-06T08:10:00+03:00"
* specimen = Reference(example-specimen-synthetic)
* valueQuantity = 0.0 '%' "%"

RuleSet: ProductTest(code, effective)
* insert RestrictedData
* status = #final
* category[laboratory] = $obs-category#laboratory
* code = $concept#{code}
* subject = Reference(example-patient-synthetic)
* focus = Reference(example-product-synthetic)
* effectiveDateTime = "{effective}"

Instance: example-viability-synthetic
InstanceOf: CarTMeasurement
Usage: #example
Title: "Viability at release (synthetic subject)"
* insert ProductTest(viability, 2020-02-28T15:00:00+03:00)
* specimen.extension.url = $absent
* specimen.extension.valueCode = #unknown
* valueQuantity = 93.5 '%' "%"

Instance: example-vector-copies-synthetic
InstanceOf: CarTMeasurement
Usage: #example
Title: "Vector copy number at release (synthetic subject)"
* insert ProductTest(vector-copy-number, 2020-02-28T15:00:00+03:00)
* specimen = Reference(example-product-sample)
* valueQuantity = 2.4 '{copies}/{cell}' "copies/cell"

Instance: example-product-sample
InstanceOf: TrialSpecimen
Usage: #example
Title: "Sample of the product of a synthetic subject"
* insert RestrictedData
* identifier.system = $record-id
* identifier.value = "SYNTHETIC-901-product-sample-1"
* type.text = "Sample of the CAR-T product"
* subject = Reference(example-patient-synthetic)
* collection.collectedDateTime = "2020-02-28T14:00:00+03:00"
