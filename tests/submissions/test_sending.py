"""Reports on their way to a registry: filled, checked, sent once, answered; corrected, taken back, waived."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.api.jobs import rooms_of
from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.fhir.json import decode
from service.simulators.registry import Registry
from service.simulators.serving import serving
from service.submissions.envelope import digest
from tests.submissions.conftest import rules
from tests.submissions.records import FORM_URL, patient
from tests.submissions.registry import SENDER, TASK, ended, living, owe, reached, state, submit, to


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def base(registry: Registry) -> Iterator[str]:
    """The address of the registry, over real HTTP."""
    with serving(registry) as address:
        yield address


@pytest.fixture
async def hospital(application: FastAPI, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a service that owes a report."""
    await owe(rooms_of(application.state.server))
    return client


async def due(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """What is due, over all pages."""
    found, asked = {}, {"state": "DUE", "_count": "3"}
    while True:
        page = (await client.get("/submissions", params=asked)).json()
        found |= {one["id"]: one for one in page["submissions"]}
        if page["next"] is None:
            return found
        asked = asked | {"cursor": page["next"]}


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_due_report_is_sent_and_accepted(
    hospital: httpx.AsyncClient, registry: Registry, base: str, definitions: Definitions, mode: str
) -> None:
    await to(hospital, base, mode=mode)
    owed = (await due(hospital))[TASK]
    assert (owed["form"], owed["timePoint"], owed["due"], owed["overdue"]) == ("4100", "day-100", "2026-05-20", True)
    queued = await submit(hospital)
    assert queued.status_code == 202, queued.text
    done = await reached(hospital, "CMP")
    (taken,) = registry.received()
    assert (done["message"]["message"], done["message"]["state"]) == (taken.message_id, "accepted")
    assert taken.sender == SENDER
    assert done["message"]["digest"] == f"sha256:{taken.sha256}" == digest(taken.bundle)
    assert done["message"]["receipt"] == f"Basic/{taken.receipt}"
    task = (await hospital.get(f"/fhir/Task/{TASK}")).json()
    place = next(one["valueReference"]["reference"] for one in task["output"] if one["type"]["text"] == "receipt")
    provenance = (await hospital.get(f"/fhir/{place}")).json()
    assert provenance["extension"][0]["valueString"] == done["message"]["digest"]
    assert f"Task/{TASK}" in {one["reference"] for one in provenance["target"]}
    (response,) = await living(hospital, "QuestionnaireResponse")
    validator = Validator(definitions)
    assert [validator.errors(one) for one in (task, provenance, response)] == [[], [], []]
    assert (await hospital.delete(f"/fhir/{place}")).status_code == 409


async def test_report_whose_answer_is_lost_is_asked_for_again(
    hospital: httpx.AsyncClient, registry: Registry, base: str
) -> None:
    await to(hospital, base)
    registry.down(mode="lose", match="process-message")
    await submit(hospital)
    await reached(hospital, "CMP")
    (taken,) = registry.received()
    assert taken.times == 2


async def test_report_that_must_not_leave_is_refused_with_every_reason(
    application: FastAPI, client: httpx.AsyncClient, registry: Registry, base: str
) -> None:
    await owe(
        rooms_of(application.state.server), patient(name=[{"family": "X"}], telecom=[{"system": "phone", "value": "1"}])
    )
    await to(client, base)
    refused = await submit(client)
    assert refused.status_code == 422
    places = {issue["expression"][0] for issue in refused.json()["issue"]}
    assert places == {"Bundle.entry[3].resource.name", "Bundle.entry[3].resource.telecom"}
    owed = await state(client)
    assert (owed["state"], owed["message"]) == ("ERR", None)
    task = (await client.get(f"/fhir/Task/{TASK}")).json()
    assert len(task["contained"][0]["issue"]) == 2
    assert registry.log == []
    await client.put("/fhir/Patient/p", json=patient())
    await submit(client)
    await reached(client, "CMP")


async def test_response_that_a_person_completed_is_what_is_sent(
    hospital: httpx.AsyncClient, registry: Registry, base: str
) -> None:
    await to(hospital, base)
    asked = {"subject": "Patient/p", "obligation": f"Task/{TASK}"}
    filled = await hospital.get("/fhir/Questionnaire/$populate", params=asked | {"canonical": FORM_URL})
    response = filled.json()["parameter"][0]["resource"]
    item = next(item for group in response["item"] for item in group["item"] if item["linkId"] == "2")
    item["answer"] = [{"valueDate": "2026-05-01"}]
    draft = await hospital.post("/fhir/QuestionnaireResponse", json=response)
    assert draft.status_code == 201, draft.text
    place = f"QuestionnaireResponse/{draft.json()['id']}"
    queued = await submit(hospital, response=place)
    assert queued.status_code == 202, queued.text
    await reached(hospital, "CMP")
    sent = next(one["resource"] for one in registry.received()[0].bundle["entry"][1:])
    answers = [item for group in sent["item"] for item in group["item"] if item["linkId"] == "2"]
    assert (sent["status"], answers[0]["answer"]) == ("completed", [{"valueDate": "2026-05-01"}])


async def test_rejected_report_says_why_and_can_be_sent_again(
    hospital: httpx.AsyncClient, registry: Registry, base: str
) -> None:
    await to(hospital, base)
    registry.configure({"rejects": True})
    await submit(hospital)
    owed = await reached(hospital, "ERR")
    assert owed["message"]["state"] == "rejected"
    task = (await hospital.get(f"/fhir/Task/{TASK}")).json()
    (issue,) = task["contained"][0]["issue"]
    assert (issue["diagnostics"], issue["expression"]) == ("The form is not complete", ["Bundle.entry[1].resource"])
    assert await living(hospital, "QuestionnaireResponse") == []
    registry.configure({"rejects": False})
    await submit(hospital)
    await reached(hospital, "CMP")


async def test_queried_report_is_answered_by_one_that_replaces_it(
    hospital: httpx.AsyncClient, registry: Registry, base: str
) -> None:
    await to(hospital, base)
    registry.configure({"queries": True})
    await submit(hospital)
    first = (await reached(hospital, "QRY"))["message"]["message"]
    registry.configure({"queries": False})
    ferritin = (await hospital.get("/fhir/Observation/ferritin")).json()
    await hospital.put("/fhir/Observation/ferritin", json={**ferritin, "status": "amended"})
    await submit(hospital)
    done = await reached(hospital, "CMP")
    assert done["message"]["replaces"] == first
    header = registry.received()[1].bundle["entry"][0]["resource"]
    assert header["extension"][0]["valueId"] == first


async def test_accepted_report_is_superseded_by_an_obligation_of_its_own(
    hospital: httpx.AsyncClient, registry: Registry, base: str
) -> None:
    await to(hospital, base)
    early = await hospital.post(f"/submissions/{TASK}/supersede", json={})
    assert (early.status_code, rules(early.json()["issue"])) == (409, {"submission-state"})
    await submit(hospital)
    await reached(hospital, "CMP")
    assert (await submit(hospital)).status_code == 409
    queued = await hospital.post(f"/submissions/{TASK}/supersede", json={})
    assert queued.status_code == 202, queued.text
    successor = queued.json()["task"]
    new = await reached(hospital, "CMP", successor)
    old = await state(hospital)
    assert (old["state"], old["message"]["state"]) == ("SUP", "superseded")
    assert new["message"]["replaces"] == old["message"]["message"]
    task = (await hospital.get(f"/fhir/Task/{successor}")).json()
    assert task["basedOn"] == [{"reference": f"Task/{TASK}"}]
    again = await hospital.post(f"/submissions/{TASK}/supersede", json={})
    assert again.status_code == 409
    assert len(registry.received()) == 2


async def test_void_takes_back_what_was_sent(hospital: httpx.AsyncClient, registry: Registry, base: str) -> None:
    await to(hospital, base)
    await submit(hospital)
    message = (await reached(hospital, "CMP"))["message"]["message"]
    assert (await hospital.post(f"/submissions/{TASK}/void", json={})).status_code == 400
    registry.configure({"rejects": True})
    await ended(hospital, await hospital.post(f"/submissions/{TASK}/void", json={"reason": "Another subject"}))
    refused = await state(hospital)
    assert (refused["state"], refused["reason"]) == ("CMP", "registry refused to take it back")
    registry.configure({"rejects": False})
    await hospital.post(f"/submissions/{TASK}/void", json={"reason": "Another subject"})
    owed = await reached(hospital, "VOID")
    assert owed["reason"] == "Another subject"
    bundle = registry.received()[-1].bundle
    header, task = (one["resource"] for one in bundle["entry"])
    assert header["extension"][0]["valueId"] == message
    assert (header["eventCoding"]["code"], task["status"]) == ("submission-void", "entered-in-error")
    (response,) = await living(hospital, "QuestionnaireResponse")
    assert response["status"] == "entered-in-error"
    assert len(await living(hospital, "Provenance")) >= 2


async def test_waiver_needs_a_reason_and_ends_the_obligation(hospital: httpx.AsyncClient) -> None:
    for asked in ({"state": "LTF"}, {"reason": "x", "state": "CMP"}, {}):
        answer = await hospital.post(f"/submissions/{TASK}/waive", json=asked)
        assert (answer.status_code, rules(answer.json()["issue"])) == (400, {"submission-waiver"})
    answer = await hospital.post(f"/submissions/{TASK}/waive", json={"state": "LTF", "reason": "Moved abroad"})
    assert (answer.json()["state"], answer.json()["overdue"]) == ("LTF", False)
    assert answer.json()["reason"] == "Lost to follow-up: Moved abroad"
    assert (await submit(hospital)).status_code in (400, 409)


async def test_folder_gets_a_whole_file_under_the_messages_id(hospital: httpx.AsyncClient, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    await to(hospital, "", kind="directory", folder=str(folder))
    await submit(hospital)
    owed = await reached(hospital, "RCV")
    (file,) = folder.iterdir()
    assert file.name == f"{owed['message']['message']}.json" == owed["message"]["receipt"]
    assert digest(decode(file.read_bytes(), 100)) == owed["message"]["digest"]
    assert "nobody has acknowledged it" in owed["reason"]
    assert (await submit(hospital)).status_code == 409
    seen = await hospital.post(f"/submissions/{TASK}/acknowledge", json={"reason": "Seen there"})
    assert (seen.json()["state"], seen.json()["message"]["state"]) == ("CMP", "accepted")
    assert (await hospital.post(f"/submissions/{TASK}/acknowledge", json={"reason": "x"})).status_code == 409


async def test_form_of_the_registry_stays_due_until_it_is_acknowledged(hospital: httpx.AsyncClient, base: str) -> None:
    await to(hospital, base)
    owed = next(one for one in (await due(hospital)).values() if one["form"] == "4000")
    answer = await hospital.post(f"/submissions/{owed['id']}/send", json={})
    assert (answer.status_code, rules(answer.json()["issue"])) == (422, {"form-unknown"})
    assert (await state(hospital, owed["id"]))["state"] == "DUE"
    seen = await hospital.post(f"/submissions/{owed['id']}/acknowledge", json={"reason": "Filled there"})
    assert (seen.json()["state"], seen.json()["reason"]) == ("CMP", "Acknowledged: Filled there")


async def test_two_at_once_send_one_message(hospital: httpx.AsyncClient, registry: Registry, base: str) -> None:
    await to(hospital, base)
    registry.configure({"slow_seconds": 0.5})
    first, second = await submit(hospital), await submit(hospital)
    assert (first.status_code, second.status_code) == (202, 409)
    assert rules(second.json()["issue"]) == {"job-under-way"}
    await reached(hospital, "CMP")
    assert len(registry.received()) == 1


@pytest.mark.parametrize("change,place", [
    ({"kind": "fax"}, None),
    ({"base": "registry.example"}, "base"),
    ({"sender": ""}, "sender"),
    ({"kind": "directory", "folder": "/nowhere/at/all"}, "folder"),
    ({"client_id": "x"}, "client_id"),
    ({"key_file": "/nowhere/key.pem"}, "key_file"),
    ({"centre": "12345"}, "centre"),
    ({"surprise": 1}, None),
])  # fmt: skip
async def test_malformed_destination_says_what_is_wrong(client: httpx.AsyncClient, change: dict, place: str) -> None:
    given = {"base": "https://registry.example/fhir", "sender": SENDER} | change
    answer = await client.put("/submissions/destinations/registry", json=given)
    assert (answer.status_code, rules(answer.json()["issue"])) == (422, {"destination-malformed"})
    if place:
        assert [issue["expression"] for issue in answer.json()["issue"]] == [[place]]


async def test_destination_is_kept_shown_and_removed(client: httpx.AsyncClient) -> None:
    given = {"base": "https://registry.example/fhir", "sender": SENDER}
    place = "/submissions/destinations/registry"
    assert [(await client.put(place, json=given)).status_code for _ in range(2)] == [201, 200]
    assert (await client.get(place)).json() == {"name": "registry", **given}
    moved = await client.put(place, json=given | {"sender": "https://other.example/fhir"})
    assert (moved.status_code, rules(moved.json()["issue"])) == (409, {"destination-sender"})
    assert (await client.get("/submissions/destinations")).json() == {"destinations": [{"name": "registry", **given}]}
    assert [(await client.delete(place)).status_code, (await client.get(place)).status_code] == [204, 404]
    assert (await submit(client)).status_code == 404
