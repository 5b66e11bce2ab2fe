"""Whatever is sent, the answer is one of FHIR: never a 5xx, never a hang, never a trace of the inside or of a patient.

`CART_FHIR_SOAK=1` sends 20,000 cases over both databases, `make test` 400. A failing case names its number;
`CART_FHIR_FUZZ=number` sends that one alone.
"""

from __future__ import annotations

import builtins
import json
import os
import re
import time
from random import Random
from typing import Any

import httpx

from service.app import create_app
from service.conformance.definitions import Definitions
from service.errors import ISSUE_TYPES, CartFhirError
from service.settings import Settings, shipped
from tests.promises.mutations import CANARY, Queries, body, good_bundle, mutate

ONLY = os.environ.get("CART_FHIR_FUZZ")
CASES = range(int(ONLY), int(ONLY) + 1) if ONLY else range(10_000 if os.environ.get("CART_FHIR_SOAK") else 200)
SECONDS = 30.0
FHIR = {"content-type": "application/fhir+json"}
EXCEPTIONS = [
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, Exception)
]
OURS = [error.__name__ for error in (CartFhirError, *CartFhirError.__subclasses__())]
INSIDE = re.compile(
    r"Traceback|File \\?\"|site-packages|\bservice[./][a-z]|sqlite3|psycopg|sqlalchemy|msgspec|"
    rf"(?<![A-Za-z])(?:{'|'.join([*EXCEPTIONS, *OURS])})(?![A-Za-z])"
)


def _examples() -> list[dict[str, Any]]:
    folder = shipped("fhir_profiles", "fsh-generated", "resources")
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*-example-*.json"))]


def request_of(case: int, queries: Queries, examples: list[dict[str, Any]]) -> tuple[str, str, bytes, dict[str, str]]:
    """(method, url under the base, body, headers) of a case: the same for the same number."""
    random = Random(case)
    kind = random.random()
    headers = dict(FHIR)
    if random.random() < 0.2:
        headers["prefer"] = random.choice(["return=OperationOutcome", "handling=strict", "return=x", ";;=,"])
    if kind < 0.5:
        value: Any = good_bundle(random)
    elif kind < 0.65:
        value = json.loads(json.dumps(random.choice(examples)))
    else:
        method = random.choice(["GET", "GET", "GET", "GET", "DELETE", "PUT", "HEAD"])
        who = {"resourceType": "Patient", "name": [{"family": CANARY}]}
        return method, f"/{queries.make(random)}", body(who, random) if method == "PUT" else b"", headers
    for _ in range(random.choice([0, 1, 1, 1, 2, 3, 8])):
        mutate(value, random)
    if kind < 0.5:
        return "POST", "", body(value, random), headers
    type_ = value.get("resourceType") if isinstance(value.get("resourceType"), str) else "Patient"
    headers |= {"if-none-exist": queries.make(random).partition("?")[2][:4000]} if random.random() < 0.3 else {}
    return "POST", f"/{type_ if type_.isalpha() and type_.isascii() else 'Patient'}", body(value, random), headers


def check_outcome(outcome: dict[str, Any]) -> None:
    """An OperationOutcome whose every issue has a code of R4 and says something."""
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"]
    for issue in outcome["issue"]:
        assert issue["code"] in ISSUE_TYPES
        assert issue["diagnostics"]


def check_answer(answer: httpx.Response) -> None:
    """No 5xx, inside batches neither; errors are outcomes that tell nothing of the inside or of a patient."""
    assert answer.status_code < 500
    if answer.status_code >= 400:
        assert INSIDE.search(answer.text) is None, INSIDE.search(answer.text)
        assert CANARY not in answer.text
        if answer.request.method != "HEAD":
            check_outcome(answer.json())
        return
    for entry in answer.json().get("entry", []) if answer.content else []:
        status = entry.get("response", {}).get("status", "200")
        assert int(status[:3]) < 500
        if int(status[:3]) >= 400:
            check_outcome(entry["response"]["outcome"])
            assert CANARY not in json.dumps(entry["response"])
            assert INSIDE.search(json.dumps(entry["response"])) is None


async def test_nearly_right_requests_are_answered_as_fhir_asks(settings: Settings, definitions: Definitions) -> None:
    app = create_app(settings, definitions)
    queries, examples = Queries(definitions), _examples()
    statuses: dict[int, int] = {}
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/fhir") as client:
            versions = 0
            for case in CASES:
                method, url, content, headers = request_of(case, queries, examples)
                begun = time.perf_counter()
                answer = await client.request(method, url, content=content, headers=headers)
                spent = time.perf_counter() - begun
                statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
                now = (await client.get("/_history?_count=0")).json()["total"]
                try:
                    check_answer(answer)
                    assert spent < SECONDS
                    assert answer.status_code < 300 or now == versions, "a refused request wrote something"
                except AssertionError as error:
                    raise AssertionError(
                        f"CART_FHIR_FUZZ={case}: {method} {url[:300]} → {answer.text[:500]}"
                    ) from error
                versions = now
    print(f"{len(CASES)} cases: {statuses}")
    assert ONLY or (statuses[200] > len(CASES) / 20 and statuses[400] > len(CASES) / 20)
