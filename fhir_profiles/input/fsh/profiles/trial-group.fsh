Profile: TrialGroup
Parent: Group
Id: trial-group
Title: "Cohort"
Description: "A step of the cohort funnel: how many subjects came that far, and who they are where that is known."
* insert OwnProfile
* insert Restricted
* identifier MS
* type = #person
* actual = true
* code 1..1 MS
* code from CohortVS (required)
* quantity 1..1 MS
* characteristic MS
* member MS
* member.entity only Reference(TrialPatient)
* obeys members-not-repeated

Invariant: members-not-repeated
Description: "A subject is a member once."
Severity: #error
Expression: "member.entity.reference.isDistinct()"
