"""Requests made from the OpenAPI description, right ones and wrong ones: what comes back is what it says.

`make soak` makes twenty times as many of them as `make test`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from service.settings import Settings
from service.store.migrate import migrate
from tests.promises.live import serving
from tests.promises.test_fuzz import INSIDE, check_outcome

EXAMPLES = 40 if os.environ.get("CART_FHIR_SOAK") else 2  # of each operation, right and wrong
SECONDS = 5.0


@schemathesis.serializer("application/fhir+ndjson")
def as_lines(context: object, value: object) -> bytes:
    """Texts go as they are."""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else repr(value).encode()


def inside(answer: dict[str, Any]) -> dict[str, Any]:
    """The outcome of a refusal; a message is answered by a message that has it in its second entry."""
    return answer["entry"][1]["resource"] if answer["resourceType"] == "Bundle" else answer


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("openapi")
    url = f"sqlite:///{folder / 'store.sqlite'}"
    migrate(Settings(database_url=url))
    with serving(url, folder) as (port, _):
        yield f"http://127.0.0.1:{port}"


def test_requests_made_from_the_description_are_answered_as_it_says(address: str) -> None:
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    counts: Counter[int] = Counter()

    def check(case: Case) -> None:
        response = case.call(base_url=address, timeout=SECONDS)
        counts[response.status_code] += 1
        case.validate_response(response, checks=[not_a_server_error, status_code_conformance, content_type_conformance])
        if response.status_code >= 400:
            assert INSIDE.search(response.text) is None
            if case.method != "HEAD":
                check_outcome(inside(response.json()))

    operations = [result.ok() for result in schema.get_all_operations()]
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            strategy = operation.as_strategy(generation_mode=mode)
            bounded = settings(
                max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
            )
            with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():  # nothing to get wrong
                seed(7431)(bounded(given(strategy)(check)))()
    print(f"{sum(counts.values())} requests to {len(operations)} operations: {dict(counts)}")
    assert counts[200] > len(operations) / 4
