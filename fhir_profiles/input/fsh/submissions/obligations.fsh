CodeSystem: SubmissionStatus
Id: submission-status
Title: "State of a registry report"
Description: "Where a report that is owed to a registry stands, in Task.businessStatus."
* insert OwnCodes
* #NOTDUE "Not due" "The infusion is known and the window of the report is not open yet."
* #DUE "Due" "The window is open and nothing was received."
* #RCV "Received" "The registry gave a receipt."
* #QRY "Queried" "The registry asks about warnings."
* #ERR "Rejected" "The registry refused the report for errors."
* #CMP "Accepted" "The registry acknowledged the report."
* #SUP "Superseded" "A newer report that replaces this one was accepted."
* #VOID "Voided" "The report was entered in error and taken back."
* #LTF "Lost to follow-up" "Waived: the subject is lost to follow-up."
* #NRQ "Not required" "Waived: the registry does not ask for the report."

CodeSystem: Submission
Id: submission
Title: "Registry reports"
Description: "What the tasks of registry reports are called, and what goes into one."
* insert OwnCodes
* #registry-report "Registry report" "A report on a subject that is owed to a registry."
* #form "Form" "The registry's name of the form."
* #time-point "Time point" "For which time after the infusion the report is."
* #infusion "Infusion" "The infusion from which the time is counted."
* #period "Reporting period" "The days of which the report speaks."

ValueSet: SubmissionStatusVS
Id: submission-status
Title: "State of a registry report"
Description: "All states."
* insert OwnDefinition
* include codes from system SubmissionStatus

Profile: RegistryReport
Parent: Task
Id: registry-report
Title: "Registry report that is owed"
Description: "An obligation towards a registry and its state: one for each subject, form and time point, by a versioned PlanDefinition."
* insert SubjectData
* instantiatesUri 1..1 MS
* intent = #order
* code 1..1
* code = Submission#registry-report
* businessStatus 1..1 MS
* businessStatus from SubmissionStatusVS (required)
* for 1..1 MS
* for only Reference(Patient)
* focus 1..1 MS
* restriction MS
* restriction.period MS
* input ^slicing.discriminator.type = #pattern
* input ^slicing.discriminator.path = "type"
* input ^slicing.rules = #open
* input contains form 1..1 MS and timePoint 1..1 MS and infusion 1..1 MS and period 0..1 MS
* input[form].type = Submission#form
* input[form].value[x] only string
* input[timePoint].type = Submission#time-point
* input[timePoint].value[x] only code
* input[infusion].type = Submission#infusion
* input[infusion].value[x] only Reference(Procedure)
* input[period].type = Submission#period
* input[period].value[x] only Period
* obeys cf-submission-state and cf-submission-due

Invariant: cf-submission-state
Description: "The status of the task is the one that belongs to the state of the report"
Severity: #error
Expression: "(businessStatus.coding.where(code = 'NOTDUE').exists() and status = 'draft') or (businessStatus.coding.where(code = 'DUE').exists() and status = 'requested') or (businessStatus.coding.where(code = 'RCV').exists() and status = 'received') or (businessStatus.coding.where(code = 'QRY').exists() and status = 'on-hold') or (businessStatus.coding.where(code = 'ERR').exists() and status = 'rejected') or (businessStatus.coding.where(code = 'CMP' or code = 'SUP').exists() and status = 'completed') or (businessStatus.coding.where(code = 'VOID').exists() and status = 'entered-in-error') or (businessStatus.coding.where(code = 'LTF' or code = 'NRQ').exists() and status = 'cancelled')"

Invariant: cf-submission-due
Description: "A report that is due has a day by which it is due, and one that is waived a reason"
Severity: #error
Expression: "(status = 'requested' implies restriction.period.end.exists()) and (status = 'cancelled' implies statusReason.exists())"
