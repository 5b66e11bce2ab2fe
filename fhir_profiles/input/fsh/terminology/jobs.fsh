CodeSystem: JobKind
Id: job-kind
Title: "Kinds of jobs"
Description: "What the service does by itself. Task.code of a run: docs/sync.md and docs/submissions.md."
* insert OwnCodes
* #sync-run "Synchronisation" "A pull from a hospital; where a person ordered it, a push to it as well."
* #sync-cycle "Regular synchronisation" "The synchronisation of a connection that runs at intervals."
* #sync-push "Push" "What was written to a hospital."
* #submit "Submission" "The sending of a report, until the registry has answered."
* #submit-laboratory "Submission of results" "The sending of laboratory results in bundles."
* #submission-receive "Receipt of a submission" "A submission that was sent here, to be answered later."
* #submission-bulk "Receipt of submissions" "A file of submissions that was sent here, to be answered later."
* #conflict "Conflict" "Both sides changed the same elements of a resource: a person decides."
