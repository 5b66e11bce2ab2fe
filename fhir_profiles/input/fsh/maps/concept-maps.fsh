RuleSet: OwnMap(id, name, title)
* id = "{id}"
* url = "https://cart-fhir.example/fhir/ConceptMap/{id}"
* version = "0.1.0"
* name = "{name}"
* title = "{title}"
* status = #active
* experimental = false
* publisher = "cart-fhir"

RuleSet: Into(system)
* group[+].source = "https://cart-fhir.example/fhir/CodeSystem/published-term"
* group[=].target = "{system}"

RuleSet: Map(code, target, display, equivalence)
* group[=].element[+].code = #"{code}"
* group[=].element[=].target.code = #"{target}"
* group[=].element[=].target.display = "{display}"
* group[=].element[=].target.equivalence = #{equivalence}

RuleSet: Nothing(code, comment)
* group[=].element[+].code = #"{code}"
* group[=].element[=].target.equivalence = #unmatched
* group[=].element[=].target.comment = "{comment}"

Instance: sex
InstanceOf: ConceptMap
Usage: #definition
* insert OwnMap(sex, Sex, Sex to administrative gender)
* insert Into(http://hl7.org/fhir/administrative-gender)
* insert Map(M, male, Male, equivalent)
* insert Map(F, female, Female, equivalent)

Instance: disease
InstanceOf: ConceptMap
Usage: #definition
* insert OwnMap(disease, Disease, [[Disease to ICD-10, ICD-O-3, SNOMED CT and NCIt]])
* insert Into(http://hl7.org/fhir/sid/icd-10)
* insert Map(ALL, C91.0, Acute lymphoblastic leukaemia, equivalent)
* insert Map(DLBCL, C83.3, Diffuse large B-cell lymphoma, equivalent)
* insert Map(CLL, C91.1, Chronic lymphocytic leukaemia of B-cell type, equivalent)
* insert Map(FL, C82.9, [[Follicular lymphoma, unspecified]], equivalent)
* insert Into(http://terminology.hl7.org/CodeSystem/icd-o-3)
* insert Map(ALL, 9835/3, [[Acute lymphoblastic leukaemia, NOS]], equivalent)
* insert Map(DLBCL, 9680/3, [[Diffuse large B-cell lymphoma, NOS]], equivalent)
* insert Map(DHL, 9680/3, [[Diffuse large B-cell lymphoma, NOS]], wider)
* insert Map(CLL, 9823/3, Chronic lymphocytic leukaemia, equivalent)
* insert Map(FL, 9690/3, [[Follicular lymphoma, NOS]], equivalent)
* insert Into(http://snomed.info/sct)
* insert Map(ALL, 91857003, Acute lymphoid leukemia, equivalent)
* insert Map(DLBCL, 109969005, Diffuse large B-cell lymphoma, equivalent)
* insert Map(CLL, 92814006, Chronic lymphoid leukemia, equivalent)
* insert Map(NHL, 118601006, Non-Hodgkin's lymphoma, equivalent)
* insert Into(http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl)
* insert Map(ALL, C8644, B Acute Lymphoblastic Leukemia, narrower)
* group[=].element[=].target.comment = "The trial admits CD19-positive disease only."
* insert Into(https://cart-fhir.example/fhir/CodeSystem/trial-concept)
* insert Map(DHL, double-hit-lymphoma, Double-hit lymphoma, equivalent)

Instance: response
InstanceOf: ConceptMap
Usage: #definition
* insert OwnMap(response, Response, Response to NCIt)
* insert Into(http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl)
* insert Map(CR, C4870, Complete Response, equivalent)
* insert Map(PR, C18058, Partial Response, equivalent)
* insert Map(SD, C18213, Stable Disease, equivalent)
* insert Map(PD, C35571, Progressive Disease, equivalent)
* insert Map(NR, C173526, No Response, equivalent)
* insert Map(NE, C62222, Not Evaluable, equivalent)

Instance: toxicity-term
InstanceOf: ConceptMap
Usage: #definition
* insert OwnMap(toxicity-term, ToxicityTerm, Toxicity term to the grade observation)
* insert Into(https://cart-fhir.example/fhir/CodeSystem/trial-concept)
* insert Map(CRS, crs-grade, CRS grade, equivalent)
* insert Map(CRES, cres-grade, CRES grade, equivalent)
* insert Map(ICANS, icans-grade, ICANS grade, equivalent)
* insert Map(pancytopenia, hematological-toxicity, Haematological toxicity, equivalent)
* insert Nothing(No, The source reports no toxicity.)

Instance: toxicity-event
InstanceOf: ConceptMap
Usage: #definition
* insert OwnMap(toxicity-event, ToxicityEvent, Toxicity term to the adverse event)
* insert Into(http://terminology.hl7.org/CodeSystem/mdr)
* insert Map(CRS, 10052015, Cytokine release syndrome, equivalent)
* insert Into(http://snomed.info/sct)
* insert Map(pancytopenia, 127034005, Pancytopenia, equivalent)
* insert Into(https://cart-fhir.example/fhir/CodeSystem/trial-concept)
* insert Map(CRES, cres, CRES, equivalent)
* insert Map(ICANS, icans, ICANS, equivalent)
* insert Nothing(No, The source reports no toxicity.)

Instance: toxicity-grade-map
InstanceOf: ConceptMap
Usage: #definition
* insert OwnMap(toxicity-grade, ToxicityGradeMap, Grade to NCIt)
* insert Into(http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl)
* insert Map(1, C41338, Grade 1 Mild Adverse Event, equivalent)
* insert Map(2, C41339, Grade 2 Moderate Adverse Event, equivalent)
* insert Map(3, C41340, Grade 3 Severe Adverse Event, equivalent)
* insert Map(4, C41337, Grade 4 Life Threatening or Disabling Adverse Event, equivalent)
* insert Map(5, C48275, Grade 5 Death Related to Adverse Event, equivalent)

RuleSet: DrugCodes
* insert Into(http://www.whocc.no/atc)
* insert Map(Vincristine, L01CA02, vincristine, equivalent)
* insert Map(vincristine, L01CA02, vincristine, equivalent)
* insert Map(Methylprednisolone, H02AB04, methylprednisolone, equivalent)
* insert Map(methylprednisolone, H02AB04, methylprednisolone, equivalent)
* insert Map(Nivolumab, L01FF01, nivolumab, equivalent)
* insert Map(nivolumab, L01FF01, nivolumab, equivalent)
* insert Map(ibrutinib, L01EL01, ibrutinib, equivalent)
* insert Map(tocilizumab, L04AC07, tocilizumab, equivalent)
* insert Map(dexamethasone, H02AB02, dexamethasone, equivalent)
* insert Map(rituximab, L01FA01, rituximab, equivalent)
* insert Map(bendamustine, L01AA09, bendamustine, equivalent)
* insert Map(fludarabine, L01BB05, fludarabine, equivalent)
* insert Map(cyclophosphamide, L01AA01, cyclophosphamide, equivalent)
* insert Map(cytarabine, L01BC01, cytarabine, equivalent)
* insert Map(etoposide, L01CB01, etoposide, equivalent)
* insert Map(ifosfamide, L01AA06, ifosfamide, equivalent)
* insert Map(gemcitabine, L01BC05, gemcitabine, equivalent)
* insert Map(carboplatin, L01XA02, carboplatin, equivalent)
* insert Map(oxaliplatin, L01XA03, oxaliplatin, equivalent)
* insert Map(cisplatin, L01XA01, cisplatin, equivalent)
* insert Map(idarubicin, L01DB06, idarubicin, equivalent)
* insert Map(doxorubicin, L01DB01, doxorubicin, equivalent)
* insert Into(http://www.nlm.nih.gov/research/umls/rxnorm)
* insert Map(Methylprednisolone, 6902, methylprednisolone, equivalent)
* insert Map(methylprednisolone, 6902, methylprednisolone, equivalent)
* insert Map(ibrutinib, 1442981, ibrutinib, equivalent)
* insert Map(tocilizumab, 612865, tocilizumab, equivalent)
* insert Map(rituximab, 121191, rituximab, equivalent)
* insert Map(bendamustine, 134547, bendamustine, equivalent)
* insert Map(fludarabine, 24698, fludarabine, equivalent)
* insert Map(cyclophosphamide, 3002, cyclophosphamide, equivalent)
* insert Map(cytarabine, 3041, cytarabine, equivalent)
* insert Map(etoposide, 4179, etoposide, equivalent)
* insert Map(ifosfamide, 5657, ifosfamide, equivalent)
* insert Map(gemcitabine, 12574, gemcitabine, equivalent)
* insert Map(carboplatin, 40048, carboplatin, equivalent)

Instance: drug
InstanceOf: ConceptMap
Usage: #definition
* insert OwnMap(drug, Drug, Drug to ATC and RxNorm)
* insert DrugCodes

Instance: regimen-map
InstanceOf: ConceptMap
Usage: #definition
* insert OwnMap(regimen, RegimenMap, Regimen to the project's regimen codes)
* insert Into(https://cart-fhir.example/fhir/CodeSystem/regimen)
* insert Map(R-CHOP, r-chop, R-CHOP, equivalent)
* insert Map(CHOP, chop, CHOP, equivalent)
* insert Map(R-EPOCH-R, r-epoch-r, R-EPOCH-R, equivalent)
* insert Map(R-ICE, r-ice, R-ICE, equivalent)
* insert Map(ICE, ice, ICE, equivalent)
* insert Map(ESHAP, eshap, ESHAP, equivalent)
* insert Map(GEMOX, gemox, GEMOX, equivalent)
* insert Map(GDP, gdp, GDP, equivalent)
* insert Map(R-Bendamustine, r-bendamustine, R-Bendamustine, equivalent)
* insert Map(FLAG-IDA, flag-ida, FLAG-IDA, equivalent)
* insert Map(Hyper-CVAD, hyper-cvad, Hyper-CVAD, equivalent)
* insert Map(R-Hyper-CVAD, r-hyper-cvad, R-Hyper-CVAD, equivalent)
* insert Map(ALL-IC BFM 2009, all-ic-bfm-2009, ALL-IC BFM 2009, equivalent)

Instance: hsct-type
InstanceOf: ConceptMap
Usage: #definition
* insert OwnMap(hsct-type, HsctType, Transplantation type to SNOMED CT and NCIt)
* insert Into(http://snomed.info/sct)
* insert Map(Allogenic, 425843001, Allogeneic hematopoietic stem cell transplantation, equivalent)
* insert Map(Allogeneic, 425843001, Allogeneic hematopoietic stem cell transplantation, equivalent)
* insert Map(Autologous, 425983008, Autologous hematopoietic stem cell transplantation, equivalent)
* insert Nothing(No, The source reports no earlier transplantation.)
* insert Into(http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl)
* insert Map(Allogenic, C46089, Allogeneic Hematopoietic Stem Cell Transplantation, equivalent)
* insert Map(Allogeneic, C46089, Allogeneic Hematopoietic Stem Cell Transplantation, equivalent)
* insert Map(Autologous, C16039, Autologous Hematopoietic Stem Cell Transplantation, equivalent)

Instance: bridging
InstanceOf: ConceptMap
Usage: #definition
* insert OwnMap(bridging, Bridging, Bridging therapy to SNOMED CT and ATC)
* insert Into(http://snomed.info/sct)
* insert Map(RT, 108290001, Radiation oncology AND/OR radiotherapy, equivalent)
* insert Nothing(No, The source reports no bridging therapy.)
* insert Into(http://www.whocc.no/atc)
* insert Map(Vincristine, L01CA02, vincristine, equivalent)
* insert Map(Methylprednisolone, H02AB04, methylprednisolone, equivalent)
