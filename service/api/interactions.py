"""What Swagger shows of the interactions of R4: https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

from service.api.answers import ANSWERED, FOUND, PATIENT, STORED, VERSIONS
from service.api.examples import COUNT, IF_MATCH, JSON_PATCH, PREFER, Body, Operation, Parameter, header, path

PSEUDONYM = "https://hospital.example/pseudonym"
SUBJECT = "https://cart-fhir.example/fhir/identifier/subject"
INSTANCE, TYPE, SYSTEM = "Instance", "Type", "System"
WRITE_ERRORS = (400, 404, 406, 409, 412, 413, 415, 422, 503)

INTERACTIONS: dict[str, Operation] = {
    "read": Operation(
        "Read a resource",
        "The current version, exactly as it is stored: `1.00` stays `1.00`. With `If-None-Match` and the ETag of the "
        "last read the answer is 304. The example is the patient ISIKOK19-001 of the trial.",
        INSTANCE,
        (path("type", "Patient"), path("id", PATIENT)),
        errors=(404, 406, 410),
        answer=STORED,
    ),
    "vread": Operation(
        "Read one version",
        "Any version stays readable, also after a delete. The example is the first version of ISIKOK19-001.",
        INSTANCE,
        (path("type", "Patient"), path("id", PATIENT), path("version", "1", "The version, from the ETag")),
        errors=(404, 406, 410),
        answer=STORED,
    ),
    "historyInstance": Operation(
        "History of a resource",
        "All versions, newest first; a deletion is an entry without a resource.",
        INSTANCE,
        (path("type", "Patient"), path("id", PATIENT), COUNT),
        errors=(400, 404, 406),
        answer=VERSIONS,
    ),
    "update": Operation(
        "Update, or create with a known id",
        "200, or 201 when the id is new. Sending what is stored already makes no new version. `If-Match` guards "
        "against overwriting somebody else's change.",
        INSTANCE,
        (path("type", "Patient"), path("id", "example-patient"), IF_MATCH, PREFER),
        (Body("patient-update.json", "A pseudonymous patient of a hospital", 200),),
        success=(200, 201),
        errors=WRITE_ERRORS,
        answer=STORED,
    ),
    "patch": Operation(
        "Change a part of a resource",
        "A JSON Patch (RFC 6902) or a FHIRPath Patch (Parameters), applied to the version that is current then: two "
        "patches at once both count. The result is validated like a whole resource. The examples mark ISIKOK19-001 as "
        "active and take that away again; a `test` that fails is a 422, and nothing changes.",
        INSTANCE,
        (path("type", "Patient"), path("id", PATIENT), IF_MATCH, PREFER),
        (
            Body("patch-json.json", "JSON Patch: only if the patient is male, set active", 200, JSON_PATCH),
            Body("patch-test-failed.json", "JSON Patch: a test that fails", 422, JSON_PATCH),
            Body("patch-fhirpath.json", "FHIRPath Patch: delete active, replace a system", 200),
        ),
        errors=(400, 404, 406, 409, 410, 412, 413, 415, 422, 503),
        answer=STORED,
    ),
    "patchConditional": Operation(
        "Change a part by criteria",
        "Exactly one match is patched; none is a 404, several are a 412. The example: the subject ISIKOK19-001.",
        TYPE,
        (path("type", "Patient"), Parameter("identifier", "system|value", f"{SUBJECT}|ISIKOK19-001"), IF_MATCH, PREFER),
        (Body("patch-conditional.json", "JSON Patch: set active", 200, JSON_PATCH),),
        errors=(400, 404, 406, 409, 412, 413, 415, 422, 503),
        answer=STORED,
    ),
    "delete": Operation(
        "Delete a resource",
        "204, also when there is nothing (any more): deleting twice is no error. Refused with 409 while other "
        "resources refer to it. Versions stay readable.",
        INSTANCE,
        (path("type", "Observation"), path("id", "example-observation"), IF_MATCH),
        success=(204,),
        errors=(400, 404, 409, 412, 503),
    ),
    "search": Operation(
        "Search a type",
        "Any parameter that `/fhir/metadata` lists for the type, with chains (`subject.identifier=…`), `_has`, "
        "`_include`, `_revinclude`, `_sort`, `_total` and `_count`. Unknown parameters are named in a warning, or "
        "refused with `Prefer: handling=strict`. The example: subjects of the trial by their pseudonymous number.",
        TYPE,
        (
            path("type", "Patient"),
            Parameter("identifier", "system|value", f"{SUBJECT}|ISIKOK19-001"),
            COUNT,
            header("Prefer", "`handling=strict` refuses unknown parameters"),
        ),
        errors=(400, 404, 406),
        answer=FOUND,
    ),
    "searchByPost": Operation(
        "Search by form",
        "The same as GET, with the parameters in the body, where no proxy's log sees them. The example: all grades "
        "of toxicity, adverse events by their patients.",
        TYPE,
        (path("type", "AdverseEvent"),),
        form="_count=5&_include=AdverseEvent:subject",
        errors=(400, 404, 406, 413, 415),
        answer=FOUND,
    ),
    "searchCompartment": Operation(
        "Search inside a compartment",
        "What belongs to one Patient, Encounter, Device, Practitioner or RelatedPerson, of one type, with all its "
        "search parameters. The example: the laboratory values of ISIKOK19-001, the latest first.",
        INSTANCE,
        (
            path("type", "Patient", "The type of the compartment"),
            path("id", PATIENT),
            path("within", "Observation", "The type that is searched"),
            Parameter("category", "system|code", "laboratory"),
            Parameter("_sort", "Search parameters, with `-` the greatest first", "-date"),
            COUNT,
        ),
        errors=(400, 404, 406),
        answer=FOUND,
    ),
    "searchCompartmentByPost": Operation(
        "Search inside a compartment by form",
        "The same as GET, with the parameters in the body. The example: the toxicities of ISIKOK19-001.",
        INSTANCE,
        (path("type", "Patient"), path("id", PATIENT), path("within", "AdverseEvent")),
        form="_count=5&_total=accurate",
        errors=(400, 404, 406, 413, 415),
        answer=FOUND,
    ),
    "searchCompartmentAll": Operation(
        "Search a whole compartment",
        "Everything that belongs to one resource, of all types or those that `_type` names, with the parameters that "
        "they all have. The example: what was done to ISIKOK19-001.",
        INSTANCE,
        (
            path("type", "Patient"),
            path("id", PATIENT),
            Parameter("_type", "Types with commas between them", "Procedure,MedicationAdministration"),
            COUNT,
        ),
        errors=(400, 404, 406),
        answer=FOUND,
    ),
    "searchCompartmentAllByPost": Operation(
        "Search a whole compartment by form",
        "The same as GET, with the parameters in the body.",
        INSTANCE,
        (path("type", "Patient"), path("id", PATIENT)),
        form="_count=5&_type=Procedure,Observation",
        errors=(400, 404, 406, 413, 415),
        answer=FOUND,
    ),
    "create": Operation(
        "Create a resource",
        "The server gives the id; one in the body is ignored. With `If-None-Exist` a match answers 200 and nothing "
        "is written, however many post the same at once. The broken example shows that all findings come together.",
        TYPE,
        (
            path("type", "Observation"),
            header("If-None-Exist", "Search criteria, e.g. `identifier=system|value`"),
            PREFER,
        ),
        (
            Body("ferritin.json", "A ferritin value of ISIKOK19-001", 201),
            Body("ferritin-broken.json", "Wrong status, no code, a number as text: 400 with every finding", 400),
            Body("ice-score-broken.json", "Sound R4 that breaks the profile of its code: 422, unless lenient", 422),
        ),
        success=(201, 200),
        errors=WRITE_ERRORS,
        answer=STORED,
    ),
    "updateConditional": Operation(
        "Update by criteria",
        "No match creates, one updates, several are a 412. The example registers a hospital's patient by pseudonym, "
        "and does nothing the second time.",
        TYPE,
        (path("type", "Patient"), Parameter("identifier", "system|value", f"{PSEUDONYM}|H-0817"), IF_MATCH, PREFER),
        (Body("patient-conditional.json", "The patient with this pseudonym", 200),),
        success=(200, 201),
        errors=WRITE_ERRORS,
        answer=STORED,
    ),
    "deleteConditional": Operation(
        "Delete by criteria",
        "At most one match is deleted, several are a 412.",
        TYPE,
        (path("type", "Patient"), Parameter("identifier", "system|value", f"{PSEUDONYM}|nobody")),
        success=(204,),
        errors=(400, 404, 409, 412, 503),
    ),
    "historyType": Operation(
        "History of a type",
        "Every version of every resource of the type, newest first.",
        TYPE,
        (path("type", "Procedure"), COUNT, Parameter("_since", "From this instant on", "2020-01-01T00:00:00Z")),
        errors=(400, 404, 406),
        answer=VERSIONS,
    ),
    "transaction": Operation(
        "Transaction or batch",
        "A `transaction` succeeds or fails as a whole, whatever the order of its entries; `urn:uuid` links are "
        "replaced by the ids given. A `batch` answers entry by entry, and also takes histories and "
        "operations. The first example is what a hospital posts after an infusion: patient, lymphoma, infusion, "
        "ferritin, CRS. The broken one names entry and element.",
        SYSTEM,
        (PREFER,),
        (
            Body("transaction.json", "A patient with lymphoma, CAR-T infusion, ferritin and CRS", 200),
            Body("terms.json", "A code system, a value set and a concept map of a hospital", 200),
            Body("batch.json", "Two reads and a search, answered one by one", 200),
            Body("transaction-broken.json", "An invalid Observation in entry 1: 400, nothing is written", 400),
        ),
        errors=(400, 404, 406, 409, 412, 413, 415, 422, 503),
        answer=ANSWERED,
    ),
    "searchSystem": Operation(
        "Search several types",
        "All types, or those that `_type` names, with the parameters that they all have (`_id`, `_lastUpdated`, "
        "`_profile`, `_tag`, `_security`, `_source` for all). The example: what was stored last of two types.",
        SYSTEM,
        (
            Parameter("_type", "Types with commas between them", "Procedure,AdverseEvent"),
            Parameter("_sort", "Search parameters, with `-` the greatest first", "-_lastUpdated"),
            COUNT,
        ),
        errors=(400, 406),
        answer=FOUND,
    ),
    "searchSystemByPost": Operation(
        "Search several types by form",
        "The same as GET, with the parameters in the body.",
        SYSTEM,
        form="_count=5&_type=ResearchStudy,Group&_total=accurate",
        errors=(400, 406, 413, 415),
        answer=FOUND,
    ),
    "historySystem": Operation(
        "History of everything",
        "The feed of all changes, newest first.",
        SYSTEM,
        (COUNT,),
        errors=(400, 406),
        answer=VERSIONS,
    ),
    "metadata": Operation(
        "CapabilityStatement", "What this server can do, generated from its routes.", SYSTEM, errors=(406,)
    ),
}
