"""What Swagger shows of $populate."""

from __future__ import annotations

from service.api.answers import PATIENT
from service.api.examples import Body, Operation, Parameter, path

TAG = "Operations"
FORM = "cibmtr-4100-r4"
URL = f"https://cart-fhir.example/fhir/Questionnaire/{FORM}"
YES = {"system": "https://cart-fhir.example/fhir/CodeSystem/cibmtr-4100-r4-answer", "code": "yes", "display": "Yes"}
ANSWER = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "response",
            "resource": {
                "resourceType": "QuestionnaireResponse",
                "questionnaire": f"{URL}|0.1.0",
                "status": "in-progress",
                "subject": {"reference": f"Patient/{PATIENT}"},
                "authored": "2026-01-01T12:00:00+00:00",
                "item": [
                    {
                        "linkId": "toxicities",
                        "item": [
                            {
                                "linkId": "99",
                                "text": "Neurotoxicity",
                                "answer": [
                                    {
                                        "extension": [
                                            {
                                                "url": "https://cart-fhir.example/fhir/StructureDefinition/answer-source",
                                                "valueReference": {"reference": "AdverseEvent/a/_history/1"},
                                            }
                                        ],
                                        "valueCoding": YES,
                                    }
                                ],
                            }
                        ],
                    }
                ],
            },
        }
    ],
}
SUBJECT = Parameter("subject", "Whose record", f"Patient/{PATIENT}")
PERIOD = (
    Parameter("infusion", "The Procedure that the report follows; needed where there were several"),
    Parameter("obligation", "The Task that asks for the report: infusion and period are taken from it"),
    Parameter("start", "First day of the reporting period"),
    Parameter("end", "Last day of the reporting period"),
)
ERRORS = (400, 404, 406, 410, 422, 503)
TEXT = (
    "A QuestionnaireResponse as `response`, and what a person should look at as `issues`. Each answer names the "
    "resources that it came from, in their versions (extension `answer-source`); a question that stays empty has a "
    "reason (`empty-reason`): no-resource, not-recorded, ambiguous, outside-window or unmapped. Nothing is guessed: "
    "that something is not recorded is no No. Only the forms that the service ships with are populated. Nothing is "
    "written."
)

POPULATE: dict[str, Operation] = {
    "populate": Operation(
        "Fill a registry's form",
        TEXT,
        TAG,
        (path("id", FORM), SUBJECT, *PERIOD),
        errors=ERRORS,
        answer=ANSWER,
    ),
    "populateByPost": Operation(
        "Fill a registry's form, by POST",
        "The same, with the parameters of SDC in a Parameters resource: `subject`, and `context` (or `launchContext`) "
        "with the names patient, infusion and obligation; `start` and `end` as here.",
        TAG,
        (path("id", FORM),),
        (Body("populate.json", "ISIKOK19-001, whole record", 200),),
        errors=(*ERRORS, 413, 415),
        answer=ANSWER,
    ),
    "populateNamed": Operation(
        "Fill a registry's form by its canonical",
        "As above; the form is named by `canonical`.",
        TAG,
        (Parameter("canonical", "The form's canonical, with or without its version", URL), SUBJECT, *PERIOD),
        errors=ERRORS,
        answer=ANSWER,
    ),
    "populateNamedByPost": Operation(
        "Fill a registry's form by its canonical, by POST",
        "As above; the form may also be a `questionnaire` or a `questionnaireRef`.",
        TAG,
        (),
        (Body("populate-named.json", "The form by its canonical", 200),),
        errors=(*ERRORS, 413, 415),
        answer=ANSWER,
    ),
}
