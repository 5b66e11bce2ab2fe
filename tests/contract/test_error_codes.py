"""Every code that the service puts into an OperationOutcome is published with its words, and no other is."""

from __future__ import annotations

import ast
import json
import re
import tarfile
from pathlib import Path

import pytest

from service.api.openapi import OUTCOMES
from service.conformance.definitions import CORE_PACKAGE, OWN_RESOURCES
from service.errors import ERROR_SYSTEM
from service.settings import shipped
from service.trial.mapping import problems
from tests.contract.rule_codes import Search, module, modules

SYSTEM = json.loads((shipped(*OWN_RESOURCES) / "CodeSystem-error.json").read_bytes())
WRITTEN = Path("fhir_profiles/input/fsh/terminology/error-codes.fsh")
# The examples of the OpenAPI document are a table, which a test of its own compares.
SHOWN = "service.api.openapi:rule"


@pytest.fixture(scope="module")
def search() -> Search:
    """The codes of the source."""
    return Search(modules())


def outcomes() -> set[str]:
    """The outcome of a write is its code: replies has a text for each."""
    replies = next(one for one in modules() if one.name == "service.api.replies")
    found = [node.value for node in ast.walk(replies.functions["_done"]) if isinstance(node, ast.Assign)]
    return {key.value for table in found if isinstance(table, ast.Dict) for key in table.keys}


def invariants() -> set[str]:
    """The keys of the invariants of R4 and of our profiles."""
    with tarfile.open(shipped(*CORE_PACKAGE)) as tar:
        files = [tar.extractfile(one) for one in tar if one.name.startswith("package/StructureDefinition-")]
        structures = [json.loads(file.read()) for file in files if file is not None]
    structures += [json.loads(path.read_bytes()) for path in shipped(*OWN_RESOURCES).glob("StructureDefinition-*.json")]
    return {
        rule["key"]
        for structure in structures
        if structure.get("fhirVersion") == "4.0.1"
        for element in structure["snapshot"]["element"]
        for rule in element.get("constraint", [])
    }


def published() -> set[str]:
    return {concept["code"] for concept in SYSTEM["concept"]}


def written() -> set[str]:
    """The codes that stand in the FSH: those of the service itself."""
    return set(re.findall(r"^\* #(\S+) ", WRITTEN.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_code_of_the_source_can_be_followed(search: Search) -> None:
    assert search.unclear == {SHOWN}


def test_codes_of_the_openapi_examples_are_published() -> None:
    assert {rule for *_, rule in OUTCOMES.values()} - published() == set()


def test_every_code_of_the_source_is_published(search: Search) -> None:
    assert (search.codes | outcomes()) - published() == set()


def test_every_written_code_is_emitted(search: Search) -> None:
    assert written() - search.codes - outcomes() == set()


def test_every_invariant_is_published_and_nothing_else() -> None:
    assert published() == written() | invariants()


def test_every_code_has_words() -> None:
    assert SYSTEM["url"] == ERROR_SYSTEM
    assert SYSTEM["count"] == len(SYSTEM["concept"]) == len(published())
    assert [one["code"] for one in SYSTEM["concept"] if not (one.get("display") and one.get("definition"))] == []


def test_mapping_rules_are_those_that_are_published() -> None:
    assert {rule for rule in written() if rule.startswith("mapping-")} == {
        rule for rule in problems.RULES if rule.startswith("mapping-")
    }


def test_search_follows_parameters_defaults_branches_and_constants() -> None:
    errors = module(
        "service.errors",
        "class CartFhirError(Exception):\n    rule = 'of-class'\n"
        "class Sub(CartFhirError):\n    status, code, rule = 400, 'x', 'of-tuple'\n"
        "def Issue(code, text, expression, rule): ...\n",
    )
    other = module(
        "service.other",
        "from service.errors import Issue, Sub\n"
        "FIXED = 'of-constant'\n"
        "def report(text, rule='of-default'):\n    raise Sub(text, rule=rule)\n"
        "class Reader:\n    def _say(self, rule, text):\n        self._tell(rule)\n"
        "    def _tell(self, rule):\n        Issue('x', 'y', None, rule)\n"
        "    def run(self, odd):\n        self._say('of-method', 't')\n"
        "        report('t', 'of-caller' if odd else FIXED)\n"
        "        kind = 'of-local'\n        report('t', kind)\n"
        "        report('t', rule=odd())\n",
    )
    found = Search([errors, other])
    ends = "class tuple constant default method caller local".split()
    assert found.codes == {f"of-{end}" for end in ends}
    assert found.unclear == {"service.other:odd()"}
