"""What Swagger shows of the operations: texts and worked examples that run on the demo's data."""

from __future__ import annotations

from service.api.answers import FOUND, PATIENT
from service.api.examples import COUNT, PREFER, Body, Operation, Parameter, header, path
from service.api.operations.events import SYSTEM
from service.api.operations.populate_shown import POPULATE
from service.api.operations.terminology_shown import TERMINOLOGY

TAG = "Operations"
ERRORS = (400, 404, 406, 413, 415, 503)
KEY = header("Idempotency-Key", "Sent again with the same key and body, the request has no second effect")
SINCE = Parameter("_since", "Only what changed from this instant on", "2020-01-01T00:00:00Z")
TYPES = Parameter("_type", "Only these types, by comma", "Patient,Condition,Observation")
PROFILE = Parameter("profile", "A profile to check against, besides those that the resource claims")
TAGGED = {"system": "https://hospital.example/tags", "code": "reviewed"}
META = {
    "resourceType": "Parameters",
    "parameter": [{"name": "return", "valueMeta": {"versionId": "2", "tag": [TAGGED]}}],
}
VALID = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "information", "code": "informational", "diagnostics": "No errors were found"}],
}

RESPONSE = {
    "resourceType": "Bundle",
    "type": "message",
    "timestamp": "2026-01-01T12:00:00.000Z",
    "entry": [
        {
            "resource": {
                "resourceType": "MessageHeader",
                "eventCoding": {"system": SYSTEM, "code": "record-update"},
                "source": {"name": "cart-fhir", "endpoint": "http://localhost:8000/fhir"},
                "response": {"identifier": "5f0a6a3e-0c58-4d4e-a9a5-2f7e4c1f0a01", "code": "ok"},
            }
        }
    ],
}

SHOWN: dict[str, Operation] = {
    "everything": Operation(
        "Everything of a patient",
        "The patient, all resources of the patient's compartment and what those refer to (practitioners, products, "
        "studies), in pages. `start` and `end` choose by the date of care; what has none is in. The example is a part "
        "of ISIKOK19-001.",
        TAG,
        (path("id", PATIENT), TYPES, SINCE, Parameter("start", "First day of care"), Parameter("end", "Last"), COUNT),
        errors=(400, 404, 406, 410, 503),
        answer=FOUND,
    ),
    "everythingByPost": Operation(
        "Everything of a patient, by POST",
        "The same, with the parameters in a Parameters resource.",
        TAG,
        (path("id", PATIENT),),
        (Body("everything.json", "The laboratory results of ISIKOK19-001, three to a page", 200),),
        errors=(*ERRORS, 410),
        answer=FOUND,
    ),
    "lastn": Operation(
        "The newest results of each kind",
        "Of each code the `max` newest results (default 1) of a patient; any search parameter of Observation narrows "
        "the choice. A patient or subject is required. The example: the laboratory of ISIKOK19-001.",
        TAG,
        (
            Parameter("patient", "Whose", PATIENT),
            Parameter("category", "system|code", "laboratory"),
            Parameter("code", "system|code"),
            Parameter("max", "Results of each code", "1"),
        ),
        errors=(400, 406, 503),
        answer=FOUND,
    ),
    "lastnByPost": Operation(
        "The newest results of each kind, by POST",
        "The same, with the parameters in a Parameters resource, where no proxy's log sees them.",
        TAG,
        (),
        (Body("lastn.json", "The laboratory of ISIKOK19-001", 200),),
        errors=(400, 406, 413, 415, 503),
        answer=FOUND,
    ),
    "validate": Operation(
        "Would this be taken?",
        "200 with an OperationOutcome, whatever is found; nothing is written. The body is the resource, or Parameters "
        "with `resource`, `mode` and `profile`. With `mode` create or update the links are looked up as well. "
        "A finding names the definition that it breaks: R4 itself, a profile that is claimed or asked for, or one that "
        "the code chooses.",
        TAG,
        (path("type", "Observation"), Parameter("mode", "create, update or profile"), PROFILE),
        (
            Body("ferritin.json", "A valid result", 200),
            Body("ferritin-broken.json", "Wrong status, no code, a number as text: all in the outcome", 200),
            Body("ice-score-broken.json", "Its code chooses a profile, which it breaks; each finding names it", 200),
            Body("validate.json", "As Parameters, with mode and profile", 200),
        ),
        errors=ERRORS,
        answer=VALID,
    ),
    "validateStored": Operation(
        "Is what is stored valid?",
        "Checks the stored resource, also against a `profile`; `mode=delete` says what would keep it from being "
        "deleted.",
        TAG,
        (path("type", "Patient"), path("id", PATIENT), Parameter("mode", "delete", "delete"), PROFILE),
        errors=(400, 404, 406, 410),
        answer=VALID,
    ),
    "validateInstance": Operation(
        "Would this update be taken?",
        "The body is the new content, with `mode=update` checked against the store.",
        TAG,
        (path("type", "Patient"), path("id", "example-patient"), Parameter("mode", "update or delete", "update")),
        (Body("patient-update.json", "A pseudonymous patient of a hospital", 200),),
        errors=ERRORS,
        answer=VALID,
    ),
    "meta": Operation(
        "Tags, labels and profiles of a resource",
        "The `meta` of the current version, as Parameters.",
        TAG,
        (path("type", "Patient"), path("id", PATIENT)),
        errors=(404, 406, 410),
        answer=META,
    ),
    "metaByPost": Operation(
        "Tags, labels and profiles of a resource, by POST",
        "The same; it takes no parameters, so Parameters without a parameter are sent.",
        TAG,
        (path("type", "Patient"), path("id", PATIENT)),
        (Body("nothing.json", "No parameters", 200),),
        errors=(400, 404, 406, 410, 413, 415),
        answer=META,
    ),
    "metaAdd": Operation(
        "Add tags, labels or profiles",
        "What is there already is left alone. A new version, unless nothing is new. A profile is added only to a "
        "resource that meets it (422).",
        TAG,
        (path("type", "Patient"), path("id", PATIENT), KEY),
        (Body("meta.json", "The tag `reviewed`", 200),),
        errors=(*ERRORS, 409, 410, 412, 422),
        answer=META,
    ),
    "metaDelete": Operation(
        "Take tags, labels or profiles away",
        "What is not there is no error. A new version, unless nothing was there.",
        TAG,
        (path("type", "Patient"), path("id", PATIENT), KEY),
        (Body("meta.json", "The tag `reviewed`", 200),),
        errors=(*ERRORS, 409, 410, 412, 422),
        answer=META,
    ),
    "processMessage": Operation(
        "Process a message",
        "A Bundle of type message in, one out: its `MessageHeader.response.code` is `ok`, or `fatal-error` with the "
        "reason in an OperationOutcome. The event `record-update` creates or updates every resource of the message by "
        "its identifier, all or nothing; ids in the message are the sender's and are replaced. Sent again, nothing "
        "changes. The event `submission` is for registries: taken as a whole and answered with an immutable receipt, "
        "or with 202 and an address to poll where `Prefer: respond-async` asks for that; the event `submission-void` "
        "takes one back.",
        TAG,
        (KEY, PREFER),
        (
            Body("message.json", "A laboratory sends a ferritin value", 200),
            Body("submission.json", "A hospital reports to us as a registry", 200),
            Body("message-unknown.json", "An event that is not known here: a message that says so", 422),
        ),
        success=(200, 202),
        errors=(*ERRORS, 409, 412, 422),
        answer=RESPONSE,
    ),
    **POPULATE,
    **TERMINOLOGY,
}
