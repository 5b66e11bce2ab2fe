Invariant: cf-restricted
Description: "Data of a trial subject carries the confidentiality label R (or the stricter V)"
Severity: #error
Expression: "meta.security.where(system = 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality' and (code = 'R' or code = 'V')).exists()"

Invariant: cf-unit
Description: "A quantity has a UCUM system and code, or a unit whose data-absent-reason is unknown: never both, never neither"
Severity: #error
Expression: "(system.exists() and system = 'http://unitsofmeasure.org' and code.exists() and unit.extension.where(url = 'http://hl7.org/fhir/StructureDefinition/data-absent-reason').empty()) xor (system.empty() and code.empty() and unit.extension.where(url = 'http://hl7.org/fhir/StructureDefinition/data-absent-reason' and value = 'unknown').exists())"

Invariant: cf-effective
Description: "A time is given, or a data-absent-reason in its place"
Severity: #error
Expression: "effective.hasValue() or effective.start.exists() or effective.end.exists() or effective.extension.where(url = 'http://hl7.org/fhir/StructureDefinition/data-absent-reason').exists()"

Invariant: cf-performed
Description: "A procedure that was done has a time, or a data-absent-reason in its place"
Severity: #error
Expression: "status = 'not-done' or performed.hasValue() or performed.start.exists() or performed.end.exists() or performed.extension.where(url = 'http://hl7.org/fhir/StructureDefinition/data-absent-reason').exists()"

Invariant: cf-value-or-reason
Description: "An observation has a value or a reason why it has none"
Severity: #error
Expression: "value.exists() or dataAbsentReason.exists()"

Invariant: cf-percent
Description: "A percentage lies between 0 and 100"
Severity: #error
Expression: "value.empty() or (value >= 0 and value <= 100)"

Invariant: cf-nct
Description: "A ClinicalTrials.gov number is NCT and eight digits"
Severity: #error
Expression: "matches('^NCT[0-9]{8}$')"

Invariant: cf-code-or-text
Description: "A concept has a coding or a text"
Severity: #error
Expression: "coding.exists() or text.exists()"

RuleSet: SubjectData
* insert OwnDefinition
* obeys cf-restricted
* meta MS
* meta.security MS

// A resource with this code is checked by the profile even where it does not claim it: docs/decisions/0006-profiles-by-code.md
RuleSet: ChosenBy(code)
* ^useContext[+].code = http://terminology.hl7.org/CodeSystem/usage-context-type#focus
* ^useContext[=].valueCodeableConcept = {code}
