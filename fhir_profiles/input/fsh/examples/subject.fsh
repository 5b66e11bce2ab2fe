RuleSet: RestrictedData
* meta.security = $confidentiality#R

RuleSet: NoDate(element)
* {element}.extension.url = $absent
* {element}.extension.valueCode = #unknown

Instance: example-study
InstanceOf: TrialStudy
Usage: #example
Title: "The ISIKOK-19 trial"
* identifier[nct].value = "NCT04206943"
* identifier[approval].value = "(56733164/203)/(2019-11/6)"
* title = "ISIKOK-19"
* status = #active
* phase = http://terminology.hl7.org/CodeSystem/research-study-phase#phase-1-phase-2
* sponsor.display = "Acıbadem University"
* site.display = "Acıbadem Altunizade Hospital"

Instance: example-patient-2
InstanceOf: TrialPatient
Usage: #example
Title: "Patient 2 of Table 1"
* insert RestrictedData
* identifier[subject].value = "ISIKOK19-002"
* gender = #female
* insert NoDate(birthDate)

Instance: example-consent-2
InstanceOf: TrialConsent
Usage: #example
Title: "Consent of patient 2"
* insert RestrictedData
* status = #active
* scope = http://terminology.hl7.org/CodeSystem/consentscope#research
* category = $LNC#59284-0
* patient = Reference(example-patient-2)
* insert NoDate(dateTime)
* policyRule.text = "Written informed consent"

Instance: example-research-subject-2
InstanceOf: TrialResearchSubject
Usage: #example
Title: "Participation of patient 2"
* insert RestrictedData
* identifier.system = $subject-id
* identifier.value = "ISIKOK19-002"
* status = #on-study
* study = Reference(example-study)
* individual = Reference(example-patient-2)
* consent = Reference(example-consent-2)

Instance: example-group-treated-all
InstanceOf: TrialGroup
Usage: #example
Title: "Treated subjects with acute lymphoblastic leukaemia"
* insert RestrictedData
* identifier.system = $record-id
* identifier.value = "treated-ALL"
* active = true
* type = #person
* actual = true
* code = $concept#cohort-treated
* name = "ISIKOK-19, treated-ALL"
* quantity = 3
* characteristic.code.text = "Diagnosis"
* characteristic.valueCodeableConcept = $ICD10#C91.0
* characteristic.exclude = false
* member.entity = Reference(example-patient-2)

Instance: example-condition-2
InstanceOf: TrialCondition
Usage: #example
Title: "Leukaemia of patient 2"
* insert RestrictedData
* clinicalStatus = $clinical#active
* verificationStatus = $verification#confirmed
* code.coding[0] = $ICD10#C91.0
* code.coding[1] = $SCT#91857003
* code.text = "ALL"
* subject = Reference(example-patient-2)
* insert NoDate(onsetDateTime)
