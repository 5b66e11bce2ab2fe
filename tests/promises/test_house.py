"""What the house promises of itself: numbers that never collide, a schema without drift, documents that are true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

from service.conformance.definitions import Definitions
from service.errors import ISSUE_TYPES, CartFhirError
from service.settings import Settings
from service.store import schema
from service.store.engine import connect
from service.store.migrate import configuration
from service.store.numbering import (
    canonical_number,
    identifier_number,
    parameter_number,
    system_number,
    text_number,
    typed_number,
)
from service.store.paths import UnknownPath, compile_path

ROOT = Path(__file__).resolve().parents[2]


def _errors(error: type[CartFhirError] = CartFhirError) -> list[type[CartFhirError]]:
    return [error, *(found for child in error.__subclasses__() for found in _errors(child))]


def test_every_error_class_has_an_issue_type_of_r4() -> None:
    assert {error.code for error in _errors()} <= ISSUE_TYPES
    rules = [error.rule for error in _errors()[1:]]
    assert len(rules) == len(set(rules))


# The numbers under which a parameter's further values stand, by its type.
VARIANTS = {
    "reference": (identifier_number,),
    "token": (text_number, typed_number),
    "quantity": (canonical_number,),
    "composite": (canonical_number,),
}


def test_parameter_numbers_of_a_type_never_collide(definitions: Definitions) -> None:
    checked = 0
    everything: dict[int, str] = {}
    for type_ in definitions.resource_types:
        for code, parameter in definitions.search_parameters.of(type_).items():
            numbers = [parameter_number(type_, code)]
            if parameter.type in VARIANTS:
                numbers += [variant(numbers[0]) for variant in VARIANTS[parameter.type]]
            for number in numbers:
                assert everything.setdefault(number, f"{type_}.{code}") == f"{type_}.{code}"
                checked += 1
    assert checked > 2000


def test_system_numbers_are_signed_64_bits() -> None:
    systems = ["", "http://loinc.org", "http://snomed.info/sct", "urn:oid:1.2.3", "http://unitsofmeasure.org"]
    numbers = [system_number(system) for system in systems]
    assert len(set(numbers)) == len(systems)
    assert all(-(2**63) <= number < 2**63 for number in numbers)


def test_search_expressions_compile_but_for_those_named_here(definitions: Definitions) -> None:
    unknown = set()
    for parameter in definitions.search_parameters.all:
        if parameter.type in ("composite", "special") or not parameter.expression:
            continue
        try:
            compile_path(parameter.expression)
        except UnknownPath:
            unknown.add((parameter.base[0], parameter.code))
    # Both point into a Bundle, not at a resource of the store.
    assert unknown == {("Bundle", "composition"), ("Bundle", "message")}


def test_schema_has_no_drift(database_url: str) -> None:
    engine = connect(Settings(database_url=database_url).url())
    config = configuration()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.check(config)
    engine.dispose()
    assert make_url(database_url).get_backend_name() in ("sqlite", "postgresql")


def test_newest_schema_is_that_of_alembic() -> None:
    assert schema.head() == ScriptDirectory.from_config(configuration()).get_current_head()


def test_no_package_shadows_a_library() -> None:
    for folder in ("alembic", "mappings", "fhir_profiles"):
        assert not list((ROOT / folder).glob("__init__.py"))


def test_imports_point_down() -> None:
    done = subprocess.run([Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_settings_are_documented_and_nothing_else_is() -> None:
    text = (ROOT / "docs" / "start.md").read_text()
    assert set(re.findall(r"`CART_FHIR_([A-Z_]+)`", text)) == {name.upper() for name in Settings.model_fields}


def test_links_of_the_documents_lead_somewhere() -> None:
    checked = 0
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
            checked += 1
    assert checked > 5
