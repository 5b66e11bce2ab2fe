Profile: TrialDetectedIssue
Parent: DetectedIssue
Id: trial-detected-issue
Title: "Data issue"
Description: "A doubt about recorded data: its kind, the resources it speaks of, and what is doubtful. The data stays as it is."
* insert SubjectData
* insert ChosenBy($quality#implausible-value)
* insert ChosenBy($quality#unit-missing)
* insert ChosenBy($quality#contradiction)
* insert ChosenBy($quality#terminology-conflict)
* insert ChosenBy($quality#rate-mismatch)
* insert ChosenBy($quality#unassigned-fact)
* insert ChosenBy($quality#count-mismatch)
* insert ChosenBy($quality#not-stated)
* insert ChosenBy($quality#re-identification)
* insert ChosenBy($quality#profile-violation)
* status MS
* code 1..1 MS
* code from QualityIssueVS (required)
* severity 1..1 MS
* implicated 1..* MS
* detail 1..1 MS
* evidence MS

Profile: TrialProvenance
Parent: Provenance
Id: trial-provenance
Title: "Provenance"
Description: "Where a resource came from: the cell or passage of the source, or the resources from which it was derived."
* insert OwnDefinition
* extension contains ContentHash named contentHash 0..1 MS
* target MS
* recorded MS
* agent MS
* policy MS
* entity 1..* MS
* entity.extension contains SourceCell named sourceCell 0..1 MS
* policy 1..1
* entity obeys cf-source-cell

Invariant: cf-source-cell
Description: "What was taken or quoted from a source names its place there"
Severity: #error
Expression: "(role != 'source' and role != 'quotation') or extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/source-cell').exists()"

Profile: TrialMeasureReport
Parent: MeasureReport
Id: trial-measure-report
Title: "Rate"
Description: "Counts and the rate that they give, with the published rate beside it."
* insert OwnDefinition
* measure MS
* group 1..* MS
* group.extension contains PublishedValue named publishedValue 0..1 MS and CountedBy named countedBy 0..1 MS
* group.population MS
* group.population.code 1..1
* group.population.count 1..1
* group.population ^slicing.discriminator.type = #pattern
* group.population ^slicing.discriminator.path = "code"
* group.population ^slicing.rules = #open
* group.population contains initialPopulation 1..1 MS and denominator 1..1 MS and numerator 1..1 MS
* group.population[initialPopulation].code = http://terminology.hl7.org/CodeSystem/measure-population#initial-population
* group.population[denominator].code = http://terminology.hl7.org/CodeSystem/measure-population#denominator
* group.population[numerator].code = http://terminology.hl7.org/CodeSystem/measure-population#numerator
* group.measureScore MS
* group obeys cf-numerator and cf-population and cf-score and cf-score-missing
* group.stratifier.stratum obeys cf-numerator and cf-population and cf-score and cf-score-missing

Invariant: cf-numerator
Description: "The numerator is not greater than the denominator"
Severity: #error
Expression: "population.where(code.coding.where(code = 'numerator').exists()).count <= population.where(code.coding.where(code = 'denominator').exists()).count"

Invariant: cf-population
Description: "Nobody is in the denominator who is not in the initial population"
Severity: #error
Expression: "population.where(code.coding.where(code = 'denominator').exists()).count <= population.where(code.coding.where(code = 'initial-population').exists()).count"

Invariant: cf-score
Description: "The score is the numerator divided by the denominator, at four decimals"
Severity: #error
Expression: "measureScore.value.empty() or (population.where(code.coding.where(code = 'denominator').exists()).count > 0 and measureScore.value * population.where(code.coding.where(code = 'denominator').exists()).count - population.where(code.coding.where(code = 'numerator').exists()).count <= 0.00005 * population.where(code.coding.where(code = 'denominator').exists()).count and population.where(code.coding.where(code = 'numerator').exists()).count - measureScore.value * population.where(code.coding.where(code = 'denominator').exists()).count <= 0.00005 * population.where(code.coding.where(code = 'denominator').exists()).count)"

Invariant: cf-score-missing
Description: "A rate of at least one subject has its score"
Severity: #error
Expression: "population.where(code.coding.where(code = 'denominator').exists()).count > 0 implies measureScore.value.exists()"
