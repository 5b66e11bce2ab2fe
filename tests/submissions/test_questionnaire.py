"""The form 4100 as a Questionnaire: every question of the table, valid, and its expressions are what is run."""

from __future__ import annotations

import csv
from typing import Any

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.settings import shipped
from service.submissions import forms
from service.submissions.expressions import compiled
from service.submissions.questionnaire import INITIAL, SOURCE, slug
from tests.submissions.records import form

TABLE = shipped("mappings", "registries", "cibmtr") / "form-4100-r4.tsv"


def rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def questions() -> list[dict[str, Any]]:
    return [item for group in form().questionnaire["item"] for item in group["item"]]


def test_forms_are_valid(definitions: Definitions) -> None:
    validator = Validator(definitions)
    found = {one["id"]: validator.check(one) for one in forms.resources()}
    assert found == {"cibmtr-4100-r4": [], "cibmtr-4100-r4-answer": []}


def test_form_has_every_question_of_the_table_with_its_options_in_order() -> None:
    made = questions()
    assert len(made) == len(rows()) == 193
    for row, item in zip(rows(), made, strict=True):
        assert (item["linkId"], item.get("text", "")) == (row["q"], row["name"])
        options = [one["valueCoding"]["display"] for one in item.get("answerOption", [])]
        assert options == [text for text in row["answers"].split(";") if text]
        assert (item["type"] == "choice") == bool(options)
        assert (item["type"] == "date") == (row["type"] == "DATE")
    sections = list(dict.fromkeys(row["group"] for row in rows()))
    assert [group["text"] for group in form().questionnaire["item"]] == sections


def test_options_of_a_question_have_codes_of_their_own() -> None:
    displays = {one["code"]: one["display"] for one in form().answers["concept"]}
    assert form().answers["count"] == len(displays)
    for item in questions():
        codes = [one["valueCoding"]["code"] for one in item.get("answerOption", [])]
        assert len(codes) == len(set(codes))
        assert set(codes) <= displays.keys()
    assert slug(">=2") == "ge-2"


def test_gates_ask_for_an_option_of_an_earlier_question() -> None:
    seen: dict[str, list[dict[str, str]]] = {}
    gated = 0
    for item in questions():
        for gate in item.get("enableWhen", []):
            assert gate["answerCoding"] in seen[gate["question"]]
            gated += 1
        seen[item["linkId"]] = [one["valueCoding"] for one in item.get("answerOption", [])]
    assert gated > 100


def test_initial_expressions_are_made_of_resources_and_answer() -> None:
    checked = 0
    for item in questions():
        extensions = {one["url"]: one for one in item.get("extension", [])}
        if INITIAL not in extensions:
            continue
        parts = {one["url"]: one["valueExpression"]["expression"] for one in extensions[SOURCE]["extension"]}
        text = extensions[INITIAL]["valueExpression"]["expression"]
        assert text == f"({parts['resources']}).select({parts['answer']}).distinct()"
        compiled(text)
        checked += 1
    assert checked == 56
