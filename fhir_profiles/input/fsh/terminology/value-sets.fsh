ValueSet: ToxicityGradeVS
Id: toxicity-grade
Title: "Toxicity grades"
Description: "Grades 1 to 5 of an adverse event."
* insert OwnDefinition
* $NCIt#C41338 "Grade 1 Mild Adverse Event"
* $NCIt#C41339 "Grade 2 Moderate Adverse Event"
* $NCIt#C41340 "Grade 3 Severe Adverse Event"
* $NCIt#C41337 "Grade 4 Life Threatening or Disabling Adverse Event"
* $NCIt#C48275 "Grade 5 Death Related to Adverse Event"

ValueSet: ToxicityGradeCodeVS
Id: toxicity-grade-code
Title: "Graded toxicities"
Description: "What a toxicity grade observation may grade."
* insert OwnDefinition
* $concept#crs-grade "CRS grade"
* $concept#icans-grade "ICANS grade"
* $concept#cres-grade "CRES grade"
* $concept#hematological-toxicity "Haematological toxicity"

ValueSet: ToxicityEventVS
Id: toxicity-event
Title: "Toxicities of CAR-T therapy"
Description: "Events that the trial reports. Other events may be coded with MedDRA."
* insert OwnDefinition
* $MDR#10052015 "Cytokine release syndrome"
* $concept#cres "CRES"
* $concept#icans "ICANS"
* $concept#hematological-toxicity "Haematological toxicity"
* $SCT#127034005 "Pancytopenia"
* $SCT#234646005 "Graft versus host disease"

ValueSet: ResponseVS
Id: response
Title: "Responses"
Description: "Overall response to the treatment."
* insert OwnDefinition
* $NCIt#C4870 "Complete Response"
* $NCIt#C18058 "Partial Response"
* $NCIt#C18213 "Stable Disease"
* $NCIt#C35571 "Progressive Disease"
* $NCIt#C173526 "No Response"
* $NCIt#C62222 "Not Evaluable"

ValueSet: DiseaseVS
Id: disease
Title: "Diseases of the trial"
Description: "B-cell malignancies that the trial treats, and their antecedents."
* insert OwnDefinition
* $ICD10#C91.0 "Acute lymphoblastic leukaemia"
* $ICD10#C83.3 "Diffuse large B-cell lymphoma"
* $ICD10#C91.1 "Chronic lymphocytic leukaemia of B-cell type"
* $ICD10#C82.9 "Follicular lymphoma, unspecified"
* $ICDO3#9835/3 "Acute lymphoblastic leukaemia, NOS"
* $ICDO3#9836/3
* $ICDO3#9680/3 "Diffuse large B-cell lymphoma, NOS"
* $ICDO3#9823/3 "Chronic lymphocytic leukaemia"
* $ICDO3#9690/3 "Follicular lymphoma, NOS"
* $SCT#91857003 "Acute lymphoid leukemia"
* $SCT#109969005 "Diffuse large B-cell lymphoma"
* $SCT#92814006 "Chronic lymphoid leukemia"
* $SCT#118601006 "Non-Hodgkin's lymphoma"
* $SCT#109979007 "B-cell lymphoma"
* $NCIt#C8644 "B Acute Lymphoblastic Leukemia"
* $concept#double-hit-lymphoma "Double-hit lymphoma"

ValueSet: DiseaseStatusVS
Id: disease-status
Title: "Relapsed or refractory"
Description: "Status of the disease when the subject entered the trial."
* insert OwnDefinition
* $NCIt#C38155 "Recurrent Disease"
* $NCIt#C38014 "Refractory"

ValueSet: LaboratoryTestVS
Id: laboratory-test
Title: "Laboratory tests"
Description: "Laboratory tests that the trial follows, with verified LOINC codes."
* insert OwnDefinition
* $LNC#2532-0 "Lactate dehydrogenase [Enzymatic activity/volume] in Serum or Plasma"
* $LNC#2276-4 "Ferritin [Mass/volume] in Serum or Plasma"
* $LNC#1988-5 "C reactive protein [Mass/volume] in Serum or Plasma"
* $LNC#30522-7 "C reactive protein [Mass/volume] in Serum or Plasma by High sensitivity method"
* $LNC#26881-3 "Interleukin 6 [Mass/volume] in Serum or Plasma"
* $LNC#718-7 "Hemoglobin [Mass/volume] in Blood"
* $LNC#751-8 "Neutrophils [#/volume] in Blood by Automated count"
* $LNC#26499-4 "Neutrophils [#/volume] in Blood"
* $LNC#777-3 "Platelets [#/volume] in Blood by Automated count"
* $LNC#26515-7 "Platelets [#/volume] in Blood"
* $LNC#6690-2 "Leukocytes [#/volume] in Blood by Automated count"
* $LNC#26464-8 "Leukocytes [#/volume] in Blood"
* $LNC#2160-0 "Creatinine [Mass/volume] in Serum or Plasma"
* $LNC#8116-6 "CD19 cells [#/volume] in Blood"
* $LNC#8117-4 "CD19 cells/100 cells in Blood"

ValueSet: Cd19VS
Id: cd19
Title: "CD19 cells"
Description: "B cells as a count or as a share."
* insert OwnDefinition
* $LNC#8116-6 "CD19 cells [#/volume] in Blood"
* $LNC#8117-4 "CD19 cells/100 cells in Blood"

