"""A small study that uses every word of the mapping language, written into a folder by `write_study`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from service.trial.mapping.engine import Mapped, map_records, read_records
from service.trial.mapping.spec import load_study
from service.trial.mapping.template import Study

DICTIONARY = """
study: toy
title: A toy study
tables:
  people:
    description: One row per person
    columns:
      subject: {type: string, required: true, description: Pseudonym}
      sex: {type: code, required: true, codes: [M, F], description: Sex}
      born: {type: date, description: Birth date}
      bulky: {type: code, codes: [yes, no], description: Bulky disease}
      alive: {type: code, codes: [y, n], description: Alive}
      age: {type: integer, range: [0, 120], unit: a, description: Age}
      ferritin: {type: decimal, range: [0, 5000], unit: unknown, description: Ferritin}
      dose: {type: decimal, range: [0, 20], unit: {code: 10*6/kg, text: 10⁶/kg}, description: Dose}
      disease: {type: code, description: Disease}
      therapies: {type: list, separator: ';', of: code, description: Therapies in order}
      names: {type: list, separator: ',', description: Aliases}
      lot: {type: string, description: Lot number}
      note: {type: string, description: Remark}
      passage: {type: string, description: Where}
      page: {type: string, cites: row, description: Where}
      internal: {type: string, unmapped: of the data manager, description: Internal remark}
  visits:
    description: One row per visit and measurement
    decimal: comma
    columns:
      subject: {type: string, required: true, description: Pseudonym}
      visit: {type: integer, required: true, description: Number of the visit}
      test: {type: code, required: true, codes: [crp], description: What was measured}
      value: {type: decimal, description: Value}
      place: {type: string, required: true, description: Where the visit was}
      about: {type: string, description: The resource that is concerned}
"""

PEOPLE = """
study: toy
key: [subject]
shared:
  restricted: &restricted {security: [{system: urn:confidentiality, code: R}]}
resources:
  person:
    resourceType: Patient
    meta: *restricted
    identifier:
      - {system: urn:subject, value: {$col: subject}}
      - {system: urn:lot, value: {$col: lot}}
    active: {$col: alive, $as: boolean}
    name: [{use: nickname, given: [{$each: names, $col: names}]}]
    gender: {$col: sex, $map: sex}
    birthDate: {$col: born, $absent: unknown}
  age:
    when: age
    resourceType: Observation
    subject: {$ref: person, display: {$text: 'Subject {subject}'}}
    effectiveDateTime: {$absent: unknown}
    valueQuantity: {value: {$col: age}, $unit: age}
  bulky:
    when: {bulky: [yes]}
    resourceType: Observation
    valueBoolean: true
  ferritin:
    resourceType: Observation
    subject: {$ref: person}
    dataAbsentReason: {$when: {ferritin: ['']}, text: not measured}
    valueQuantity: {value: {$col: ferritin}, $unit: ferritin}
    note: [{text: {$text: 'ferritin of {subject} is {ferritin}'}}]
  dose:
    when: dose
    resourceType: MedicationAdministration
    dosage: {dose: {value: {$col: dose}, $unit: dose}}
  disease:
    resourceType: Condition
    code: {$col: disease, $map: disease, $as: concept, $absent: unknown, text: {$col: disease}}
    category:
      - {coding: [{system: urn:c, code: always}], text: {$col: note}, $when: always}
      - {$when: {bulky: [no]}, text: not bulky}
    evidence: [{detail: [{$ref: bulky}]}]
  therapy:
    each: therapies
    resourceType: MedicationStatement
    extension: [{url: urn:line, valuePositiveInt: {$index: therapies}}]
    medicationCodeableConcept: {coding: [{$col: therapies, $map: therapy, $as: coding}], text: {$col: therapies}}
    derivedFrom: [{$ref: dose}, {$ref: therapy}]
"""

VISITS = """
study: toy
key: [subject, visit, test]
resources:
  visit:
    key: [subject, visit]
    resourceType: Encounter
    subject: {$ref: people.person}
    type: [{text: {$text: 'Visit {visit}'}}]
    length: {value: {$col: visit, $as: decimal}}
    location: [{location: {display: {$col: place}}}]
  measurement:
    resourceType: Observation
    code: {text: {$col: test}}
    subject: {$ref: people.person, $by: [subject]}
    encounter: {$ref: visit}
    valueQuantity: {value: {$col: value}}
    derivedFrom: [{$col: about, $as: reference}]
"""


def concept_map(name: str, words: Mapping[str, Iterable[str]]) -> dict:
    """A ConceptMap from words to `system|code|display` targets."""
    groups = [
        {"target": system, "element": [{"code": word, "target": [{"code": code, "display": display}]}]}
        for word, targets in words.items()
        for system, code, display in (target.split("|") for target in targets)
    ]
    groups += [
        {"element": [{"code": word, "target": [{"equivalence": "unmatched"}]}]}
        for word, targets in words.items()
        if not targets
    ]
    return {"resourceType": "ConceptMap", "id": name, "status": "active", "group": groups}


MAPS = [
    concept_map("sex", {"M": ["urn:sex|male|Male"], "F": ["urn:sex|female|Female"]}),
    concept_map("disease", {"ALL": ["urn:icd|C91.0|ALL", "urn:o3|9835/3|B-ALL"], "DHL": [], "NHL": ["urn:icd|C85|N"]}),
    concept_map("therapy", {"CHOP": ["urn:regimen|chop|CHOP"], "ICE": ["urn:regimen|ice|ICE"], "RT": ["urn:x|rt|RT"]}),
]

PERSON = {
    **dict.fromkeys(["born", "bulky", "alive", "age", "ferritin", "dose", "disease", "therapies", "names"], ""),
    **dict.fromkeys(["lot", "note", "passage", "page", "internal"], ""),
    "sex": "F",
}
VISIT = {"visit": "1", "test": "crp", "value": "", "place": "Ankara", "about": ""}


def person(subject: str, **changes: str) -> dict[str, str]:
    """A row of people."""
    return {"subject": subject, **PERSON, **changes}


def visit(subject: str, **changes: str) -> dict[str, str]:
    """A row of visits."""
    return {"subject": subject, **VISIT, **changes}


def csv_text(rows: list[dict[str, str]], header: Iterable[str], delimiter: str = ",") -> str:
    """Rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(header), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_study(
    folder: Path, rows: list[dict[str, str]], visit_rows: list[dict[str, str]] | None = None, /, **files: str
) -> Path:
    """The study with these rows in `folder`; `files` replaces dictionary, people or visits (the templates)."""
    for name in ("templates", "data", "concept-maps"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "dictionary.yaml").write_text(files.get("dictionary", DICTIONARY), encoding="utf-8")
    (folder / "templates/people.yaml").write_text(files.get("people", PEOPLE), encoding="utf-8")
    (folder / "templates/visits.yaml").write_text(files.get("visits", VISITS), encoding="utf-8")
    for map_ in MAPS:
        (folder / f"concept-maps/{map_['id']}.json").write_text(json.dumps(map_), encoding="utf-8")
    (folder / "data/people.csv").write_text(csv_text(rows, person("")), encoding="utf-8")
    (folder / "data/visits.csv").write_text(csv_text(visit_rows or [], visit(""), ";"), encoding="utf-8")
    return folder


def map_folder(folder: Path) -> tuple[Study, list[Mapped]]:
    """The study in `folder` and all that it maps to."""
    study = load_study(folder)
    return study, map_records(study, read_records(study))
