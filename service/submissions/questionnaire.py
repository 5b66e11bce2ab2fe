"""A registry's form as a Questionnaire: its questions from a table, its expressions from a YAML file.

Both stand in `mappings/registries/<registry>/`. The Questionnaire follows SDC (http://hl7.org/fhir/uv/sdc): its
variables are queries (`application/x-fhir-query`) and FHIRPath, and each `initialExpression` is
`(resources).select(answer).distinct()`; the extension `item-source` has the two parts, so that an answer can name the
resources that it came from.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from service.errors import Internal
from service.fhir.operations import Resource
from service.trial.mapping.identity import BASE
from service.trial.mapping.source import read_yaml

STRUCTURE = f"{BASE}/StructureDefinition"
VARIABLE = "http://hl7.org/fhir/StructureDefinition/variable"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition"
LAUNCH = f"{SDC}/sdc-questionnaire-launchContext"
INITIAL = f"{SDC}/sdc-questionnaire-initialExpression"
UNIT_OPTION = "http://hl7.org/fhir/StructureDefinition/questionnaire-unitOption"
SOURCE = f"{STRUCTURE}/item-source"
UCUM = "http://unitsofmeasure.org"
QUERY, PATH = "application/x-fhir-query", "text/fhirpath"

# The types of the table. A measured number is a quantity, which the YAML says by naming its units.
TYPES = {
    "DATE": "date",
    "TEXT": "string",
    "TEXT_WITH_MULTIPLE_CHOICE": "quantity",
    "MC": "choice",
    "MULTIPLE_CHOICE": "choice",
    "MS": "choice",
    "MULTIPLE_SELECT": "choice",
}
SEVERAL = frozenset({"MS", "MULTIPLE_SELECT"})
# The parameters that choose by code, who it is about, and when.
SEARCHED = {
    "Observation": ("code", "patient", "date"),
    "Procedure": ("code", "patient", "date"),
    "AdverseEvent": ("event", "subject", "date"),
    "MedicationAdministration": ("code", "patient", "effective-time"),
    "BiologicallyDerivedProduct": ("code", "source", ""),
}
PERIOD = ("ge{{%from}}", "le{{%to}}")
WINDOWS = {
    "record": (),
    "sofar": ("ge{{%infusion.performed}}", "le{{%to}}"),
    "period": PERIOD,
    "course": ("ge{{%infusion.performed}}", *PERIOD),
}
_PHRASE = re.compile(r"\{(\w+)\}")


def slug(text: str) -> str:
    """An answer as a code: `>=2` is `ge-2`, `Other product` is `other-product`."""
    text = text.lower().replace(">=", "ge ").replace("--", "-")
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")


def build(folder: Path, name: str) -> tuple[Resource, Resource]:
    """The Questionnaire of `<name>.yaml` in `folder`, and the CodeSystem of its answers. Raises Internal."""
    source = read_yaml(folder / f"{name}.yaml", f"{name}.yaml")
    if source.issues:
        raise Internal(issues=source.issues)
    form = source.value
    with (folder / form["questions"]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    written = _Writer(form, rows)
    return written.questionnaire(), written.answers()


class _Writer:
    def __init__(self, form: dict[str, Any], rows: list[dict[str, str]]) -> None:
        self._form, self._rows = form, rows
        self._system = f"{BASE}/CodeSystem/{form['form']}-answer"
        self._options = {row["q"]: [text for text in row["answers"].split(";") if text] for row in rows}
        self._enable = {question: gate for numbers, *gate in form["enable"] for question in _numbers(numbers)}

    def questionnaire(self) -> Resource:
        form = self._form
        return {
            "resourceType": "Questionnaire",
            "id": form["form"],
            "extension": [_launch("patient", "Patient"), _launch("infusion", "Procedure"), *self._variables()],
            "url": f"{BASE}/Questionnaire/{form['form']}",
            **self._about(form["title"], form["description"]),
            "subjectType": ["Patient"],
            "item": self._groups(),
        }

    def answers(self) -> Resource:
        """The options of all questions, each once."""
        texts = {slug(text): text for options in self._options.values() for text in reversed(options)}
        concepts = [{"code": code, "display": texts[code]} for code in sorted(texts)]
        return {
            "resourceType": "CodeSystem",
            "id": f"{self._form['form']}-answer",
            "url": self._system,
            **self._about(f"Answers: {self._form['title']}", "The options of the questions, as the form words them."),
            "caseSensitive": True,
            "content": "complete",
            "count": len(concepts),
            "concept": concepts,
        }

    def _about(self, title: str, description: str) -> dict[str, Any]:
        return {
            "version": self._form["version"],
            "name": "".join(word.capitalize() for word in re.findall(r"[A-Za-z0-9]+", title)),
            "title": title,
            "status": "active",
            "experimental": False,
            "publisher": "cart-fhir",
            "description": description,
        }

    def _variables(self) -> list[dict[str, Any]]:
        queries = [(name, QUERY, self._query(asked)) for name, asked in self._form["queries"].items()]
        paths = [(name, PATH, self._phrased(text)) for name, text in self._form["variables"].items()]
        return [{"url": VARIABLE, "valueExpression": _expression(*one)} for one in (*queries, *paths)]

    def _query(self, asked: dict[str, Any]) -> str:
        by_code, whose, when = SEARCHED[asked["type"]]
        parts = [f"{whose}=Patient/{{{{%patient.id}}}}"]
        if codes := asked.get("code"):
            parts.append(f"{by_code}={','.join(map(self._token, codes))}")
        parts += [f"{when}={bound}" for bound in WINDOWS[asked["window"]]]
        return f"{asked['type']}?{'&'.join(parts)}"

    def _token(self, text: str) -> str:
        """`$loinc|2276-4` with the system that stands for the name."""
        name, _, code = text.removeprefix("$").partition("|")
        return f"{self._form['systems'][name]}|{code}"

    def _phrased(self, text: str) -> str:
        phrases = self._form["phrases"]
        while (found := _PHRASE.search(text)) is not None:
            text = text[: found.start()] + phrases[found[1]].strip() + text[found.end() :]
        return " ".join(text.split())

    def _groups(self) -> list[dict[str, Any]]:
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in self._rows:
            groups.setdefault(row["group"], []).append(self._item(row))
        return [{"linkId": slug(text), "text": text, "type": "group", "item": items} for text, items in groups.items()]

    def _item(self, row: dict[str, str]) -> dict[str, Any]:
        number, known = row["q"], self._form["items"].get(row["q"], {})
        units = known.get("units", [])
        item: dict[str, Any] = {
            "linkId": number,
            "prefix": number,
            "text": row["name"],
            "type": "quantity" if units else TYPES[row["type"]],
        }
        extensions = [_unit_option(unit) for unit in units]
        if known:
            extensions += self._expressions(known)
        if gate := self._enable.get(number):
            item["enableWhen"] = [{"question": gate[0], "operator": "=", "answerCoding": self._coding(gate[1])}]
        item["required"] = True if number in self._form["required"] else None
        item["repeats"] = True if row["type"] in SEVERAL or known.get("repeats") else None
        item["answerOption"] = [{"valueCoding": self._coding(text)} for text in self._options[number]]
        return {key: value for key, value in {"extension": extensions, **item}.items() if value}

    def _expressions(self, known: dict[str, Any]) -> list[dict[str, Any]]:
        resources, answer = self._phrased(known["from"]), self._phrased(known["answer"])
        initial = f"({resources}).select({answer}).distinct()"
        parts = [
            {"url": "resources", "valueExpression": _expression(None, PATH, resources)},
            {"url": "answer", "valueExpression": _expression(None, PATH, answer)},
        ]
        return [
            {"url": INITIAL, "valueExpression": _expression(None, PATH, initial)},
            {"url": SOURCE, "extension": parts},
        ]

    def _coding(self, text: str) -> dict[str, str]:
        return {"system": self._system, "code": slug(text), "display": text}


def _expression(name: str | None, language: str, text: str) -> dict[str, str]:
    return ({"name": name} if name else {}) | {"language": language, "expression": text}


def _launch(name: str, type_: str) -> dict[str, Any]:
    system = "http://hl7.org/fhir/uv/sdc/CodeSystem/launchContext"
    parts = [
        {"url": "name", "valueCoding": {"system": system, "code": name}},
        {"url": "type", "valueCode": type_},
    ]
    return {"url": LAUNCH, "extension": parts}


def _unit_option(unit: str) -> dict[str, Any]:
    return {"url": UNIT_OPTION, "valueCoding": {"system": UCUM, "code": unit, "display": unit}}


def _numbers(text: str) -> list[str]:
    first, _, last = text.partition("-")
    return [str(number) for number in range(int(first), int(last or first) + 1)]
