"""Every code that profiles, concept maps and mappings use exists: ours in our code systems, public ones verified."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from public_codes import VERIFIED

from service.conformance.definitions import Definitions
from service.conformance.terminology import Terminology
from service.fhir.json import decode
from service.settings import shipped
from service.trial import quality
from service.trial.importer import read_study
from service.trial.mapping.identity import BASE

COMPILED = sorted(shipped("fhir_profiles", "fsh-generated", "resources").glob("*.json"))
STUDIES = sorted(path for path in shipped("mappings").iterdir() if (path / "dictionary.yaml").is_file())
OWN = f"{BASE}/CodeSystem/"
QUOTED = re.compile(r"system\s*=\s*'([^']+)'\s*and\s*(?:[\w.]+\.)?code\s*=\s*'([^']+)'")
TOKEN = re.compile(r"(https?://[^\s|,'\"]+)\|([^\s|,'\"\])}]+)")
Code = tuple[str, str]


def read(path: Path) -> dict[str, Any]:
    """A resource without its snapshot, which repeats the differential and the R4 definitions."""
    return {name: value for name, value in decode(path.read_bytes()).items() if name != "snapshot"}


def codes(value: Any) -> Iterator[Code]:
    """(system, code) of every Coding, Quantity, concept of a value set, row of a concept map and invariant inside."""
    if isinstance(value, list):
        for one in value:
            yield from codes(one)
    if not isinstance(value, dict):
        return
    system = value.get("system")
    if isinstance(system, str):
        listed = [value, *value.get("concept", [])]
        yield from ((system, one["code"]) for one in listed if isinstance(one.get("code"), str))
    if isinstance(value.get("element"), list) and "target" in value:
        for element in value["element"]:
            yield from ((value["target"], one["code"]) for one in element.get("target", []) if "code" in one)
            yield from ((value["source"], element["code"]) for _ in [0] if value.get("source", "").startswith(OWN))
    if isinstance(value.get("expression"), str):
        yield from QUOTED.findall(value["expression"])
    for one in value.values():
        yield from codes(one)


def unknown(found: set[Code], terminology: Terminology) -> list[Code]:
    """The codes that neither a code system at hand nor the table of verified codes has."""
    return sorted(
        (system, code)
        for system, code in found
        if not terminology.known(system, code) and code not in VERIFIED.get(system, frozenset())
    )


@pytest.fixture(scope="module")
def terminology(definitions: Definitions) -> Terminology:
    return Terminology(definitions)


@pytest.mark.parametrize("path", COMPILED, ids=lambda path: path.stem)
def test_compiled_resource_has_only_known_codes(path: Path, terminology: Terminology) -> None:
    assert unknown(set(codes(read(path))), terminology) == []


def test_codes_finds_every_kind_of_place() -> None:
    coding = {"coding": [{"system": "http://a", "code": "1"}]}
    include = {"include": [{"system": "http://b", "concept": [{"code": "2"}, {"code": "3"}]}]}
    group = {"source": f"{OWN}words", "target": "http://c", "element": [{"code": "w", "target": [{"code": "4"}, {}]}]}
    invariant = {"expression": "coding.where(system = 'http://d' and code = '5').exists()"}
    found = {("http://a", "1"), ("http://b", "2"), ("http://b", "3"), ("http://c", "4"), ("http://d", "5")}
    assert set(codes([coding, include, group, invariant])) == {*found, (f"{OWN}words", "w")}


def test_unknown_finds_codes_that_nobody_defines(terminology: Terminology) -> None:
    made_up = {(f"{OWN}trial-concept", "made-up"), ("http://snomed.info/sct", "1"), ("http://nobody.example", "x")}
    known = {(f"{OWN}trial-concept", "crs-grade"), ("http://snomed.info/sct", "127034005")}
    assert unknown(made_up | known, terminology) == sorted(made_up)


@pytest.mark.parametrize("folder", STUDIES, ids=lambda path: path.name)
def test_mapped_study_has_only_known_codes(folder: Path, definitions: Definitions, terminology: Terminology) -> None:
    resources = [one.resource for one in read_study(definitions, folder)[1]]
    found = set(codes(resources + quality.examine(resources, folder)))
    assert {system for system, _ in found} >= {f"{OWN}trial-concept", "http://loinc.org"}
    assert unknown(found, terminology) == []


@pytest.mark.parametrize("path", [path for folder in STUDIES for path in folder.rglob("*.yaml")], ids=lambda p: p.stem)
def test_mapping_file_names_only_known_codes(path: Path, terminology: Terminology) -> None:
    text = path.read_text(encoding="utf-8")
    named = set(TOKEN.findall(text)) | set(codes(yaml.safe_load(text)))
    assert unknown({(system, code) for system, code in named if "/identifier/" not in system}, terminology) == []


@pytest.mark.parametrize("path", [path for folder in STUDIES for path in folder.glob("concept-maps/*.json")])
def test_concept_map_of_a_study_leads_to_known_codes(path: Path, terminology: Terminology) -> None:
    found = {code for code in codes(read(path)) if not code[0].startswith(f"{OWN}isikok-19-")}
    assert found
    assert unknown(found, terminology) == []


@pytest.mark.parametrize("path", [path for path in COMPILED if path.name.startswith("ConceptMap-")])
def test_translate_every_source_code_gives_its_targets(path: Path, terminology: Terminology) -> None:
    resource = read(path)
    for group in resource["group"]:
        for element in group["element"]:
            found = {(target.system, target.code) for target in terminology.translate(resource["url"], element["code"])}
            assert found >= {(group["target"], target.get("code", "")) for target in element["target"]}


def test_own_code_systems_have_no_code_twice() -> None:
    systems = [read(path) for path in COMPILED if path.name.startswith("CodeSystem-")]
    assert systems
    for system in systems:
        listed = [concept["code"] for concept in system["concept"]]
        assert len(listed) == len(set(listed)), system["id"]
        assert system["content"] == "complete"
        assert system["caseSensitive"] is True
