"""Loading definitions: what R4 has, what the cache keeps, and how our own resources join."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.conformance.definitions import CORE_PACKAGE, Definitions, load
from service.conformance.search_parameters import alternatives, for_base
from service.conformance.terminology import Terminology
from service.settings import shipped

BASE = "https://cart-fhir.example/fhir"


def _own(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    resources = [
        {
            "resourceType": "SearchParameter",
            "url": f"{BASE}/SearchParameter/product-lot",
            "code": "product-lot",
            "type": "token",
            "base": ["BiologicallyDerivedProduct"],
            "expression": "BiologicallyDerivedProduct.identifier",
        },
        {
            "resourceType": "CodeSystem",
            "url": f"{BASE}/CodeSystem/release-status",
            "status": "draft",
            "content": "complete",
            "concept": [{"code": "released", "display": "Released"}, {"code": "failed", "concept": [{"code": "late"}]}],
        },
        {
            "resourceType": "ValueSet",
            "url": f"{BASE}/ValueSet/failure",
            "status": "draft",
            "compose": {
                "include": [
                    {
                        "system": f"{BASE}/CodeSystem/release-status",
                        "filter": [{"property": "concept", "op": "is-a", "value": "failed"}],
                    }
                ]
            },
        },
        {"resourceType": "Patient", "id": "an-example-without-url"},
    ]
    for index, resource in enumerate(resources):
        (folder / f"{index}.json").write_text(json.dumps(resource))
    return folder


def test_load_core_has_the_types_of_r4(definitions: Definitions) -> None:
    assert len(definitions.resource_types) == 146
    assert {"Patient", "BiologicallyDerivedProduct", "Bundle"} <= definitions.resource_types
    assert not {"Resource", "DomainResource", "SubscriptionTopic", "SubscriptionStatus"} & definitions.resource_types


def test_load_own_resources_join_the_core(tmp_path: Path) -> None:
    found = load(None, _own(tmp_path))
    assert found.search_parameters.get("BiologicallyDerivedProduct", "product-lot") is not None
    assert len(found.own_resources()) == 3
    assert found.resource(f"{BASE}/CodeSystem/release-status|1.0")["content"] == "complete"
    assert found.resource("http://hl7.org/fhir/StructureDefinition/Patient") is None
    terminology = Terminology(found)
    assert terminology.contains(f"{BASE}/ValueSet/failure", f"{BASE}/CodeSystem/release-status", "late") is True
    assert terminology.contains(f"{BASE}/ValueSet/failure", f"{BASE}/CodeSystem/release-status", "released") is False


def test_load_from_the_cache_is_equal(tmp_path: Path) -> None:
    cold = load(tmp_path)
    assert list(tmp_path.glob("definitions-*.msgpack"))
    warm = load(tmp_path)
    assert warm.search_parameters.all == cold.search_parameters.all
    assert warm.structure("Observation") == cold.structure("Observation")


@pytest.mark.parametrize("damage", [b"", b"not a cache", None])
def test_load_broken_cache_is_rebuilt(tmp_path: Path, damage: bytes | None) -> None:
    load(tmp_path)
    (file,) = tmp_path.glob("definitions-*.msgpack")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert load(tmp_path).structure("Patient") is not None
    assert file.read_bytes() == whole


def test_load_changed_own_resource_replaces_the_cache(tmp_path: Path) -> None:
    own = _own(tmp_path / "own")
    load(tmp_path / "cache", own)
    (own / "9.json").write_text(json.dumps({"resourceType": "CodeSystem", "url": "http://x", "concept": []}))
    assert load(tmp_path / "cache", own).code_system("http://x") is not None
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_load_unwritable_cache_does_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert load(tmp_path / "file" / "cache").structure("Patient") is not None


def test_structure_by_name_url_and_version(definitions: Definitions) -> None:
    url = "http://hl7.org/fhir/StructureDefinition/Observation"
    by_name = definitions.structure("Observation")
    assert by_name is not None
    assert by_name is definitions.structure(url) is definitions.structure(f"{url}|4.0.1")
    assert definitions.structure("http://hl7.org/fhir/StructureDefinition/Nothing") is None
    status = next(element for element in by_name.elements if element.path == "Observation.status")
    assert (status.min, status.max, status.binding[0]) == (1, "1", "required")


def test_search_parameters_shared_are_split_by_base(definitions: Definitions) -> None:
    parameter = definitions.search_parameters.get("Observation", "patient")
    assert parameter is not None
    assert parameter.expression == "Observation.subject.where(resolve() is Patient)"
    assert parameter.base == ("Observation",)
    code = definitions.search_parameters.get("Observation", "code")
    assert code is not None
    assert code.expression == "Observation.code"
    assert definitions.search_parameters.get("InsurancePlan", "name").expression == (
        "InsurancePlan.name | InsurancePlan.alias"
    )
    assert definitions.search_parameters.get("Patient", "_id").expression == "Resource.id"
    assert definitions.search_parameters.get("Observation", "code-value-quantity").components


def test_search_parameters_every_base_starts_at_itself(definitions: Definitions) -> None:
    for parameter in definitions.search_parameters.all:
        for part in alternatives(parameter.expression):
            assert part.lstrip("( ").startswith(parameter.base[0]), parameter


def test_alternatives_inside_parentheses_and_quotes_stay() -> None:
    assert alternatives("A.x.where(y = 'a|b') | (B.z | B.y).c") == ["A.x.where(y = 'a|b')", "(B.z | B.y).c"]
    assert for_base("A.x | (AB.y as uri) | A.z", "A", ["A", "AB"]) == "A.x | A.z"


def test_compartments_patient(definitions: Definitions) -> None:
    assert definitions.compartments["Patient"]["Observation"] == ["subject", "performer"]
    assert "Organization" not in definitions.compartments["Patient"]


def test_core_archive_has_every_definition_once() -> None:
    found = load()
    assert shipped(*CORE_PACKAGE).is_file()
    assert len(found.structures()) == len(set(found.structures())) > 600
