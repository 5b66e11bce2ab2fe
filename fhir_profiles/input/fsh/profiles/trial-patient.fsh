Profile: TrialPatient
Parent: Patient
Id: trial-patient
Title: "Trial subject"
Description: "A subject of the trial under a pseudonym. It carries nothing that names or reaches a person."
* insert OwnProfile
* insert Restricted
* insert SubjectIdentifier
* identifier obeys no-hospital-number
* name 0..0
* telecom 0..0
* address 0..0
* photo 0..0
* contact 0..0
* gender 1..1 MS
* birthDate 1..1 MS
* birthDate.extension contains $absent named absent 0..1 MS
* obeys birth-date-or-reason

Invariant: no-hospital-number
Description: "A medical record number leads back to the person and has no place here."
Severity: #error
Expression: "type.coding.where(system = 'http://terminology.hl7.org/CodeSystem/v2-0203' and (code = 'MR' or code = 'MRT' or code = 'NI' or code = 'SS')).empty()"

Invariant: birth-date-or-reason
Description: "The birth date is given, or a data-absent-reason in its place."
Severity: #error
Expression: "birthDate.hasValue() or birthDate.extension('http://hl7.org/fhir/StructureDefinition/data-absent-reason').exists()"
