"""What Swagger shows beside FHIR: the trial's tables, the service itself, the pages."""

from __future__ import annotations

from service.api.examples import Operation, Parameter, path

TRIAL, SERVICE, PAGES = "ISIKOK-19", "Service", "Pages"

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
