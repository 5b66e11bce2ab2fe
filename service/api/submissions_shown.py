"""What Swagger shows of submissions: those that come in, and those that we owe to registries."""

from __future__ import annotations

from service.api.examples import COUNT, NDJSON, Body, Operation, Parameter, header, path
from service.submissions.envelope import receipt_id

TAG = "Submissions"
PLAIN = "application/json"
LATER = header("Prefer", "`respond-async`: answered with 202 and the address to poll")
OWED = Parameter("id", "The id of the obligation, a Task", place="path")
NAMED = path("name", "registry", "The name of the destination")
QUEUED = (400, 404, 409, 422, 503)
RECEIPT = receipt_id("https://hospital.example/fhir", "c5b1f1a4-6f3e-5d0a-9a55-0f3d7c1e2b01")
POLLED = Parameter("id", "The last part of the `Content-Location` of the 202", place="path")

SUBMISSIONS: dict[str, Operation] = {
    "submissionsBulk": Operation(
        "Submit a file of messages",
        "NDJSON, one message Bundle in each line. Valid lines are taken, each with a receipt; the others are not, each "
        "with every error, its FHIRPath and its line. The counts add up to the lines. Without a valid line: 422.",
        TAG,
        (LATER,),
        (Body("submissions.ndjson", "Two lines, one of them invalid", 200, NDJSON),),
        success=(200, 202),
        errors=(400, 413, 415, 422, 503),
    ),
    "submissionStatus": Operation(
        "Poll a submission",
        "202 with `X-Progress` and `Retry-After` until it is done, then the answer that it would have had at once: 200 "
        "with receipt or counts, or the refusal. It can be read as often as one likes, also after a restart.",
        TAG,
        (POLLED,),
        success=(200, 202),
        errors=(404, 422, 503),
    ),
    "submissionWithdraw": Operation(
        "Cancel a submission that is polled",
        "What is not done yet is not done; the answer is forgotten. Receipts stay.",
        TAG,
        (POLLED,),
        success=(202,),
        errors=(404, 503),
    ),
    "receipt": Operation(
        "A receipt",
        "The Provenance that says who sent what and when: SHA-256 of the canonical payload, profiles with versions. "
        "Nobody can change or delete it. The example is that of the message that `$process-message` shows.",
        TAG,
        (path("id", RECEIPT, "UUIDv5 of sender and message id"),),
        errors=(404, 406, 503),
    ),
    "destinations": Operation(
        "Destinations", "The registries that submissions go to.", TAG, errors=(503,), media=PLAIN
    ),
    "destinationPut": Operation(
        "Add or change a destination",
        "A registry's FHIR server (`kind` fhir: `base`, `mode` sync or async, with a login `client_id`, `key_file`, "
        "`scopes`) or a folder (`kind` directory: `folder`). `sender` is our own FHIR base as the registry knows it "
        "and stays: message ids are counted within it.",
        TAG,
        (NAMED,),
        (Body("destination.json", "A registry by FHIR", 200, PLAIN),),
        success=(200, 201),
        errors=(400, 404, 409, 413, 422, 503),
        media=PLAIN,
    ),
    "destination": Operation(
        "A destination", "As it is set up; the key itself is not shown.", TAG, (NAMED,), errors=(404, 503), media=PLAIN
    ),
    "destinationDelete": Operation(
        "Remove a destination",
        "What was sent there stays noted.",
        TAG,
        (Parameter("name", "The name of the destination", place="path"),),
        success=(204,),
        errors=(404, 503),
    ),
    "submissionsLaboratory": Operation(
        "Send laboratory results",
        "The measured results of a patient as CIBMTR takes them: transactions of at most 50, each result with the "
        "label of the centre, posted to the base by a job. Checked before anything leaves.",
        TAG,
        bodies=(Body("submit-laboratory.json", "Put the id of a patient of yours here", 404, PLAIN),),
        success=(202,),
        errors=QUEUED,
        media=PLAIN,
    ),
    "submissions": Operation(
        "What is owed to registries",
        "Obligations with state, due date, whether they are overdue, and the latest message. `next` is the `cursor` of "
        "the next page.",
        TAG,
        (
            Parameter("state", "NOTDUE, DUE, RCV, QRY, ERR, CMP, SUP, VOID, LTF, NRQ; several by comma", "DUE,ERR,QRY"),
            Parameter("cursor", "The `next` of the page before"),
            COUNT,
        ),
        errors=(400, 503),
        media=PLAIN,
    ),
    "submit": Operation(
        "Submit",
        "Fills the form of an obligation from the record (or takes `response`), packs it, checks it and queues it: 202 "
        "with the job. What must not leave is a 422 with every reason, and the obligation says so.",
        TAG,
        bodies=(Body("submit.json", "Put the id of an obligation of yours here", 404, PLAIN),),
        success=(202,),
        errors=QUEUED,
        media=PLAIN,
    ),
    "submission": Operation("An obligation", "Its state.", TAG, (OWED,), errors=(400, 404), media=PLAIN),
    "submissionSend": Operation(
        "Send an obligation",
        "As `POST /submissions`.",
        TAG,
        (OWED,),
        bodies=(Body("submit-send.json", "To one of several destinations", 202, PLAIN),),
        success=(202,),
        errors=QUEUED,
        media=PLAIN,
    ),
    "submissionSupersede": Operation(
        "Supersede what was sent",
        "The form is filled anew and replaces what the registry has: an obligation of its own, based on this one, "
        "which becomes SUP when the new one is accepted.",
        TAG,
        (OWED,),
        bodies=(Body("submit-supersede.json", "Filled from the record as it is now", 202, PLAIN),),
        success=(202,),
        errors=QUEUED,
        media=PLAIN,
    ),
    "submissionVoid": Operation(
        "Take back what was sent",
        "With a `reason`. The obligation becomes VOID when the registry has taken it.",
        TAG,
        (OWED,),
        bodies=(Body("submit-void.json", "With the reason", 202, PLAIN),),
        success=(202,),
        errors=QUEUED,
        media=PLAIN,
    ),
    "submissionAcknowledge": Operation(
        "Acknowledge an obligation",
        "A person says, with a `reason`, that the registry has the report: one that was written to a folder (RCV), or "
        "one whose form is filled at the registry (DUE).",
        TAG,
        (OWED,),
        bodies=(Body("submit-acknowledge.json", "Seen at the registry", 200, PLAIN),),
        errors=(400, 404, 409, 503),
        media=PLAIN,
    ),
    "submissionWaive": Operation(
        "Waive an obligation",
        "`state` LTF (lost to follow-up) or NRQ (not required), with a `reason`.",
        TAG,
        (OWED,),
        bodies=(Body("submit-waive.json", "Lost to follow-up", 200, PLAIN),),
        errors=(400, 404, 409, 503),
        media=PLAIN,
    ),
}
