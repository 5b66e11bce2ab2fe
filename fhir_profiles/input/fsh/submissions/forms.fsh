CodeSystem: EmptyReason
Id: empty-reason
Title: "Why a question of a form is empty"
Description: "What $populate says of a question that the record does not answer. No question is answered by a guess."
* insert OwnCodes
* #no-resource "No resource" "The record has nothing that answers the question. That something is not recorded does not say that it was not so."
* #not-recorded "Not recorded" "The record has the resource, and not what is asked of it: a date, a unit, a result."
* #ambiguous "Ambiguous" "The record has several different answers where one is asked for."
* #outside-window "Outside of the period" "What the record has lies outside of the reporting period."
* #unmapped "Unmapped" "No element of the record is known to answer the question, or its value has no place in the form."

ValueSet: EmptyReasonVS
Id: empty-reason
Title: "Why a question of a form is empty"
Description: "All reasons."
* insert OwnDefinition
* include codes from system EmptyReason

Extension: ItemSource
Id: item-source
Title: "Source of an item"
Description: "FHIRPath of the resources that answer a question, and of the answer that each of them gives. The initialExpression of the item is made of both."
Context: Questionnaire.item
* insert OwnDefinition
* extension contains resources 1..1 and answer 1..1
* extension[resources].value[x] only Expression
* extension[resources].value[x] 1..1
* extension[answer].value[x] only Expression
* extension[answer].value[x] 1..1

Extension: AnswerSource
Id: answer-source
Title: "Source of an answer"
Description: "A resource of the record that gives the answer, in the version that was read."
Context: QuestionnaireResponse.item.answer
* insert OwnDefinition
* value[x] only Reference
* value[x] 1..1

Extension: EmptyReasonExtension
Id: empty-reason
Title: "Reason of a gap"
Description: "Why the question has no answer."
Context: QuestionnaireResponse.item
* insert OwnDefinition
* value[x] only Coding
* value[x] 1..1
* value[x] from EmptyReasonVS (required)

Extension: ReportPeriod
Id: report-period
Title: "Reporting period"
Description: "The first and the last day that a report speaks of."
Context: QuestionnaireResponse
* insert OwnDefinition
* value[x] only Period
* value[x] 1..1
