"""A form filled from a patient's record: every answer with its source, every gap with its reason.

Source: Questionnaire/$populate of https://hl7.org/fhir/uv/sdc
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any

from service.errors import Issue
from service.fhir.dates import micros
from service.fhir.operations import Resource
from service.submissions.answers import Answer, Unmapped, answer_of, same
from service.submissions.forms import Form, Question
from service.submissions.questionnaire import STRUCTURE
from service.submissions.record import Bounds, Held, Record
from service.trial.mapping.identity import BASE

ANSWER_SOURCE = f"{STRUCTURE}/answer-source"
EMPTY_REASON = f"{STRUCTURE}/empty-reason"
REPORT_PERIOD = f"{STRUCTURE}/report-period"
REASONS = f"{BASE}/CodeSystem/empty-reason"
RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}

TEXTS = {
    "no-resource": "The record has nothing that answers the question",
    "not-recorded": "The record has the resource, and not what is asked of it",
    "ambiguous": "The record has several different answers to the question",
    "outside-window": "What the record has lies outside of the reporting period",
    "unmapped": "No element of the record is known to answer the question",
}
CODES = {"ambiguous": "multiple-matches", "unmapped": "code-invalid", "outside-window": "business-rule"}


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a form is filled for: the infusion that it follows, and the first and last day of the reporting period.

    None for a day: no bound. `authored` is when the form is filled, with its offset.
    """

    authored: datetime
    infusion: Held | None = None
    start: date | None = None
    end: date | None = None


@dataclass(frozen=True, slots=True)
class Population:
    """The QuestionnaireResponse, and what a person should look at: gaps, doubts."""

    response: Resource
    issues: tuple[Issue, ...]


@dataclass(slots=True)
class _Found:
    """Answers with the resources behind each, or the reason why there is none."""

    answers: list[tuple[Answer, list[Held]]] = field(default_factory=list)
    reason: str | None = None
    text: str | None = None


def populate(form: Form, patient: Resource, record: Record, occasion: Occasion, zone: tzinfo) -> Population:
    """Fills the form. Pure: the same record and occasion give the same response. Never guesses, never raises for data.

    A question that is switched off by `enableWhen` is left out; one that is empty has a reason where it is required or
    where the record could have answered it.
    """
    sheet = _Sheet(form, patient, record, occasion, zone)
    given: dict[str, list[Answer]] = {}
    groups: dict[str, list[dict[str, Any]]] = {}
    issues: list[Issue] = []
    for question in form.questions.values():
        if not _asked(question, given):
            continue
        found = sheet.find(question)
        given[question.link_id] = [answer for answer, _ in found.answers]
        if found.answers:
            item = {"answer": [_sourced(answer, sources) for answer, sources in found.answers]}
            issues += _doubts(question, record, found)
        elif question.required or question.resources is not None:
            coding = {"system": REASONS, "code": found.reason}
            item = {"extension": [{"url": EMPTY_REASON, "valueCoding": coding}]}
            if question.required or found.reason in ("ambiguous", "unmapped"):
                issues.append(_gap(question, found))
        else:
            continue
        texts = {"linkId": question.link_id} | ({"text": question.text} if question.text else {})
        groups.setdefault(question.group, []).append(texts | item)
    return Population(_response(form, patient, occasion, groups), tuple(issues))


def last_contact(record: Record, form: Form, before: date | None = None) -> date | None:
    """The last date of contact that a finished response to the form reports: there the next period begins.

    Only whole dates before `before` count.
    """
    found = [
        date.fromisoformat(answer["valueDate"])
        for response in record.of_type("QuestionnaireResponse")
        if response.get("questionnaire", "").partition("|")[0] == form.questionnaire["url"]
        and response.get("status") in ("completed", "amended")
        for group in response.get("item", ())
        for item in group.get("item", ())
        if item.get("linkId") == "2"
        for answer in item.get("answer", ())
        if len(answer.get("valueDate", "")) == 10
    ]
    return max((one for one in found if before is None or one < before), default=None)


