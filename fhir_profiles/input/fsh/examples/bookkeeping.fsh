Instance: example-issue-unit
InstanceOf: TrialDetectedIssue
Usage: #example
Title: "Laboratory values without units"
* insert RestrictedData
* status = #final
* code = $quality#unit-missing
* severity = #moderate
* patient = Reference(example-patient-2)
* implicated[0] = Reference(example-ldh-2)
* implicated[1] = Reference(example-ferritin-2)
* implicated[2] = Reference(example-crp-2)
* detail = "The source states no unit for these values. They have no UCUM code and are left out of indices."

RuleSet: ImportAgent
* recorded = "2026-01-15T10:00:00Z"
* agent.type = http://terminology.hl7.org/CodeSystem/provenance-participant-type#assembler
* agent.who.type = "Device"
* agent.who.display = "cart-fhir record import"

Instance: example-provenance-ldh-2
InstanceOf: TrialProvenance
Usage: #example
Title: "Where the LDH of patient 2 stands in the paper"
* insert RestrictedData
* target = Reference(example-ldh-2)
* policy = "https://cart-fhir.example/fhir/mapping/isikok-19/labs/result"
* insert ImportAgent
* entity.role = #quotation
* entity.what.display = "Turk J Hematol 2022;39:206-210"
* entity.extension[sourceCell].extension[table].valueString = "Table 1"
* entity.extension[sourceCell].extension[row].valueString = "2"
* entity.extension[sourceCell].extension[column].valueString = "Pre-CAR-T LDH/Ferritin/CRP"
* entity.extension[sourceCell].extension[passage].valueString = "207/2376/3.3"

Instance: example-provenance-issue-unit
InstanceOf: TrialProvenance
Usage: #example
Title: "A doubt is derived from the resources that it is about"
* insert RestrictedData
* target = Reference(example-issue-unit)
* policy = "https://cart-fhir.example/fhir/mapping/isikok-19/quality"
* insert ImportAgent
* entity.role = #derivation
* entity.what = Reference(example-ldh-2)

RuleSet: Counts(slice, count)
* group.population[{slice}].count = {count}

Instance: example-report-response-rate
InstanceOf: TrialMeasureReport
Usage: #example
Title: "Response rate: five of seven, printed as 72 %"
* status = #complete
* type = #summary
* measure = "https://cart-fhir.example/fhir/Measure/response-rate"
* date = "2026-01-15"
* period.extension.url = $absent
* period.extension.valueCode = #unknown
* group.extension[publishedValue].valueString = "72%"
* insert Counts(initialPopulation, 7)
* insert Counts(denominator, 7)
* insert Counts(numerator, 5)
* group.measureScore.value = 0.7143
* group.stratifier.code.text = "Diagnosis"
* insert Stratum(0, ALL, 3, 2, 0.6667)
* insert Stratum(1, NHL, 4, 3, 0.75)

RuleSet: Stratum(index, name, denominator, numerator, score)
* group.stratifier.stratum[{index}].value.text = "{name}"
* group.stratifier.stratum[{index}].population[0].code = http://terminology.hl7.org/CodeSystem/measure-population#initial-population
* group.stratifier.stratum[{index}].population[0].count = {denominator}
* group.stratifier.stratum[{index}].population[1].code = http://terminology.hl7.org/CodeSystem/measure-population#denominator
* group.stratifier.stratum[{index}].population[1].count = {denominator}
* group.stratifier.stratum[{index}].population[2].code = http://terminology.hl7.org/CodeSystem/measure-population#numerator
* group.stratifier.stratum[{index}].population[2].count = {numerator}
* group.stratifier.stratum[{index}].measureScore.value = {score}
