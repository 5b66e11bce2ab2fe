"""The simulated registry over real HTTP: receipts, refusals, polling, lost answers."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.simulators.registry import Behaviour, Registry, payload_hash, receipt_id
from service.simulators.serving import serving

PROCESS = "/fhir/$process-message"
SENDER = "https://centre.example/fhir"


class Client(httpx.Client):
    registry: Registry


@pytest.fixture
def registry_of() -> Iterator[Callable[..., Client]]:
    """Starts a registry and gives a client of it."""
    with ExitStack() as stack:

        def start(behaviour: Behaviour | None = None, folder: Path | None = None) -> Client:
            registry = Registry(behaviour, folder)
            client = stack.enter_context(Client(base_url=stack.enter_context(serving(registry)), timeout=10))
            client.registry = registry
            return client

        yield start


def message(id_: str = "m1", value: str = "first", **header: Any) -> dict[str, Any]:
    form = {"resourceType": "QuestionnaireResponse", "id": "f1", "status": "completed", "item": [{"text": value}]}
    head = {
        "resourceType": "MessageHeader",
        "id": id_,
        "eventUri": "https://registry.example/event/form",
        "source": {"endpoint": SENDER},
        "focus": [{"reference": "QuestionnaireResponse/f1"}],
    }
    return {"resourceType": "Bundle", "type": "message", "entry": [{"resource": head | header}, {"resource": form}]}


def labs(count: int, label: str | None = "rc_10001") -> dict[str, Any]:
    meta = {"meta": {"security": [{"code": label}]}} if label else {}
    entries = [{"resource": {"resourceType": "Observation", **meta, "note": [{"text": str(n)}]}} for n in range(count)]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def test_message_is_answered_with_a_receipt(registry_of: Callable[..., Client], tmp_path: Path) -> None:
    client = registry_of(folder=tmp_path / "received")
    answer = client.post(PROCESS, json=message())
    assert answer.status_code == 200
    header, told, receipt = (entry["resource"] for entry in answer.json()["entry"])
    assert header["response"]["identifier"] == "m1"
    assert told["issue"][0]["severity"] == "information"
    assert receipt["id"] == receipt_id(SENDER, "m1")
    assert payload_hash(message()) in [identifier["value"] for identifier in receipt["identifier"]]
    assert client.get(f"/fhir/Basic/{receipt['id']}").json() == receipt
    assert client.get("/fhir/Basic?identifier=m1").json()["total"] == 1
    assert client.get("/fhir/Basic?identifier=m2").json()["total"] == 0
    assert (tmp_path / "received" / f"{receipt['id']}.json").exists()


def test_hash_is_of_the_content_to_the_digit() -> None:
    bundle = {"resourceType": "Bundle", "entry": [{"b": 1, "a": "ü"}]}
    canonical = '{"entry":[{"a":"ü","b":1}],"resourceType":"Bundle"}'
    assert payload_hash(bundle) == hashlib.sha256(canonical.encode()).hexdigest()
    assert payload_hash(bundle | {"id": "other", "timestamp": "2026"}) == payload_hash(bundle)


def test_same_message_again_gives_the_same_answer(registry_of: Callable[..., Client]) -> None:
    client = registry_of()
    first = client.post(PROCESS, json=message())
    client.registry.configure({"rejects": True})
    again = client.post(PROCESS, json={"timestamp": "2026-01-01T00:00:00Z", **message()})
    assert (again.status_code, again.json()) == (200, first.json())
    (taken,) = client.get("/control/received").json()
    assert (taken["times"], taken["message_id"]) == (2, "m1")


def test_same_id_with_other_content_is_409(registry_of: Callable[..., Client]) -> None:
    client = registry_of()
    client.post(PROCESS, json=message())
    answer = client.post(PROCESS, json=message(value="second"))
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (409, "conflict")
    other_sender = message(value="second", source={"endpoint": "https://other.example"})
    assert client.post(PROCESS, json=other_sender).status_code == 200


def test_same_message_at_once_is_taken_once(registry_of: Callable[..., Client]) -> None:
    client = registry_of()
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(client.post, PROCESS, json=message()) for _ in range(24)]
        answers = {post.result().text for post in sent}
    assert len(answers) == 1
    assert [taken.times for taken in client.registry.received()] == [24]


@pytest.mark.parametrize(
    ("change", "status", "expression"),
    [
        (lambda bundle: bundle.update(type="document"), 400, "Bundle.type"),
        (lambda bundle: bundle["entry"].reverse(), 400, "Bundle.entry[0].resource"),
        (lambda bundle: bundle["entry"][0]["resource"].pop("id"), 400, "Bundle.entry[0].resource.id"),
        (lambda bundle: bundle["entry"][0]["resource"].pop("eventUri"), 422, "Bundle.entry[0].resource.event"),
        (lambda bundle: bundle["entry"][0]["resource"].pop("source"), 422, "Bundle.entry[0].resource.source.endpoint"),
        (lambda bundle: bundle["entry"].pop(), 422, "Bundle.entry[0].resource.focus[0]"),
        (lambda bundle: bundle["entry"].append({}), 422, "Bundle.entry[2]"),
    ],
)
def test_bad_message_is_refused_with_its_place(
    registry_of: Callable[..., Client], change: Callable[[dict[str, Any]], object], status: int, expression: str
) -> None:
    client, bundle = registry_of(), copy.deepcopy(message())
    change(bundle)
    answer = client.post(PROCESS, json=bundle)
    assert answer.status_code == status
    assert answer.json()["issue"][0]["expression"] == [expression]
    assert client.registry.received() == []


def test_unparsable_body_is_400(registry_of: Callable[..., Client]) -> None:
    client = registry_of()
    assert client.post(PROCESS, content="{").status_code == 400
    assert client.get(PROCESS).status_code == 404
    assert client.put(PROCESS, json=message()).status_code == 405


def test_events_and_required_types(registry_of: Callable[..., Client]) -> None:
    client = registry_of(Behaviour(events=("form",), requires=("Patient",)))
    refused = client.post(PROCESS, json=message())
    assert [issue["code"] for issue in refused.json()["issue"]] == ["not-supported", "required"]
    client.post("/control/behaviour", json={"events": ["https://registry.example/event/form"], "requires": []})
    assert client.post(PROCESS, json=message()).status_code == 200


def test_rejection_and_query(registry_of: Callable[..., Client]) -> None:
    client = registry_of()
    client.post("/control/behaviour", json={"rejects": True, "rejection": "Dose is missing"})
    refused = client.post(PROCESS, json=message())
    assert (refused.status_code, refused.json()["issue"][0]["diagnostics"]) == (422, "Dose is missing")
    client.post("/control/behaviour", json={"rejects": False, "queries": True})
    queried = client.post(PROCESS, json=message())
    told = queried.json()["entry"][1]["resource"]
    assert [issue["severity"] for issue in told["issue"]] == ["information", "warning"]


@pytest.mark.parametrize(("rejects", "status"), [(False, 200), (True, 422)])
def test_answer_by_polling(registry_of: Callable[..., Client], rejects: bool, status: int) -> None:
    client = registry_of(Behaviour(polls=2, rejects=rejects))
    accepted = client.post(PROCESS, json=message(), headers={"Prefer": "respond-async"})
    assert accepted.status_code == 202
    assert accepted.json()["resourceType"] == ("OperationOutcome" if rejects else "Basic")
    url = accepted.headers["content-location"]
    polled = [client.get(url) for _ in range(4)]
    assert [answer.status_code for answer in polled] == [202, 202, status, status]
    assert polled[0].headers["retry-after"] == "1"
    assert client.delete(url).status_code == 202
    assert client.get(url).status_code == 404


def test_lost_answer_can_be_found_out(registry_of: Callable[..., Client]) -> None:
    client = registry_of()
    client.post("/control/down", json={"mode": "lose", "match": "$process-message"})
    with pytest.raises(httpx.TransportError):
        client.post(PROCESS, json=message())
    assert len(client.registry.received()) == 1
    assert client.get(f"/fhir/Basic/{receipt_id(SENDER, 'm1')}").status_code == 200
    assert client.post(PROCESS, json=message()).status_code == 200
    assert [taken.times for taken in client.registry.received()] == [2]
    assert [(exchange.status, exchange.fault) for exchange in client.registry.log if exchange.method == "POST"] == [
        (None, "lose"),
        (200, None),
    ]


def test_down_and_slow(registry_of: Callable[..., Client]) -> None:
    client = registry_of()
    client.post("/control/down", json={"requests": 2, "status": 503, "retryAfter": "120"})
    answers = [client.post(PROCESS, json=message()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "120"
    client.registry.configure({"slow_seconds": 1.0})
    with pytest.raises(httpx.ReadTimeout):
        client.post(PROCESS, json=message("m2"), timeout=0.2)


def test_bundles_to_the_base(registry_of: Callable[..., Client]) -> None:
    client = registry_of()
    taken = client.post("/fhir", json=labs(50))
    assert taken.status_code == 200
    assert {entry["response"]["status"] for entry in taken.json()["entry"]} == {"201"}
    again = client.post("/fhir/", json=labs(50))
    assert {entry["response"]["status"] for entry in again.json()["entry"]} == {"200"}
    assert len(client.registry.received()) == 1

    too_many = client.post("/fhir", json=labs(51))
    assert (too_many.status_code, too_many.json()["issue"][0]["code"]) == (422, "too-long")
    for label in (None, "centre 7"):
        refused = client.post("/fhir", json=labs(2, label))
        assert refused.status_code == 422
        assert refused.json()["issue"][1]["expression"] == ["Bundle.entry[1].resource.meta.security"]
    named = [labs(n) | {"identifier": {"value": "b1"}} for n in (1, 2)]
    assert [client.post("/fhir", json=bundle).status_code for bundle in named] == [200, 409]


def test_unknown_behaviour_is_refused(registry_of: Callable[..., Client]) -> None:
    client = registry_of()
    assert client.post("/control/behaviour", json={"moods": 1}).status_code == 400
    assert client.post("/control/down", json={"mode": "sulk"}).status_code == 400
    assert client.get("/control/nothing").status_code == 404
    assert client.get("/control/behaviour").json()["most_observations"] == 50
    assert client.get("/fhir/metadata").json()["fhirVersion"] == "4.0.1"