class _Sheet:
    """The variables of a form over one record: within the period, and, for the reasons of gaps, at any time."""

    def __init__(self, form: Form, patient: Resource, record: Record, occasion: Occasion, zone: tzinfo) -> None:
        self._form, self._record = form, record
        infusion = occasion.infusion
        at = record.dates.get(_name(infusion.resource)) if infusion else None
        self._bounds = Bounds(
            _midnight(occasion.start, zone) if occasion.start else None,
            _midnight(occasion.end + timedelta(days=1), zone) if occasion.end else None,
            at[0] if at else None,
        )
        bundle = {"resourceType": "Bundle", "type": "collection"}
        self._launched: dict[str, Any] = {
            "patient": patient,
            "infusion": [infusion.resource] if infusion else [],
            "record": bundle | {"entry": [{"resource": one.resource} for one in record.held.values()]},
            "from": occasion.start.isoformat() if occasion.start else [],
            "to": occasion.end.isoformat() if occasion.end else [],
        }
        self._queried = frozenset(name for name, _ in form.queries)
        self._everything = self._launched | {name: record.find(query, None) for name, query in form.queries}

    def find(self, question: Question) -> _Found:
        if question.resources is None or question.answer is None:
            return _Found(reason="unmapped")
        try:
            sources = question.resources(None, self._within)
            if not sources:
                return self._without(question)
            found = [(self._held(one), question.answer(one, self._within)) for one in sources]
        except Exception:
            # Data that no profile allows may break an expression in any way; it says nothing then.
            return _Found(reason="not-recorded", text="The record cannot be read by the form's expression")
        return _judged(question, found)

    @cached_property
    def _within(self) -> dict[str, Any]:
        variables = dict(self._launched)
        for name, query in self._form.queries:
            variables[name] = self._record.find(query, self._bounds)
        self._follow(variables, dict(self._form.paths).keys())
        return variables

    def _ever(self, question: Question) -> dict[str, Any] | None:
        """The variables that the question needs, at any time; None where the period leaves none of them out."""
        if all(len(self._everything[name]) == len(self._within[name]) for name in question.needs & self._queried):
            return None
        self._follow(self._everything, question.needs - self._everything.keys())
        return self._everything

    def _follow(self, variables: dict[str, Any], names: Collection[str]) -> None:
        for name, path in self._form.paths:
            if name in names:
                try:
                    variables[name] = path(None, variables)
                except Exception:  # as in `find`: such data says nothing
                    variables[name] = []

    def _without(self, question: Question) -> _Found:
        variables = self._ever(question)
        if question.resources is None or not variables or not (elsewhere := question.resources(None, variables)):
            return _Found(reason="no-resource")
        dates = [self._record.dates[_name(one)] for one in elsewhere]
        if None in dates:
            text = "The record has it without a date, so that it cannot be told whether it is of the reporting period"
            return _Found(reason="not-recorded", text=text)
        return _Found(reason="outside-window")

    def _held(self, resource: Resource) -> Held:
        return self._record.held[_name(resource)]


def _judged(question: Question, found: Sequence[tuple[Held, Sequence[Any]]]) -> _Found:
    """One answer, or several of a question that repeats; else the reason."""
    answers: dict[bytes, tuple[Answer, list[Held]]] = {}
    unmapped: str | None = None
    for source, values in found:
        for value in values:
            try:
                answer = answer_of(question, value)
            except Unmapped as error:
                unmapped = error.why
                continue
            answers.setdefault(same(answer), (answer, []))[1].append(source)
    if (len(answers) > 1 and not question.repeats) or (answers and unmapped):
        return _Found(reason="ambiguous")
    if answers:
        return _Found(list(answers.values()))
    return _Found(reason="unmapped", text=unmapped) if unmapped else _Found(reason="not-recorded")


def _asked(question: Question, given: Mapping[str, Sequence[Answer]]) -> bool:
    if question.gate is None:
        return True
    other, wanted = question.gate
    return any(answer.get("valueCoding", {}).get("code") == wanted["code"] for answer in given.get(other, ()))


def _sourced(answer: Answer, sources: Sequence[Held]) -> dict[str, Any]:
    references = dict.fromkeys(source.reference for source in sources)
    return {"extension": [{"url": ANSWER_SOURCE, "valueReference": {"reference": one}} for one in references]} | answer


def _doubts(question: Question, record: Record, found: _Found) -> list[Issue]:
    sources = {_name(source.resource) for _, several in found.answers for source in several}
    issues = sorted({issue for name in sources for issue in record.doubts.get(name, ())})
    text = "The resource behind the answer is in doubt: {}"
    return [
        Issue("informational", text.format(issue), question.expression, "source-in-doubt", "warning")
        for issue in issues
    ]


def _gap(question: Question, found: _Found) -> Issue:
    reason = found.reason or ""
    text = f"{found.text or TEXTS[reason]} ({reason})"
    return Issue(CODES.get(reason, "incomplete"), text, question.expression, "answer-missing", "warning")


def _response(
    form: Form, patient: Resource, occasion: Occasion, groups: Mapping[str, list[dict[str, Any]]]
) -> Resource:
    period = {name: day.isoformat() for name, day in (("start", occasion.start), ("end", occasion.end)) if day}
    titles = {group["linkId"]: group["text"] for group in form.questionnaire["item"]}
    return {
        "resourceType": "QuestionnaireResponse",
        "meta": {"security": [RESTRICTED]},
        **({"extension": [{"url": REPORT_PERIOD, "valuePeriod": period}]} if period else {}),
        "questionnaire": form.canonical,
        "status": "in-progress",
        "subject": {"reference": f"Patient/{patient['id']}"},
        "authored": occasion.authored.isoformat(timespec="seconds"),
        "item": [{"linkId": group, "text": titles[group], "item": items} for group, items in groups.items()],
    }


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _midnight(day: date, zone: tzinfo) -> int:
    return micros(datetime(day.year, day.month, day.day, tzinfo=zone))
