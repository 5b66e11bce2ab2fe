"""$process-message, and the Bundles that hospitals send to the wrong place."""

from __future__ import annotations

import copy
from typing import Any

import httpx
import pytest

from service.api.operations.events import KNOWN
from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from tests.api.conftest import issues, observation, patient, rules

EVENTS = "https://cart-fhir.example/fhir/CodeSystem/message-event"
MRN = "https://hospital.example/mrn"
WHO, LAB = "urn:uuid:0b7e4c52-8a3e-4d0c-9a4e-5d8f1c2b3a40", "urn:uuid:0b7e4c52-8a3e-4d0c-9a4e-5d8f1c2b3a41"


def message(*entries: tuple[str, dict[str, Any]], focus: str | None = LAB, **header: Any) -> dict[str, Any]:
    """A message of the event record-update; `header` changes its MessageHeader."""
    first = {
        "resourceType": "MessageHeader",
        "id": "m1",
        "eventCoding": {"system": EVENTS, "code": "record-update"},
        "source": {"name": "Laboratory", "endpoint": "https://hospital.example/engine"},
    } | header
    if focus:
        first["focus"] = [{"reference": focus}]
    parts = [("urn:uuid:0b7e4c52-8a3e-4d0c-9a4e-5d8f1c2b3a4f", first), *entries]
    entry = [{"fullUrl": url, "resource": resource} for url, resource in parts]
    return {"resourceType": "Bundle", "type": "message", "timestamp": "2021-03-04T08:00:00+03:00", "entry": entry}


def subject(**changes: Any) -> tuple[str, dict[str, Any]]:
    return WHO, patient(id="17", identifier=[{"system": MRN, "value": "H|1,2"}]) | changes


def ferritin(**changes: Any) -> tuple[str, dict[str, Any]]:
    return LAB, observation(WHO, identifier=[{"system": MRN, "value": "L-1"}]) | changes


