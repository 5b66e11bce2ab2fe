"""What Swagger shows of submissions: those that come in, and those that we owe to registries."""

from __future__ import annotations

from service.api.examples import NDJSON, Body, Operation, Parameter, header, path
from service.submissions.envelope import receipt_id

TAG = "Submissions"
PLAIN = "application/json"
LATER = header("Prefer", "`respond-async`: answered with 202 and the address to poll")
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
}
