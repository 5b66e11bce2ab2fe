Instance: example-age-2
InstanceOf: TrialObservation
Usage: #example
Title: "Age of patient 2"
* insert OfPatient2
* status = #final
* category = $obs-category#social-history
* code = $LNC#30525-0 "Age"
* insert NoDate(effectiveDateTime)
* valueQuantity = 22 'a' "years"

Instance: example-extramedullary
InstanceOf: TrialObservation
Usage: #example
Title: "A fact of a cohort that the paper gives for no subject of it"
* insert RestrictedData
* status = #final
* category = $obs-category#survey
* code = $concept#extramedullary-disease
* code.text = "two of the ALL patients had extramedullary involvement"
* subject = Reference(example-group-treated-all)
* insert NoDate(effectiveDateTime)
* valueInteger = 2

Instance: example-response-2
InstanceOf: TreatmentResponse
Usage: #example
Title: "Complete response of patient 2"
* insert OfPatient2
* status = #final
* category = $obs-category#therapy
* code = $LNC#97509-4
* focus = Reference(example-condition-2)
* insert NoDate(effectiveDateTime)
* valueCodeableConcept = $NCIt#C4870
* valueCodeableConcept.text = "CR"
* method.text = "Not stated"

Instance: example-crs-2
InstanceOf: TrialAdverseEvent
Usage: #example
Title: "Cytokine release syndrome of patient 2"
* insert OfPatient2
* extension[grade].valueCodeableConcept = $NCIt#C41339
* extension[resolved].valueString = "recovered afterwards"
* extension[suspectProduct].valueReference = Reference(example-product-2)
* extension[mitigatingAction].valueReference = Reference(example-tocilizumab-2)
* actuality = #actual
* event = $MDR#10052015
* event.text = "CRS"
* insert NoDate(date)
* outcome = http://terminology.hl7.org/CodeSystem/adverse-event-outcome#resolved
* study = Reference(example-study)

Instance: example-crs-grade-2
InstanceOf: ToxicityGradeObservation
Usage: #example
Title: "Grade of the cytokine release syndrome of patient 2, by a scale that the paper does not name"
* insert OfPatient2
* status = #final
* category = $obs-category#exam
* code = $concept#crs-grade
* code.text = "CRS Grade"
* focus = Reference(example-crs-2)
* insert NoDate(effectiveDateTime)
* valueCodeableConcept = $NCIt#C41339
* method = $method#unknown

RuleSet: IcePoints(slice, points)
* component[{slice}].valueInteger = {points}

Instance: example-ice-synthetic
InstanceOf: IceScore
Usage: #example
Title: "ICE score of 8 (synthetic subject)"
* insert RestrictedData
* status = #final
* category = $obs-category#exam
* code = $concept#ice-score
* subject = Reference(example-patient-synthetic)
* effectiveDateTime = "2020-03-06T09:00:00+03:00"
* valueInteger = 8
* insert IcePoints(year, 1)
* insert IcePoints(month, 1)
* insert IcePoints(city, 1)
* insert IcePoints(hospital, 1)
* insert IcePoints(naming, 3)
* insert IcePoints(command, 1)
* insert IcePoints(writing, 0)
* insert IcePoints(attention, 0)

Instance: example-specimen-synthetic
InstanceOf: TrialSpecimen
Usage: #example
Title: "Blood of a synthetic subject"
* insert RestrictedData
* identifier.system = $record-id
* identifier.value = "SYNTHETIC-901-blood-1"
* type.text = "Blood"
* subject = Reference(example-patient-synthetic)
* collection.collectedDateTime = "2020-03-02T07:40:00+03:00"

Instance: example-icans-synthetic
InstanceOf: TrialAdverseEvent
Usage: #example
Title: "A serious neurotoxicity, with the criterion (synthetic subject)"
* insert RestrictedData
* extension[grade].valueCodeableConcept = $NCIt#C41338
* extension[suspectProduct].valueReference = Reference(example-product-synthetic)
* actuality = #actual
* event = $concept#icans
* subject = Reference(example-patient-synthetic)
* date = "2020-03-06T09:00:00+03:00"
* seriousness = http://terminology.hl7.org/CodeSystem/adverse-event-seriousness#Serious
* seriousness.text = "Prolonged the stay in hospital"
* outcome = http://terminology.hl7.org/CodeSystem/adverse-event-outcome#ongoing

Instance: example-icans-grade-synthetic
InstanceOf: ToxicityGradeObservation
Usage: #example
Title: "A grade that software calculated from an ICE score (synthetic subject)"
* insert RestrictedData
* status = #final
* category = $obs-category#exam
* code = $concept#icans-grade
* subject = Reference(example-patient-synthetic)
* focus = Reference(example-icans-synthetic)
* effectiveDateTime = "2020-03-06T09:00:00+03:00"
* valueCodeableConcept = $NCIt#C41338
* method = $method#astct-2019
* device.display = "Grading by ASTCT 2019"
* derivedFrom = Reference(example-ice-synthetic)

Instance: example-consent-withdrawn
InstanceOf: TrialConsent
Usage: #example
Title: "A consent that was withdrawn (synthetic subject)"
* insert RestrictedData
* status = #inactive
* scope = http://terminology.hl7.org/CodeSystem/consentscope#research
* category = $LNC#59284-0
* patient = Reference(example-patient-synthetic)
* dateTime = "2020-06-01"
* policyRule.text = "Written informed consent"
* provision.type = #deny
