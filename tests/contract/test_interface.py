"""The routes, the OpenAPI document and the CapabilityStatement say the same."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Match, Route

from service import errors
from service.api.examples import OPERATIONS
from service.api.openapi import document, plain
from service.app import create_app
from service.conformance import capability
from service.conformance.definitions import Definitions
from service.fhir.conditions import Scope
from service.fhir.json import encode
from service.settings import Settings

ALIASES = {"/fhir/"}
METHODS = {"get", "put", "post", "delete", "patch"}


def served() -> dict[str, set[str]]:
    """Path → methods of every route."""
    found = {}
    for route in create_app(Settings()).router.routes:
        if isinstance(route, Route) and route.path not in ALIASES:
            found[plain(route.path)] = {method.lower() for method in route.endpoint.handlers} - {"head"}
    return found


def offered() -> tuple[capability.Interaction, ...]:
    return create_app(Settings()).state.interactions


def described() -> dict:
    return document(offered())


def test_openapi_describes_every_route_and_no_other() -> None:
    paths = described()["paths"]
    routes = served()
    for path, methods in routes.items():
        assert set(paths[path]) == methods, path
    for path in set(paths) - set(routes):  # a worked example of a general route
        general = re.sub(r"^/fhir/[A-Z]\w+", "/fhir/{type}", path)
        assert set(paths[path]) <= routes[general], path


def test_every_described_path_is_answered() -> None:
    routes = create_app(Settings()).router.routes
    for path in described()["paths"]:
        address = re.sub(r"\{\w+\}", "1", path.replace("{type}", "Patient").replace("{within}", "Observation"))
        scope = {"type": "http", "method": "GET", "path": address, "root_path": ""}
        assert any(route.matches(scope)[0] is not Match.NONE for route in routes), path


def test_operation_ids_are_unique_and_stable() -> None:
    ids = [operation["operationId"] for path in described()["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    assert set(OPERATIONS) <= set(ids)


def test_openapi_is_small_and_shallow() -> None:
    content = described()
    assert len(encode(content)) < 150 * 1024

    def depth(value: object) -> int:
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + max(map(depth, children), default=0)

    assert depth(content["components"]["schemas"]) < 12


def test_every_operation_has_a_summary_a_text_and_an_answer() -> None:
    for path, methods in described()["paths"].items():
        for method, operation in methods.items():
            assert method in METHODS, path
            assert operation["summary"], path
            assert operation["description"], path
            assert any(status.startswith("2") for status in operation["responses"]), path


def test_every_error_shown_is_an_outcome_of_its_class() -> None:
    for status, response in described()["components"]["responses"].items():
        outcome = response["content"]["application/fhir+json"]["example"]
        assert outcome["resourceType"] == "OperationOutcome"
        assert int(status) >= 400
        assert {issue["code"] for issue in outcome["issue"]} <= errors.ISSUE_TYPES


def every_error() -> list[type[errors.CartFhirError]]:
    found = [errors.CartFhirError]
    for kind in found:
        found += kind.__subclasses__()
    return found


@pytest.mark.parametrize("kind", every_error())
def test_every_error_renders_with_a_code_of_r4(kind: type[errors.CartFhirError]) -> None:
    issue = kind("text").outcome()["issue"][0]
    assert issue["code"] in errors.ISSUE_TYPES
    assert issue["severity"] == "error"
    assert issue["details"]["coding"][0]["code"]
    assert 400 <= kind.status < 600


def test_capability_statement_equals_the_routes(definitions: Definitions) -> None:
    statement = capability.statement(definitions, offered())
    rest = statement["rest"][0]
    codes = {code for interaction in offered() for code in interaction.codes}
    assert {one["code"] for one in rest["interaction"]} | {
        one["code"] for one in rest["resource"][0]["interaction"]
    } == codes
    assert {resource["type"] for resource in rest["resource"]} == definitions.resource_types


def test_capability_statement_is_valid(definitions: Definitions) -> None:
    from service.conformance.validator import Validator

    statement = capability.statement(definitions, offered())
    statement["implementation"]["url"] = "http://localhost/fhir"
    assert [issue for issue in Validator(definitions).check(statement) if issue.severity == "error"] == []


def test_capability_statement_lists_only_what_is_searchable(definitions: Definitions) -> None:
    from service.api.server import parse_search

    statement = capability.statement(definitions, offered())
    for resource in statement["rest"][0]["resource"]:
        for parameter in resource.get("searchParam", []):
            pair = (f"{parameter['name']}:missing", "true")
            query = parse_search(Settings(), definitions, Scope(resource["type"]), [pair], "strict")
            assert len(query.conditions) == 1