ValueSet: CarTMeasurementVS
Id: car-t-measurement
Title: "CAR-T cell measurements"
Description: "What is measured of the product, and of its cells in the subject."
* insert OwnDefinition
* $concept#viability "Viability"
* $concept#transduction-efficiency "Transduction efficiency"
* $concept#vector-copy-number "Vector copy number"
* $concept#car-transgene-copies "CAR transgene copies"

ValueSet: TrialObservationCodeVS
Id: trial-observation-code
Title: "Trial observations"
Description: "Facts of a subject that have no profile of their own."
* insert OwnDefinition
* $LNC#30525-0 "Age"
* $LNC#89247-1 "ECOG Performance Status score"
* $LNC#89243-0 "Karnofsky Performance Status score"
* $SCT#260873006
* include codes from system $concept

ValueSet: DrugVS
Id: drug
Title: "Drugs"
Description: "Drugs that the study names, with verified ATC and RxNorm codes."
* insert OwnDefinition
* $ATC#L04AC07 "tocilizumab"
* $ATC#H02AB02 "dexamethasone"
* $ATC#H02AB04 "methylprednisolone"
* $ATC#L01CA02 "vincristine"
* $ATC#L01FA01 "rituximab"
* $ATC#L01FF01 "nivolumab"
* $ATC#L01EL01 "ibrutinib"
* $ATC#L01AA09 "bendamustine"
* $ATC#L01BB05 "fludarabine"
* $ATC#L01AA01 "cyclophosphamide"
* $ATC#L01BC01 "cytarabine"
* $ATC#L01CB01 "etoposide"
* $ATC#L01AA06 "ifosfamide"
* $ATC#L01BC05 "gemcitabine"
* $ATC#L01XA02 "carboplatin"
* $ATC#L01XA03 "oxaliplatin"
* $ATC#L01XA01 "cisplatin"
* $ATC#L01DB06 "idarubicin"
* $ATC#L01DB01 "doxorubicin"
* $RxNorm#612865 "tocilizumab"
* $RxNorm#6902 "methylprednisolone"
* $RxNorm#121191 "rituximab"
* $RxNorm#1442981 "ibrutinib"
* $RxNorm#134547 "bendamustine"
* $RxNorm#24698 "fludarabine"
* $RxNorm#3002 "cyclophosphamide"
* $RxNorm#3041 "cytarabine"
* $RxNorm#4179 "etoposide"
* $RxNorm#5657 "ifosfamide"
* $RxNorm#12574 "gemcitabine"
* $RxNorm#40048 "carboplatin"

ValueSet: TherapyVS
Id: therapy
Title: "Drugs and regimens"
Description: "What a line of therapy may name: a drug or a regimen."
* insert OwnDefinition
* include codes from valueset DrugVS
* include codes from system $regimen

ValueSet: AdministeredVS
Id: administered
Title: "Drugs and the product"
Description: "What the trial administers: a drug or the CAR-T product."
* insert OwnDefinition
* include codes from valueset DrugVS
* $concept#car-t-product "CAR-T product"

ValueSet: TherapyCategoryVS
Id: therapy-category
Title: "Purposes of a therapy"
Description: "Why a drug or procedure was given, as seen from the infusion."
* insert OwnDefinition
* $concept#prior-therapy "Prior therapy"
* $concept#bridging "Bridging therapy"
* $concept#lymphodepletion "Lymphodepletion"
* $concept#toxicity-treatment "Treatment of toxicity"
* $concept#car-t-infusion "CAR-T infusion"

ValueSet: HsctVS
Id: hsct
Title: "Transplantations"
Description: "Haematopoietic stem cell transplantation by donor."
* insert OwnDefinition
* $SCT#425843001 "Allogeneic hematopoietic stem cell transplantation"
* $SCT#425983008 "Autologous hematopoietic stem cell transplantation"
* $NCIt#C46089 "Allogeneic Hematopoietic Stem Cell Transplantation"
* $NCIt#C16039 "Autologous Hematopoietic Stem Cell Transplantation"

ValueSet: CohortVS
Id: cohort
Title: "Cohorts"
Description: "Steps of the cohort funnel."
* insert OwnDefinition
* $concept#cohort-enrolled "Enrolled"
* $concept#cohort-apheresed "Apheresed"
* $concept#cohort-product-released "Product released"
* $concept#cohort-treated "Treated"

ValueSet: PresenceVS
Id: presence
Title: "Present or absent"
Description: "Answer to whether a finding is there."
* insert OwnDefinition
* $SCT#52101004 "Present"
* $SCT#2667000 "Absent"

ValueSet: RegimenVS
Id: regimen
Title: "Treatment regimens"
Description: "All regimens of the study."
* insert OwnDefinition
* include codes from system $regimen

ValueSet: GradingMethodVS
Id: grading-method
Title: "Scales of CAR-T toxicity"
Description: "All scales."
* insert OwnDefinition
* include codes from system $method

ValueSet: QualityIssueVS
Id: quality-issue
Title: "Kinds of doubtful data"
Description: "All kinds of doubt."
* insert OwnDefinition
* include codes from system $quality

ValueSet: ReleaseStatusVS
Id: release-status
Title: "Release status of a batch"
Description: "All release statuses."
* insert OwnDefinition
* include codes from system $release

ValueSet: FailureReasonVS
Id: failure-reason
Title: "Why a batch failed or was not used"
Description: "All reasons."
* insert OwnDefinition
* include codes from system $failure
