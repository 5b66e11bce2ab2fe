// An expression sees the Bundle of one subject's record. Populations are nested: a numerator counts within the denominator.

RuleSet: Population(index, code, description)
* group.population[{index}].code = http://terminology.hl7.org/CodeSystem/measure-population#{code}
* group.population[{index}].description = "{description}"
* group.population[{index}].criteria.language = #text/fhirpath

RuleSet: OwnMeasure(id, name, title)
* id = "{id}"
* url = "https://cart-fhir.example/fhir/Measure/{id}"
* version = "0.1.0"
* name = "{name}"
* title = "{title}"
* status = #active
* experimental = false
* publisher = "cart-fhir"
* subjectCodeableConcept = http://hl7.org/fhir/resource-types#Patient
* scoring = http://terminology.hl7.org/CodeSystem/measure-scoring#proportion
* insert Population(0, initial-population, Subjects who received the infusion)
* group.population[0].criteria.expression = "Bundle.entry.resource.ofType(Procedure).where((status = 'completed' or status = 'in-progress') and code.coding.where(system = 'https://cart-fhir.example/fhir/CodeSystem/trial-concept' and code = 'car-t-infusion').exists()).exists()"

Instance: response-rate
InstanceOf: Measure
Usage: #definition
Title: "Overall response rate"
* insert OwnMeasure(response-rate, OverallResponseRate, Overall response rate)
* description = "Share of the treated subjects with a known response whose response is complete or partial."
* improvementNotation = http://terminology.hl7.org/CodeSystem/measure-improvement-notation#increase
* insert Population(1, denominator, [[Subjects with one recorded response, and one that could be evaluated]])
* group.population[1].criteria.expression = "Bundle.entry.resource.ofType(Observation).where(code.coding.where(system = 'http://loinc.org' and code = '97509-4').exists()).value.coding.where(system = 'http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl').code.distinct().count() = 1 and Bundle.entry.resource.ofType(Observation).where(code.coding.where(system = 'http://loinc.org' and code = '97509-4').exists()).value.coding.where(system = 'http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl' and (code = 'C4870' or code = 'C18058' or code = 'C18213' or code = 'C35571' or code = 'C173526')).exists()"
* insert Population(2, numerator, Subjects whose response is complete or partial)
* group.population[2].criteria.expression = "Bundle.entry.resource.ofType(Observation).where(code.coding.where(system = 'http://loinc.org' and code = '97509-4').exists()).value.coding.where(system = 'http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl' and (code = 'C4870' or code = 'C18058')).exists()"

Instance: toxicity-rate
InstanceOf: Measure
Usage: #definition
Title: "Toxicity rate"
* insert OwnMeasure(toxicity-rate, ToxicityRate, Toxicity rate)
* description = "Share of the treated subjects of whom it is known whether a toxicity came about, who had one."
* improvementNotation = http://terminology.hl7.org/CodeSystem/measure-improvement-notation#decrease
* insert Population(1, denominator, [[Subjects with an adverse event, a grade of toxicity, or its recorded absence]])
* group.population[1].criteria.expression = "Bundle.entry.resource.ofType(AdverseEvent).where(actuality = 'actual').exists() or Bundle.entry.resource.ofType(Observation).where(code.coding.where(system = 'https://cart-fhir.example/fhir/CodeSystem/trial-concept' and (code = 'crs-grade' or code = 'cres-grade' or code = 'icans-grade')).exists()).value.exists() or Bundle.entry.resource.ofType(Observation).where(code.coding.where(system = 'https://cart-fhir.example/fhir/CodeSystem/trial-concept' and code = 'toxicity').exists()).value.coding.where(system = 'http://snomed.info/sct' and code = '2667000').exists()"
* insert Population(2, numerator, Subjects with an adverse event or a grade of toxicity)
* group.population[2].criteria.expression = "Bundle.entry.resource.ofType(AdverseEvent).where(actuality = 'actual').exists() or Bundle.entry.resource.ofType(Observation).where(code.coding.where(system = 'https://cart-fhir.example/fhir/CodeSystem/trial-concept' and (code = 'crs-grade' or code = 'cres-grade' or code = 'icans-grade')).exists()).value.exists()"