def answered(answer: httpx.Response) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The MessageHeader of a response message, and the issues of its outcome."""
    sent = answer.json()
    assert (sent["resourceType"], sent["type"]) == ("Bundle", "message"), answer.text
    header, outcome = (entry["resource"] for entry in sent["entry"])
    assert header["response"]["details"]["reference"] == sent["entry"][1]["fullUrl"]
    return header, outcome["issue"]


async def total(client: httpx.AsyncClient) -> int:
    return (await client.get("/_history")).json()["total"]


async def test_message_creates_then_updates_by_identifier(client: httpx.AsyncClient, definitions: Definitions) -> None:
    answer = await client.post("/$process-message", json=message(subject(), ferritin()))
    assert answer.status_code == 200
    header, found = answered(answer)
    assert (header["response"]["code"], header["response"]["identifier"]) == ("ok", "m1")
    assert header["destination"] == [{"name": "Laboratory", "endpoint": "https://hospital.example/engine"}]
    assert [issue["details"]["coding"][0]["code"] for issue in found] == ["created", "created"]
    assert Validator(definitions).check(answer.json()) == []
    who, lab = [(await client.get(one["reference"])).json() for one in header["focus"]]
    assert who["id"] != "17"
    assert lab["subject"]["reference"] == f"Patient/{who['id']}"
    again = await client.post("/$process-message", json=message(subject(), ferritin(status="amended"), id="m2"))
    header, found = answered(again)
    assert [issue["details"]["coding"][0]["code"] for issue in found] == ["unchanged", "updated"]
    assert await total(client) == 3


async def test_message_links_by_the_senders_addresses(client: httpx.AsyncClient) -> None:
    home = "https://hospital.example/fhir"
    who = (f"{home}/Patient/17", subject()[1])
    lab = (f"{home}/Observation/4", ferritin(subject={"reference": "Patient/17"})[1])
    answer = await client.post("/$process-message", json=message(who, lab, focus=f"{home}/Observation/4"))
    assert answer.status_code == 200, answer.text
    stored = (await client.get("/Observation")).json()["entry"][0]["resource"]
    assert (await client.get(f"/{stored['subject']['reference']}")).status_code == 200


async def test_message_with_an_unknown_event_is_answered_by_a_message(client: httpx.AsyncClient) -> None:
    for event in ({"system": "https://hospital.example", "code": "a01"}, {"system": EVENTS, "code": "banana"}):
        answer = await client.post("/$process-message", json=message(subject(), eventCoding=event, focus=WHO))
        assert answer.status_code == 422
        header, (issue,) = answered(answer)
        assert (header["eventCoding"], header["response"]["code"]) == (event, "fatal-error")
        assert (issue["code"], issue["expression"]) == ("not-supported", ["Bundle.entry[0].resource.eventCoding"])
        assert "record-update" in issue["diagnostics"]
    by_uri = message(subject(), eventUri="https://hospital.example/event", focus=None)
    del by_uri["entry"][0]["resource"]["eventCoding"]
    header, (issue,) = answered(await client.post("/$process-message", json=by_uri))
    assert issue["expression"] == ["Bundle.entry[0].resource.eventUri"]
    assert await total(client) == 0


async def test_message_without_identifiers_names_every_entry(client: httpx.AsyncClient) -> None:
    sent = message(subject(identifier=[{"value": "x"}]), (LAB, observation(WHO)))
    answer = await client.post("/$process-message", json=sent)
    header, found = answered(answer)
    assert (answer.status_code, header["response"]["code"]) == (422, "fatal-error")
    places = [issue["expression"] for issue in found]
    assert places == [["Bundle.entry[1].resource.identifier"], ["Bundle.entry[2].resource.identifier"]]
    assert await total(client) == 0


async def test_message_that_the_store_refuses_writes_nothing(client: httpx.AsyncClient) -> None:
    sent = message(subject(), ferritin(encounter={"reference": "Encounter/nobody"}))
    answer = await client.post("/$process-message", json=sent)
    header, (issue,) = answered(answer)
    assert (answer.status_code, header["response"]["code"]) == (409, "fatal-error")
    assert issue["expression"] == ["Bundle.entry[2].resource.encounter.reference"]
    assert await total(client) == 0


async def test_message_without_its_focus_is_refused(client: httpx.AsyncClient) -> None:
    for focus, rule in (
        (None, "focus-missing"),
        ("urn:uuid:0b7e4c52-8a3e-4d0c-9a4e-5d8f1c2b3a99", "focus-not-in-message"),
    ):
        answer = await client.post("/$process-message", json=message(subject(), focus=focus))
        _, (issue,) = answered(answer)
        assert issue["details"]["coding"][0]["code"] == rule
        assert issue["expression"][0].startswith("Bundle.entry[0].resource.focus")


def broken(change: str) -> dict[str, Any]:
    sent = copy.deepcopy(message(subject(), ferritin()))
    header = sent["entry"][0]["resource"]
    if change == "type":
        sent["type"] = "collection"
    elif change == "order":
        sent["entry"].reverse()
    elif change == "empty":
        del sent["entry"]
    elif change in ("id", "eventCoding", "source"):
        del header[change]
    else:
        sent["entry"][2]["resource"]["status"] = "banana"
    return sent


@pytest.mark.parametrize(
    "change,place",
    [
        ("type", "Bundle.type"),
        ("order", "Bundle.entry[0].resource"),
        ("empty", "Bundle.entry[0].resource"),
        ("id", "Bundle.entry[0].resource.id"),
        ("eventCoding", "Bundle.entry[0].resource.eventCoding"),
        ("source", "Bundle.entry[0].resource.source"),
        ("status", "Bundle.entry[2].resource.status"),
    ],
)
async def test_invalid_message_names_entry_and_element(client: httpx.AsyncClient, change: str, place: str) -> None:
    answer = await client.post("/$process-message", json=broken(change))
    assert answer.status_code == 400
    assert place in {issue["expression"][0] for issue in issues(answer)}


@pytest.mark.parametrize("query", ["async=true", "response-url=https://hospital.example/x"])
async def test_message_to_be_answered_later_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.post(f"/$process-message?{query}", json=message(subject(), focus=WHO))
    assert answer.status_code == 400
    assert (await client.post("/$process-message?async=false", json=message(subject(), focus=WHO))).status_code == 200


async def test_message_with_a_key_is_replayed(client: httpx.AsyncClient) -> None:
    key, sent = {"idempotency-key": "m1"}, message(subject(), ferritin())
    first, second = [await client.post("/$process-message", json=sent, headers=key) for _ in range(2)]
    assert (first.content, first.status_code) == (second.content, second.status_code)
    assert second.headers["idempotent-replayed"] == "true"


def test_every_event_is_in_the_code_system(definitions: Definitions) -> None:
    system = definitions.resource(EVENTS)
    assert system is not None
    assert {(EVENTS, concept["code"]) for concept in system["concept"]} == set(KNOWN)


@pytest.mark.parametrize(
    "kind,instead",
    [("collection", "/Bundle "), ("document", "/Bundle "), ("history", "/Bundle "), ("message", "$process-message")],
)
async def test_bundle_that_the_base_does_not_take_is_told_where_to_go(
    client: httpx.AsyncClient, kind: str, instead: str
) -> None:
    answer = await client.post("", json={"resourceType": "Bundle", "type": kind, "entry": [{"resource": patient()}]})
    assert (answer.status_code, rules(answer)) == (400, {"bundle-type"})
    assert instead in issues(answer)[0]["diagnostics"]


async def test_resource_alone_at_the_base_is_told_where_to_go(client: httpx.AsyncClient) -> None:
    answer = await client.post("", json=patient())
    assert (answer.status_code, "[base]/[type]" in issues(answer)[0]["diagnostics"]) == (400, True)


async def test_collection_is_stored_as_it_came(client: httpx.AsyncClient) -> None:
    """Its links stay within it: they are neither rewritten nor looked up."""
    inside = [{"fullUrl": WHO, "resource": patient()}, {"fullUrl": LAB, "resource": observation(WHO)}]
    inside.append({"resource": observation("Patient/elsewhere")})
    for kind in ("collection", "searchset"):
        sent = {"resourceType": "Bundle", "type": kind, "entry": inside}
        answer = await client.post("/Bundle", json=sent)
        assert answer.status_code == 201, answer.text
        assert (await client.get(f"/Bundle/{answer.json()['id']}")).json()["entry"] == inside
    assert (await client.get("/Patient?_summary=count")).json()["total"] == 0


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_transaction_at_the_wrong_address_is_not_just_stored(client: httpx.AsyncClient, kind: str) -> None:
    entry = {"resource": patient(), "request": {"method": "POST", "url": "Patient"}}
    answer = await client.post("/Bundle", json={"resourceType": "Bundle", "type": kind, "entry": [entry]})
    assert (answer.status_code, rules(answer)) == (422, {"bundle-not-processed"})
    assert await total(client) == 0
