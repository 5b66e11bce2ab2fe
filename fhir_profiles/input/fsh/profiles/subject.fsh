Profile: TrialPatient
Parent: Patient
Id: trial-patient
Title: "Trial patient"
Description: "A pseudonymous subject: a trial identifier, sex, and a birth date or the reason why there is none. No name, address or telecom."
* insert SubjectData
* identifier 1..* MS
* identifier.system 1..1
* identifier.value 1..1
* identifier ^slicing.discriminator.type = #value
* identifier ^slicing.discriminator.path = "system"
* identifier ^slicing.rules = #open
* identifier contains subject 1..1 MS and crid 0..1 MS and ebmt 0..1 MS
* identifier[subject].system = "https://cart-fhir.example/fhir/identifier/subject" (exactly)
* identifier[crid].system = "https://cart-fhir.example/fhir/identifier/crid" (exactly)
* identifier[ebmt].system = "https://cart-fhir.example/fhir/identifier/ebmt" (exactly)
* identifier[subject] ^short = "Pseudonym of the trial"
* identifier[subject] obeys cf-pseudonym
* identifier[crid] ^short = "CIBMTR research id"
* identifier[ebmt] ^short = "EBMT registry id"
* gender 1..1 MS
* birthDate 1..1 MS
* birthDate ^short = "Birth date, or a data-absent-reason on it"
* name 0..0
* telecom 0..0
* address 0..0
* contact 0..0
* photo 0..0
* identifier obeys cf-no-record-number
* obeys cf-birth-date

Invariant: cf-pseudonym
Description: "A pseudonym is one word of capitals, digits and hyphens: no name and no e-mail address"
Severity: #error
Expression: "value.matches('^[A-Z][A-Z0-9-]{2,31}$')"

Invariant: cf-no-record-number
Description: "A medical record or national number leads back to the person and has no place in a trial record"
Severity: #error
Expression: "type.coding.where(system = 'http://terminology.hl7.org/CodeSystem/v2-0203' and (code = 'MR' or code = 'MRT' or code = 'NI' or code = 'SS')).empty()"

Invariant: cf-birth-date
Description: "A birth date is given, or a data-absent-reason in its place"
Severity: #error
Expression: "birthDate.hasValue() or birthDate.extension.where(url = 'http://hl7.org/fhir/StructureDefinition/data-absent-reason').exists()"

Profile: TrialStudy
Parent: ResearchStudy
Id: trial-study
Title: "Trial"
Description: "The clinical trial with its registry number."
* insert OwnDefinition
* identifier 1..* MS
* identifier.system 1..1
* identifier.value 1..1
* identifier ^slicing.discriminator.type = #value
* identifier ^slicing.discriminator.path = "system"
* identifier ^slicing.rules = #open
* identifier contains nct 1..1 MS and approval 0..1 MS
* identifier[nct].system = "http://clinicaltrials.gov" (exactly)
* identifier[nct].value obeys cf-nct
* identifier[approval].system = "https://cart-fhir.example/fhir/identifier/ministry-approval" (exactly)
* title 1..1 MS
* status MS
* phase MS
* sponsor MS
* site MS

Profile: TrialResearchSubject
Parent: ResearchSubject
Id: trial-research-subject
Title: "Trial subject"
Description: "The participation of one patient in the trial. One per study and individual."
* insert SubjectData
* identifier 1..* MS
* identifier.system 1..1
* identifier.value 1..1
* status MS
* study MS
* individual only Reference(Patient)
* individual MS
* consent 1..1 MS

Profile: TrialConsent
Parent: Consent
Id: trial-consent
Title: "Consent to the trial"
Description: "Informed consent to take part in the research. Active before the infusion, where both dates are known."
* insert SubjectData
* status MS
* scope = http://terminology.hl7.org/CodeSystem/consentscope#research
* scope MS
* category MS
* category = $LNC#59284-0
* patient 1..1 MS
* dateTime 1..1 MS
* dateTime ^short = "Date of the consent, or a data-absent-reason on it"
* provision MS
* obeys cf-consent-date and cf-consent-permits

Invariant: cf-consent-date
Description: "The date of the consent is given, or a data-absent-reason in its place"
Severity: #error
Expression: "dateTime.hasValue() or dateTime.extension.where(url = 'http://hl7.org/fhir/StructureDefinition/data-absent-reason').exists()"

Invariant: cf-consent-permits
Description: "An active consent permits: one that was refused has the status rejected, one that was withdrawn inactive"
Severity: #error
Expression: "status = 'active' implies provision.where(type = 'deny').empty()"

Profile: TrialGroup
Parent: Group
Id: trial-group
Title: "Cohort"
Description: "A step of the cohort funnel with its count; members only where the source names them."
* insert SubjectData
* insert ChosenBy($concept#cohort-enrolled)
* insert ChosenBy($concept#cohort-apheresed)
* insert ChosenBy($concept#cohort-product-released)
* insert ChosenBy($concept#cohort-treated)
* actual = true
* type = #person
* identifier MS
* code 1..1 MS
* code from CohortVS (required)
* quantity 1..1 MS
* member MS
* member.entity only Reference(Patient)
* characteristic MS
* obeys cf-members and cf-member-once

Invariant: cf-member-once
Description: "A subject is a member once"
Severity: #error
Expression: "member.entity.reference.isDistinct()"

Invariant: cf-members
Description: "A group does not list more members than it counts"
Severity: #error
Expression: "member.where(inactive.empty() or inactive = false).count() <= quantity"

Profile: TrialCondition
Parent: Condition
Id: trial-condition
Title: "Disease"
Description: "The malignancy that is treated, or one that it came from (condition-occurredFollowing)."
* insert SubjectData
* insert ChosenBy($concept#double-hit-lymphoma)
* extension contains DiseaseStatus named diseaseStatus 0..1 MS and
    http://hl7.org/fhir/StructureDefinition/condition-occurredFollowing named follows 0..* MS
* clinicalStatus MS
* verificationStatus MS
* code 1..1 MS
* code from DiseaseVS (extensible)
* code obeys cf-disease
* subject only Reference(Patient or Group)
* subject MS
* onset[x] MS
* obeys cf-clinical-status

Invariant: cf-disease
Description: "A disease has an ICD-10 or ICD-O-3 code, or the words of the source"
Severity: #error
Expression: "text.exists() or coding.where(system = 'http://hl7.org/fhir/sid/icd-10' or system = 'http://terminology.hl7.org/CodeSystem/icd-o-3').exists()"

Invariant: cf-clinical-status
Description: "A disease has a clinical status, unless it was entered in error"
Severity: #error
Expression: "clinicalStatus.exists() or verificationStatus.coding.where(code = 'entered-in-error').exists()"

