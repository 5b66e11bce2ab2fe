"""The forms that ship with the service, compiled once from their Questionnaires."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from service.conformance.records import canonical
from service.errors import Unprocessable
from service.fhir.operations import Resource
from service.settings import shipped
from service.submissions.expressions import Evaluate, compiled
from service.submissions.questionnaire import QUERY, SOURCE, UNIT_OPTION, VARIABLE, build

FORMS = (("cibmtr", "form-4100-r4"),)
Coding = dict[str, str]


@dataclass(frozen=True, slots=True)
class Query:
    """A variable's query: resources of a type, with one of the codes where there are any, bounded in time.

    `bounds` are the launch variables that the query's dates name: from, to, infusion.performed.
    """

    type: str
    codes: frozenset[tuple[str, str]]
    bounds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Question:
    """An item that can be answered. `resources` and `answer` are None where no record is known to answer it.

    `needs` are the variables on which they rest, at any remove.
    """

    link_id: str
    group: str
    text: str
    type: str
    required: bool
    repeats: bool
    options: dict[str, Coding]
    units: tuple[str, ...]
    gate: tuple[str, Coding] | None
    resources: Evaluate | None = None
    answer: Evaluate | None = None
    needs: frozenset[str] = frozenset()

    @property
    def expression(self) -> str:
        """Where its item stands in a response, as FHIRPath."""
        return f"QuestionnaireResponse.item.where(linkId = '{self.group}').item.where(linkId = '{self.link_id}')"


@dataclass(frozen=True, slots=True)
class Form:
    """A Questionnaire ready to be populated; `answers` is the CodeSystem of its options."""

    questionnaire: Resource
    answers: Resource
    questions: dict[str, Question] = field(default_factory=dict)
    queries: tuple[tuple[str, Query], ...] = ()
    paths: tuple[tuple[str, Evaluate], ...] = ()

    @property
    def canonical(self) -> str:
        """`url|version`."""
        return f"{self.questionnaire['url']}|{self.questionnaire['version']}"


@cache
def known() -> dict[str, Form]:
    """The shipped forms by the url of their Questionnaire."""
    forms = (compile_form(*build(shipped("mappings", "registries", registry), name)) for registry, name in FORMS)
    return {form.questionnaire["url"]: form for form in forms}


def form_of(url: str) -> Form:
    """The shipped form with this canonical; a version, where it is named, must be the shipped one.

    Raises Unprocessable: expressions of other forms are not run, since what they cost has no bound.
    """
    form = known().get(canonical(url))
    if form is None or ("|" in url and url != form.canonical):
        names = ", ".join(one.canonical for one in known().values())
        text = f"This server populates the forms that it ships with: {names}"
        raise Unprocessable(text, expression="Questionnaire.url", code="not-supported", rule="form-unknown")
    return form


def resources() -> list[Resource]:
    """The Questionnaires and their CodeSystems, to be stored and served."""
    return [resource for form in known().values() for resource in (form.answers, form.questionnaire)]


def compile_form(questionnaire: Resource, answers: Resource) -> Form:
    """The form of a Questionnaire that `questionnaire.build` wrote."""
    queries, paths = [], []
    needs: dict[str, frozenset[str]] = {}
    for extension in questionnaire["extension"]:
        if extension["url"] == VARIABLE:
            said = extension["valueExpression"]
            if said["language"] == QUERY:
                queries.append((said["name"], _query(said["expression"])))
            else:
                paths.append((said["name"], compiled(said["expression"])))
                needs[said["name"]] = _needed(said["expression"], needs)
    questions = {
        item["linkId"]: _question(group["linkId"], item, needs)
        for group in questionnaire["item"]
        for item in group["item"]
    }
    return Form(questionnaire, answers, questions, tuple(queries), tuple(paths))


def _query(text: str) -> Query:
    type_, _, rest = text.partition("?")
    codes: set[tuple[str, str]] = set()
    for pair in rest.split("&"):
        name, _, value = pair.partition("=")
        if name in ("code", "event"):
            codes |= {(system, code) for system, _, code in (token.partition("|") for token in value.split(","))}
    bounds = re.findall(r"=[gl]e\{\{%([\w.]+)\}\}", rest)
    return Query(type_, frozenset(codes), frozenset(bounds))


def _needed(text: str, needs: Mapping[str, frozenset[str]]) -> frozenset[str]:
    names = frozenset(re.findall(r"%(\w+)", text))
    return names.union(*(needs.get(name, ()) for name in names))


def _question(group: str, item: dict[str, Any], needs: Mapping[str, frozenset[str]]) -> Question:
    parts = {part["url"]: part["valueExpression"]["expression"] for part in _source(item)}
    gates = item.get("enableWhen")
    return Question(
        link_id=item["linkId"],
        group=group,
        text=item.get("text", ""),
        type=item["type"],
        required=item.get("required", False),
        repeats=item.get("repeats", False),
        options={option["valueCoding"]["display"]: option["valueCoding"] for option in item.get("answerOption", ())},
        units=tuple(one["valueCoding"]["code"] for one in item.get("extension", ()) if one["url"] == UNIT_OPTION),
        gate=(gates[0]["question"], gates[0]["answerCoding"]) if gates else None,
        resources=compiled(parts["resources"]) if parts else None,
        answer=compiled(parts["answer"]) if parts else None,
        needs=_needed(" ".join(parts.values()), needs),
    )


def _source(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for extension in item.get("extension", ()):
        if extension["url"] == SOURCE:
            yield from extension["extension"]
