CodeSystem: WorkItem
Id: work-item
Title: "What synchronisation leaves to a person"
Description: "Why a Task of synchronisation is open: docs/sync.md."
* insert OwnCodes
* #patient-unlinked "Patient not linked" "No subject of the trial has an identifier of this patient of a hospital."
* #patient-ambiguous "Patient ambiguous" "Several patients share the identifiers of one subject, or the other way round."
* #patients-merged "Patients merged" "A hospital merged patients who are two subjects of the trial."
* #code-unmapped "Code not mapped" "No ConceptMap has one equivalent code for a local code."
* #unit-unclear "Unit unclear" "The unit of a result is no code of UCUM, or of another kind than the trial's."
* #resources-missing "Resources missing" "More resources have gone than a hospital deletes."
* #changed-on-both-sides "Changed on both sides" "The hospital deleted what was changed here."
* #deleted-but-referenced "Deleted but referenced" "The hospital deleted what others still refer to."
