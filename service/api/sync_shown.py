"""What Swagger shows of connections to hospitals."""

from __future__ import annotations

from service.api.answers import PATIENT
from service.api.examples import Body, Operation, Parameter, path

TAG = "Synchronisation"
PLAIN = "application/json"
NAMED = path("name", "example-hospital", "The name of the connection")
REMOTE = path("id", "x4711", "The id of the patient in the hospital")

SYNC: dict[str, Operation] = {
    "connectionPut": Operation(
        "Add or change a connection",
        "`base` is the hospital's FHIR base; `vendor` says how its server wants to be asked (plain, generic, epic, "
        "cerner); `patient_systems` are the systems of the identifiers by which patients are linked; `pull` are "
        "searches, without them those of the vendor; `every` are the seconds between two runs. For a login: "
        "`client_id` and `key_file`, a private key on the server's disk (SMART Backend Services). No answer ever "
        "shows them. It is also an Endpoint resource.",
        TAG,
        (NAMED,),
        (Body("connection.json", "A hospital that is asked only when somebody wishes", 200, PLAIN),),
        errors=(400, 404, 413, 415, 503),
        media=PLAIN,
    ),
    "connection": Operation(
        "A connection",
        "Its settings but for the login, the watermark of each search, how many patients are linked, the last runs "
        "with their Tasks, and what waits for a person: unlinked patients, codes without a map, unclear units.",
        TAG,
        (NAMED,),
        errors=(404, 503),
        media=PLAIN,
    ),
    "connectionDelete": Operation(
        "End a connection",
        "What was pulled stays, and so does who is linked. Its Endpoint is `off`. Doing it twice is no error.",
        TAG,
        (path("name", "example-closed", "The name of the connection"),),
        success=(204,),
        errors=(404, 503),
    ),
    "connections": Operation("Connections", "All, without their logins.", TAG, errors=(503,), media=PLAIN),
    "connectionTest": Operation(
        "Test a connection",
        "Tries out what a pull needs, step by step, and writes nothing: the address, TLS, the login, the capability "
        "statement, each search, and whether what is promised is true. In the example nobody listens there.",
        TAG,
        (NAMED,),
        errors=(404, 503),
        media=PLAIN,
    ),
    "connectionRun": Operation(
        "Run a connection now",
        "Pull, then push, as a job: the answer names its Task. While one is under way, it is that one's. `compare` "
        "looks for deletions by all ids now; `confirm_deletions` lets it delete however many have gone.",
        TAG,
        (NAMED,),
        (Body("connection-run.json", "With a look for deletions", 202, PLAIN),),
        success=(202,),
        errors=(400, 404, 413, 415, 503),
        media=PLAIN,
    ),
    "connectionLinks": Operation(
        "Links of patients",
        "Patients of the hospital that the service has met, and who they are here: only references, and identifiers "
        "of the configured systems.",
        TAG,
        (NAMED, Parameter("state", "linked, unlinked, ambiguous or merged", "linked")),
        errors=(400, 404, 503),
        media=PLAIN,
    ),
    "connectionLink": Operation(
        "Link a patient by hand",
        "What identifiers cannot decide; only a person can change it again. The next run pulls all of the patient.",
        TAG,
        (NAMED, REMOTE),
        (Body("connection-link.json", f"Patient/x4711 there is Patient/{PATIENT[:8]}… here", 200, PLAIN),),
        errors=(400, 404, 413, 415, 503),
        media=PLAIN,
    ),
    "connectionUnlink": Operation(
        "End the link of a patient",
        "The next run takes away what was pulled by it, and links the patient anew if the identifiers allow it.",
        TAG,
        (NAMED, REMOTE),
        success=(204,),
        errors=(400, 404, 503),
    ),
}
