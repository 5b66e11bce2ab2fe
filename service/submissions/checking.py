"""A response held against its form: what a registry would send back.

Source: https://hl7.org/fhir/R4/questionnaireresponse.html#link
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from service.errors import Issue
from service.fhir.operations import Resource
from service.submissions.forms import Form, Question
from service.submissions.populate import EMPTY_REASON

KINDS = {"choice": "valueCoding", "date": "valueDate", "string": "valueString", "quantity": "valueQuantity"}


def check_response(form: Form, response: Resource) -> list[Issue]:
    """Every way in which a valid QuestionnaireResponse does not answer the form, with the place in the response."""
    issues: list[Issue] = []
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for place, group, item in _items(response):
        question = form.questions.get(item.get("linkId", ""))
        if question is None or question.group != group or question.link_id in found:
            text = "The form has no such question here, or it stands here twice"
            issues.append(Issue("business-rule", text, place, "answer-unasked"))
            continue
        found[question.link_id] = (place, item)
        issues += _answers(question, item, place)
    for question in form.questions.values():
        issues += _asked(question, found)
    return issues


def _items(response: Resource) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for number, group in enumerate(response.get("item", ())):
        for position, item in enumerate(group.get("item", ())):
            place = f"QuestionnaireResponse.item[{number}].item[{position}]"
            yield place, group.get("linkId", ""), item


def _answers(question: Question, item: dict[str, Any], place: str) -> Iterator[Issue]:
    answers = item.get("answer", ())
    if len(answers) > 1 and not question.repeats:
        yield Issue("business-rule", "The question takes one answer", f"{place}.answer", "answer-form")
    for number, answer in enumerate(answers):
        kind = KINDS[question.type]
        if kind not in answer:
            text = f"The question takes {kind}"
        elif question.type == "choice" and _code(answer[kind]) not in map(_code, question.options.values()):
            text = "The answer is none of the options"
        elif question.type == "quantity" and question.units and answer[kind].get("code") not in question.units:
            text = f"The question takes the units {', '.join(question.units)}"
        else:
            continue
        yield Issue("business-rule", text, f"{place}.answer[{number}]", "answer-form")


def _asked(question: Question, found: dict[str, tuple[str, dict[str, Any]]]) -> Iterator[Issue]:
    place, item = found.get(question.link_id, (question.expression, {}))
    answers: Sequence[dict[str, Any]] = item.get("answer", ())
    if question.gate is not None:
        gate, wanted = question.gate
        _, other = found.get(gate, ("", {}))
        if not any(_code(one.get("valueCoding", {})) == _code(wanted) for one in other.get("answer", ())):
            if answers:
                text = f"The question is only asked where {gate} is answered otherwise"
                yield Issue("business-rule", text, place, "answer-unasked")
            return
    if question.required and not answers and not _has_reason(item):
        text = "The registry requires an answer, and there is neither one nor a reason"
        yield Issue("required", text, place, "answer-unexplained")


def _has_reason(item: dict[str, Any]) -> bool:
    return any(one.get("url") == EMPTY_REASON for one in item.get("extension", ()))


def _code(coding: dict[str, Any]) -> tuple[Any, Any]:
    return coding.get("system"), coding.get("code")
