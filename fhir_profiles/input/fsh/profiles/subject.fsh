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

Profile: TrialStudy
Parent: ResearchStudy
Id: trial-study
Title: "Trial"
Description: "The clinical trial with its registry number."
* ^status = #active
* ^experimental = false
* ^publisher = "cart-fhir"
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
* consent MS

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

Profile: TrialGroup
Parent: Group
Id: trial-group
Title: "Cohort"
Description: "A step of the cohort funnel with its count; members only where the source names them."
* insert SubjectData
* actual = true
* type = #person
* identifier MS
* code 1..1 MS
* code from CohortVS (required)
* quantity 1..1 MS
* member MS
* member.entity only Reference(Patient)
* characteristic MS
* obeys cf-members

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
* extension contains DiseaseStatus named diseaseStatus 0..1 MS and
    http://hl7.org/fhir/StructureDefinition/condition-occurredFollowing named follows 0..* MS
* clinicalStatus 1..1 MS
* verificationStatus MS
* code 1..1 MS
* code from DiseaseVS (extensible)
* code obeys cf-code-or-text
* subject only Reference(Patient or Group)
* subject MS
* onset[x] MS
