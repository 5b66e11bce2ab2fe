RuleSet: OwnMeasure(id, name)
* id = "{id}"
* url = "https://cart-fhir.example/fhir/Measure/{id}"
* version = "0.1.0"
* name = "{name}"
* status = #active
* experimental = false
* publisher = "cart-fhir"
* subjectCodeableConcept = http://hl7.org/fhir/resource-types#Patient
* scoring = http://terminology.hl7.org/CodeSystem/measure-scoring#proportion
* group.population[0].code = http://terminology.hl7.org/CodeSystem/measure-population#initial-population
* group.population[0].description = "Subjects who received the infusion"
* group.population[0].criteria.language = #text/fhirpath
* group.population[0].criteria.expression = "Bundle.entry.resource.where($this is Procedure and status = 'completed').code.coding.where(system = 'https://cart-fhir.example/fhir/CodeSystem/trial-concept' and code = 'car-t-infusion').exists()"
* group.population[1].code = http://terminology.hl7.org/CodeSystem/measure-population#denominator
* group.population[1].description = "The initial population"
* group.population[1].criteria.language = #text/fhirpath
* group.population[1].criteria.expression = "true"
* group.population[2].code = http://terminology.hl7.org/CodeSystem/measure-population#numerator
* group.population[2].criteria.language = #text/fhirpath

Instance: response-rate
InstanceOf: Measure
Usage: #definition
Title: "Overall response rate"
* insert OwnMeasure(response-rate, OverallResponseRate)
* title = "Overall response rate"
* description = "Subjects with a complete or partial response among those treated. An expression sees the Bundle of one patient's record."
* improvementNotation = http://terminology.hl7.org/CodeSystem/measure-improvement-notation#increase
* group.population[2].description = "Subjects whose response is complete or partial"
* group.population[2].criteria.expression = "Bundle.entry.resource.where($this is Observation and code.coding.where(system = 'http://loinc.org' and code = '97509-4').exists()).value.coding.where(system = 'http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl' and (code = 'C4870' or code = 'C18058')).exists()"

Instance: toxicity-rate
InstanceOf: Measure
Usage: #definition
Title: "Toxicity rate"
* insert OwnMeasure(toxicity-rate, ToxicityRate)
* title = "Toxicity rate"
* description = "Subjects with a CAR-T-related toxicity among those treated. An expression sees the Bundle of one patient's record."
* improvementNotation = http://terminology.hl7.org/CodeSystem/measure-improvement-notation#decrease
* group.population[2].description = "Subjects with at least one actual adverse event"
* group.population[2].criteria.expression = "Bundle.entry.resource.where($this is AdverseEvent and actuality = 'actual').exists()"
