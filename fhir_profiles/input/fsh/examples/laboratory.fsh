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
