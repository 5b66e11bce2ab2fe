"""What Swagger shows of the terminology service: the examples need no resource but the definitions."""

from __future__ import annotations

from typing import Any

from service.api.examples import Body, Operation, Parameter, path

TAG = "Terminology"
OWN = "https://cart-fhir.example/fhir"
UCUM = "http://unitsofmeasure.org"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
ERRORS = (400, 404, 406, 422)
BY_POST = (*ERRORS, 413, 415)
EXPANDED = {
    "resourceType": "ValueSet",
    "url": f"{OWN}/ValueSet/toxicity-grade-code",
    "status": "active",
    "expansion": {
        "identifier": "urn:uuid:6f1d2c52-8f0e-4f0a-9d4e-0d7b6d0c0a11",
        "timestamp": "2026-01-01T12:00:00+00:00",
        "total": 4,
        "offset": 0,
        "contains": [{"system": f"{OWN}/CodeSystem/trial-concept", "code": "crs-grade", "display": "CRS grade"}],
    },
}


def _answer(*parameters: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(parameters)}


TRUE = _answer(
    {"name": "result", "valueBoolean": True},
    {"name": "display", "valueString": "Relapse"},
    {"name": "code", "valueCode": "relapse"},
    {"name": "system", "valueUri": CLINICAL},
)
LOOKED_UP = _answer(
    {"name": "name", "valueString": "Condition Clinical Status Codes"},
    {"name": "display", "valueString": "Relapse"},
)
MATCHED = _answer(
    {"name": "result", "valueBoolean": True},
    {
        "name": "match",
        "part": [
            {"name": "equivalence", "valueCode": "equivalent"},
            {
                "name": "concept",
                "valueCoding": {"system": "http://hl7.org/fhir/administrative-gender", "code": "male"},
            },
        ],
    },
)
VALUE_SET = Parameter("url", "The value set, with |version where one is meant", f"{OWN}/ValueSet/toxicity-grade-code")
CODE, SYSTEM = Parameter("code", "The code", "relapse"), Parameter("system", "Its code system", CLINICAL)
LANGUAGE = Parameter("displayLanguage", "Displays in this language, where there are such")
HERE = (Parameter("system", "Its code system", "https://hospital.example/terms"),)
ICANS = Parameter("code", "The code", "icans")
STORED = (path("id", "example-terms", "The id of one that is stored here"),)


def _both(
    name: str,
    summary: str,
    text: str,
    parameters: tuple[Parameter, ...],
    example: Body,
    answer: dict[str, Any],
) -> dict[str, Operation]:
    posted = f"The same, with the parameters in a Parameters resource, or the resource itself. {text}"
    return {
        name: Operation(summary, text, TAG, parameters, errors=ERRORS, answer=answer),
        f"{name}ByPost": Operation(f"{summary}, by POST", posted, TAG, (), (example,), errors=BY_POST, answer=answer),
    }


def _stored(name: str, summary: str, parameters: tuple[Parameter, ...], example: Body) -> dict[str, Operation]:
    text = "Of one that is stored here, by its id. The example is that of the transaction `terms`."
    first = (*STORED, *parameters)
    return {
        f"{name}Stored": Operation(f"{summary} of a stored one", text, TAG, first, errors=(*ERRORS, 410)),
        f"{name}StoredByPost": Operation(
            f"{summary} of a stored one, by POST", text, TAG, STORED, (example,), errors=(*BY_POST, 410)
        ),
    }


TERMINOLOGY: dict[str, Operation] = {
    **_both(
        "expand",
        "All codes of a value set",
        "In pages by `offset` and `count`, narrowed by `filter`. A value set that rests on a system that is not at "
        "hand is a 422 that names it; one without an end, such as all units, is `too-costly`. The example: what is "
        "graded after CAR-T.",
        (VALUE_SET, Parameter("filter", "Beginnings of words"), Parameter("count", "Codes of a page", "10"), LANGUAGE),
        Body("expand.json", "A value set that comes with the request: active and relapsed", 200),
        EXPANDED,
    ),
    **_both(
        "validateCode",
        "Is a code in a value set?",
        "`result` is false only where it is known; else a 422 names what is missing. A wrong `display` is a false "
        "with the right one.",
        (
            Parameter("url", "The value set", "http://hl7.org/fhir/ValueSet/condition-clinical"),
            SYSTEM,
            CODE,
            Parameter("display", "Checked as well", "Relapse"),
        ),
        Body("validate-code.json", "A unit with a wrong letter: what was meant", 200),
        TRUE,
    ),
    **_both(
        "validateSystemCode",
        "Is a code in a code system?",
        "UCUM, language tags and media types are checked by their grammars.",
        (Parameter("url", "The code system", UCUM), Parameter("code", "The code", "10*6/kg")),
        Body("validate-system-code.json", "A coding", 200),
        TRUE,
    ),
    **_both(
        "lookup",
        "What a code says",
        "Display, definition, designations, parents, children, properties. Of a unit its canonical one.",
        (SYSTEM, CODE, Parameter("property", "Only these, such as `parent`"), LANGUAGE),
        Body("lookup.json", "Only the parents of a code", 200),
        LOOKED_UP,
    ),
    **_both(
        "subsumes",
        "Does one code subsume another?",
        "`equivalent`, `subsumes`, `subsumed-by` or `not-subsumed`.",
        (Parameter("codeA", "A code", "active"), Parameter("codeB", "Another", "relapse"), SYSTEM),
        Body("subsumes.json", "The other way round", 200),
        _answer({"name": "outcome", "valueCode": "subsumes"}),
    ),
    **_both(
        "translate",
        "A code in another system",
        "By one concept map (`url`) or by all at hand from the code's system. The example: a sex as the paper prints "
        "it.",
        (
            Parameter("url", "The concept map", f"{OWN}/ConceptMap/sex"),
            Parameter("system", "The code system", f"{OWN}/CodeSystem/published-term"),
            Parameter("code", "The code", "M"),
        ),
        Body("translate.json", "In reverse, over all maps", 200),
        MATCHED,
    ),
    **_stored("expand", "All codes", (), Body("stored-expand.json", "By the beginning of a word", 200)),
    **_stored("validateCode", "A code", (*HERE, ICANS), Body("stored-validate.json", "One that is not in it", 200)),
    **_stored("validateSystemCode", "A code", (ICANS,), Body("stored-validate-system.json", "A coding", 200)),
    **_stored(
        "subsumes",
        "Two codes",
        (Parameter("codeA", "A code", "neuro"), Parameter("codeB", "Another", "icans")),
        Body("stored-subsumes.json", "The other way round", 200),
    ),
    **_stored("translate", "A code", (*HERE, ICANS), Body("stored-translate.json", "A coding", 200)),
}
