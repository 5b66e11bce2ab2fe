Profile: TrialResearchSubject
Parent: ResearchSubject
Id: trial-research-subject
Title: "Participation of a subject"
Description: "One subject in the trial, under the same pseudonym as the Patient."
* insert OwnProfile
* insert Restricted
* insert SubjectIdentifier
* status MS
* study MS
* study only Reference(TrialStudy)
* individual MS
* individual only Reference(TrialPatient)
* consent 1..1 MS
* consent only Reference(TrialConsent)
* obeys period-in-order

Invariant: period-in-order
Description: "Who has left the study has an end of participation no earlier than its start."
Severity: #error
Expression: "period.start.empty() or period.end.empty() or period.start <= period.end"
