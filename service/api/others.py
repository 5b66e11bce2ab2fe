"""What Swagger shows beside FHIR: the trial's tables, the service itself, the pages."""

from __future__ import annotations

from service.api.examples import COUNT, Operation, Parameter, path

TRIAL, JOBS, SERVICE, PAGES = "ISIKOK-19", "Jobs", "Service", "Pages"
PLAIN = "application/json"
JOB = Parameter("id", "The id of the job", place="path")
LETTER = Parameter("id", "The id of the dead letter", place="path")

OTHERS: dict[str, Operation] = {
    "table": Operation(
        "A table of the paper, counted again",
        "Tables 1 and 2 from what is stored now, each figure beside the published one, with the reason where they "
        "differ. As JSON, CSV or a page, by Accept or `format`.",
        TRIAL,
        (
            path("number", "2", "1: patient characteristics; 2: clinical outcomes"),
            Parameter("format", "`json`, `csv` or `html`", "json"),
        ),
        errors=(404, 406),
        media="application/json,text/csv,text/html",
    ),
    "measure": Operation(
        "A rate as a MeasureReport",
        "`response-rate` or `toxicity-rate`: numerator, denominator, score, by diagnosis, beside the published value.",
        TRIAL,
        (path("id", "response-rate", "The Measure"),),
        errors=(404, 406),
    ),
    "jobs": Operation(
        "Jobs",
        "What the service does by itself: pulls, pushes, submissions. Newest first; `next` is the `cursor` of the next "
        "page. Each has a Task with its counts and findings.",
        JOBS,
        (
            Parameter("kind", "Only of this kind"),
            Parameter("state", "waiting, running, done, failed, cancelled; several by comma", "waiting,running,done"),
            Parameter("cursor", "The `next` of the page before"),
            COUNT,
        ),
        errors=(400, 503),
        media="application/json",
    ),
    "job": Operation("A job", "Its state, and which Task has the rest.", JOBS, (JOB,), (), (200,), (404,), media=PLAIN),
    "jobCancel": Operation(
        "Cancel a job", "Its worker writes no more. What was done stays.", JOBS, (JOB,), errors=(404, 409), media=PLAIN
    ),
    "jobRetry": Operation(
        "Try a job again",
        "A failed or cancelled job goes on from its last step.",
        JOBS,
        (JOB,),
        errors=(404, 409),
        media=PLAIN,
    ),
    "deadLetters": Operation(
        "Dead letters",
        "What came in and could not be taken, oldest first, with the reasons. `next` is the `after` of the next page.",
        JOBS,
        (Parameter("after", "The `next` of the page before"), COUNT),
        errors=(400, 503),
        media=PLAIN,
    ),
    "deadLetter": Operation(
        "A dead letter", "With its content in base64, as it came.", JOBS, (LETTER,), errors=(404,), media=PLAIN
    ),
    "deadLetterDiscard": Operation(
        "Discard a dead letter", "It is gone for good.", JOBS, (LETTER,), success=(204,), errors=(404, 409)
    ),
    "deadLetterReplay": Operation(
        "Replay a dead letter",
        "Takes it as if it came now, once what was wrong (a missing map, an unlinked patient) is mended. It is gone "
        "in the transaction that stores its content; what is still against it is the answer.",
        JOBS,
        (LETTER,),
        errors=(404, 409, 422),
        media=PLAIN,
    ),
    "live": Operation("Is the process alive", "For a supervisor.", SERVICE, media="application/json"),
    "ready": Operation("Can it serve", "Checks the store.", SERVICE, errors=(503,), media="application/json"),
    "openapi": Operation("This description", "OpenAPI 3.1.", SERVICE, media="application/json"),
    "home": Operation("Start page", "What this is, with links.", PAGES, media="text/html"),
    "docs": Operation("Swagger UI", "This page.", PAGES, media="text/html"),
    "guide": Operation("Guide", "The profiles, their terminology and searches as pages.", PAGES, media="text/html"),
    "guideRequirements": Operation(
        "What is asked of each resource",
        "Which rule of which profile holds it, and what is left.",
        PAGES,
        media="text/html",
    ),
    "guidePackage": Operation(
        "FHIR package",
        "Profiles, extensions, terminology, search parameters and examples as a package for validators and SUSHI. "
        "The same content has the same bytes and ETag; with `If-None-Match` the answer is 304.",
        PAGES,
        media="application/gzip",
    ),
    "guideDocument": Operation(
        "Page of a definition",
        "A profile with its elements, rules and examples, a value set with its codes…; an example by its type; "
        "a resource that a profile refuses by `bad`. `[id].json` is the resource itself. The example: error codes.",
        PAGES,
        (
            path("kind", "CodeSystem", "StructureDefinition, ValueSet… or `bad`"),
            path("id", "error", "The id of the definition or example"),
        ),
        errors=(404,),
        media="text/html",
    ),
    "favicon": Operation("Icon", "The icon of the pages.", PAGES, media="image/svg+xml"),
}
