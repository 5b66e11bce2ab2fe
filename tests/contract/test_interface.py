"""The routes, the OpenAPI document and the CapabilityStatement say the same."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Match, Mount, Route

from service import errors
from service.api.openapi import DESCRIBED, document, plain
from service.api.server import parse_search
from service.app import create_app
from service.conformance import capability
from service.conformance.definitions import Definitions
from service.fhir.conditions import Scope
from service.fhir.criteria import NOT_DONE
from service.fhir.json import encode
from service.fhir.search import RESULT, SPECIAL
from service.settings import Settings

ALIASES = {"/fhir/"}
METHODS = {"get", "put", "post", "delete", "patch"}
# Where the pages and probes are that stand beside the FHIR API: a CapabilityStatement does not speak of them.
NOT_FHIR = set("docs favicon.ico health ig openapi.json trial jobs dead-letters sync submissions".split()) | {""}
# Parameters that shape the answer, with a value of each.
SHAPES = {
    "_count": "5",
    "_sort": "_id",
    "_include": "*",
    "_revinclude": "*",
    "_total": "accurate",
    "_summary": "true",
    "_elements": "id",
    "_format": "json",
    "_pretty": "true",
    "_contained": "false",
}


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
    assert set(DESCRIBED) <= set(ids)


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


def test_nothing_is_served_that_is_not_advertised(definitions: Definitions) -> None:
    (rest,) = capability.statement(definitions, offered())["rest"]
    codes = {one["code"] for one in (*rest["interaction"], *rest["resource"][0]["interaction"])}
    operations = [one for entry in (rest, *rest["resource"]) for one in entry["operation"]]
    named = {(one["definition"], part) for one in operations for part in re.split("; |, ", one["documentation"])}
    for one in offered():
        top, _, rest_of_path = one.path.removeprefix("/").partition("/")
        if top != "fhir":
            assert top in NOT_FHIR, one.name
        elif one.name != "metadata":  # which is the statement itself
            address = re.sub(r"\{(\w+):\w+\}", r"[\1]", rest_of_path)
            advertised = {(one.definition, one.method), (one.definition, f"{one.method} {address}")} & named
            assert set(one.codes) <= codes, one.name
            assert one.codes or advertised or (one.compartment and rest["compartment"]), one.name
    assert "patch also goes by criteria" in rest["documentation"]  # R4 has no element for it
    paths = {one.path for one in offered()} | ALIASES
    for route in create_app(Settings()).router.routes:
        assert (isinstance(route, Route) and route.path in paths) or (
            isinstance(route, Mount) and route.path == "/static"
        )


def test_search_takes_exactly_the_parameters_that_are_advertised(definitions: Definitions) -> None:
    (rest,) = capability.statement(definitions, offered())["rest"]
    common = {one["name"] for one in rest["searchParam"]}
    assert set(SPECIAL) < common
    known = {one.code for one in definitions.search_parameters.all} | common - set(SPECIAL)
    known |= {"_score", "_graph", "_at", "_since", "_maxresults"}
    for resource in rest["resource"]:
        advertised = {one["name"] for one in resource.get("searchParam", ())} | common
        pairs = [(f"{name}:missing", "true") for name in sorted(known - set(NOT_DONE))]
        query = parse_search(Settings(), definitions, Scope(resource["type"]), pairs, "lenient")
        assert len(query.conditions) == len(advertised - set(SPECIAL))
        assert {name.removesuffix(":missing") for name in query.ignored} == known - advertised - set(NOT_DONE)


def test_what_is_not_done_is_neither_advertised_nor_taken(definitions: Definitions) -> None:
    (rest,) = capability.statement(definitions, offered())["rest"]
    for resource in rest["resource"]:
        advertised = {one["name"] for one in (*resource.get("searchParam", ()), *rest["searchParam"])}
        own = definitions.search_parameters.of(resource["type"])
        for name in NOT_DONE:
            assert name not in advertised or name in own, (resource["type"], name)
            if name not in advertised and (name in own or name.startswith("_")):
                with pytest.raises(errors.BadRequest) as refused:
                    parse_search(Settings(), definitions, Scope(resource["type"]), [(name, "x")], "lenient")
                assert [issue.rule for issue in refused.value.issues] == ["unsupported-parameter"]


def test_parameters_that_shape_the_answer_are_named_in_the_documentation(definitions: Definitions) -> None:
    (rest,) = capability.statement(definitions, offered())["rest"]
    assert set(SHAPES) == RESULT
    for name, value in SHAPES.items():
        assert f" {name}" in rest["documentation"]
        query = parse_search(Settings(), definitions, Scope("Patient"), [(name, value)], "strict")
        assert query.conditions == ()
        assert query.link == ((name, value),)


def test_capability_statement_lists_only_what_is_searchable(definitions: Definitions) -> None:
    statement = capability.statement(definitions, offered())
    for resource in statement["rest"][0]["resource"]:
        for parameter in resource.get("searchParam", []):
            pair = (f"{parameter['name']}:missing", "true")
            query = parse_search(Settings(), definitions, Scope(resource["type"]), [pair], "strict")
            assert len(query.conditions) == 1
