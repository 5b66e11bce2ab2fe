RuleSet: OwnSearch(type, code, kind)
* id = "{type}-{code}"
* url = "https://cart-fhir.example/fhir/SearchParameter/{type}-{code}"
* version = "0.1.0"
* status = #active
* experimental = false
* publisher = "cart-fhir"
* code = #{code}
* base = #{type}
* type = #{kind}

Instance: BiologicallyDerivedProduct-identifier
InstanceOf: SearchParameter
Usage: #definition
* insert OwnSearch(BiologicallyDerivedProduct, identifier, token)
* name = "ProductIdentifier"
* description = "Lot number or another identifier of the product"
* expression = "BiologicallyDerivedProduct.identifier"

Instance: BiologicallyDerivedProduct-status
InstanceOf: SearchParameter
Usage: #definition
* insert OwnSearch(BiologicallyDerivedProduct, status, token)
* name = "ProductStatus"
* description = "Whether the product is available or unavailable"
* expression = "BiologicallyDerivedProduct.status"

Instance: BiologicallyDerivedProduct-source
InstanceOf: SearchParameter
Usage: #definition
* insert OwnSearch(BiologicallyDerivedProduct, source, reference)
* name = "ProductSource"
* description = "From whom the cells were collected"
* expression = "BiologicallyDerivedProduct.collection.source"
* target[+] = #Patient
* target[+] = #Organization

Instance: BiologicallyDerivedProduct-release-status
InstanceOf: SearchParameter
Usage: #definition
* insert OwnSearch(BiologicallyDerivedProduct, release-status, token)
* name = "ProductReleaseStatus"
* description = "Outcome of the quality control"
* expression = "BiologicallyDerivedProduct.extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/release-status').value"

Instance: Procedure-infused-product
InstanceOf: SearchParameter
Usage: #definition
* insert OwnSearch(Procedure, infused-product, reference)
* name = "InfusedProduct"
* description = "The product that an infusion gave"
* expression = "Procedure.extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/infused-product').value"
* target = #BiologicallyDerivedProduct

Instance: DetectedIssue-status
InstanceOf: SearchParameter
Usage: #definition
* insert OwnSearch(DetectedIssue, status, token)
* name = "IssueStatus"
* description = "Status of the issue"
* expression = "DetectedIssue.status"

Instance: DetectedIssue-severity
InstanceOf: SearchParameter
Usage: #definition
* insert OwnSearch(DetectedIssue, severity, token)
* name = "IssueSeverity"
* description = "How much harm the issue can do"
* expression = "DetectedIssue.severity"

Instance: Provenance-policy
InstanceOf: SearchParameter
Usage: #definition
* insert OwnSearch(Provenance, policy, uri)
* name = "ProvenancePolicy"
* description = "The mapping rule that made the target"
* expression = "Provenance.policy"

Instance: AdverseEvent-suspect-product
InstanceOf: SearchParameter
Usage: #definition
* insert OwnSearch(AdverseEvent, suspect-product, reference)
* name = "SuspectProduct"
* description = "The product held to have caused the event"
* expression = "AdverseEvent.extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/suspect-product').value"
* target = #BiologicallyDerivedProduct

Instance: AdverseEvent-grade
InstanceOf: SearchParameter
Usage: #definition
* insert OwnSearch(AdverseEvent, grade, token)
* name = "AdverseEventGrade"
* description = "Highest grade of the event"
* expression = "AdverseEvent.extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/adverse-event-grade').value"

Instance: Condition-disease-status
InstanceOf: SearchParameter
Usage: #definition
* insert OwnSearch(Condition, disease-status, token)
* name = "DiseaseStatus"
* description = "Relapsed or refractory"
* expression = "Condition.extension.where(url = 'https://cart-fhir.example/fhir/StructureDefinition/disease-status').value"
