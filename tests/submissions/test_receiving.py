"""What must hold of submissions that are sent to us: one receipt, one effect, refusals with every reason."""

from __future__ import annotations

import asyncio
import copy
from uuid import NAMESPACE_URL, uuid5

import httpx
import pytest
from fastapi import FastAPI

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.fhir.json import encode
from service.simulators.registry import payload_hash
from service.store.database import Database
from service.submissions.receipts import record_of
from tests.submissions.conftest import (
    HOSPITAL,
    NDJSON,
    entry,
    found,
    message,
    parts,
    receipt_of,
    report,
    rules,
    send,
    total,
)


async def test_message_is_taken_whole_and_gets_a_receipt(client: httpx.AsyncClient, definitions: Definitions) -> None:
    sent = message()
    answer = await send(client, sent)
    receipt = receipt_of(answer)
    assert receipt["id"] == str(uuid5(uuid5(NAMESPACE_URL, HOSPITAL), "m1"))
    assert receipt["extension"][0]["valueString"] == f"sha256:{payload_hash(sent)}"
    assert receipt["policy"] == ["http://hl7.org/fhir/StructureDefinition/Bundle|4.0.1"]
    assert Validator(definitions).errors(answer.json()) == []
    (lab,), (who,), (task,) = [await found(client, type_) for type_ in ("Observation", "Patient", "Task")]
    assert (lab["subject"]["reference"], who["id"] == "p1") == (f"Patient/{who['id']}", False)
    assert (task["status"], task["businessStatus"]["coding"][0]["code"]) == ("completed", "CMP")
    assert {one["reference"] for one in receipt["target"]} == {
        f"{one['resourceType']}/{one['id']}" for one in (lab, who, task)
    }
    kept = await client.get(f"/submissions/receipts/{receipt['id']}")
    assert kept.json() == receipt
    assert (await client.get("/submissions/receipts/none")).status_code == 404


async def test_same_message_again_has_the_same_answer_and_no_effect(client: httpx.AsyncClient) -> None:
    first = await send(client, message())
    before = await total(client)
    again = message(at="2021-03-05T08:00:00+03:00") | {"id": "another-envelope"}
    assert parts(await send(client, again)) == parts(first)
    assert await total(client) == before


async def test_same_message_by_many_at_once_is_taken_once(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(send(client, message()) for _ in range(8)))
    assert {receipt_of(answer)["recorded"] for answer in answers} == {receipt_of(answers[0])["recorded"]}
    assert await total(client) == 4


@pytest.mark.parametrize("replaces", [None, "m0"])
async def test_message_that_is_taken_while_it_is_looked_up_is_taken_once(
    client: httpx.AsyncClient, application: FastAPI, monkeypatch: pytest.MonkeyPatch, replaces: str | None
) -> None:
    sent, answers, database = message(replaces=replaces), [], application.state.server.database
    receipt_of(await send(client, message("m0", at="2021-03-01T08:00:00Z")))
    note = database.note

    async def slow(room: str, key: str) -> bytes | None:
        found = await note(room, key)
        if room == "submission-received":
            monkeypatch.undo()
            answers.append((receipt_of(await send(client, sent)), await total(client)))
        return found

    monkeypatch.setattr(database, "note", slow)
    assert answers == [(receipt_of(await send(client, sent)), await total(client))]


async def test_many_about_one_obligation_at_once_leave_one_that_counts(
    client: httpx.AsyncClient, database: Database
) -> None:
    sent = [message(f"m{hour}", report(status="amended"), f"2021-03-04T1{hour}:00:00Z") for hour in range(8)]
    answers = await asyncio.gather(*(send(client, one) for one in sent))
    refused = [rules(parts(answer)[1]) for answer in answers if answer.status_code != 200]
    assert refused == [{"submission-older"}] * len(refused)
    kept = [record_of(content) for _, content in await database.notes("submission-received")]
    assert len(kept) == 8 - len(refused)
    (current,) = [one for one in kept if one.state == "accepted"]
    assert current.message == "m7"
    assert len(await found(client, "Observation")) == len(await found(client, "Task")) == 1


async def test_same_id_with_another_content_is_a_conflict(client: httpx.AsyncClient) -> None:
    await send(client, message())
    before = await total(client)
    answer = await send(client, message(entries=report(status="amended")))
    assert (answer.status_code, rules(parts(answer)[1])) == (409, {"submission-id-reused"})
    assert await total(client) == before
    other = message(entries=report(status="amended"), source={"endpoint": "https://other.example/fhir"})
    assert receipt_of(await send(client, other))["id"] != str(uuid5(uuid5(NAMESPACE_URL, HOSPITAL), "m1"))


async def test_what_cannot_be_parsed_leaves_nothing_but_a_note(client: httpx.AsyncClient, database: Database) -> None:
    answer = await client.post("/fhir/$process-message", content=b'{"resourceType": "Bundle"')
    assert (answer.status_code, rules(answer.json()["issue"])) == (400, {"not-json"})
    assert await total(client) == 0
    ((_, note),) = await database.notes("submission-refused")
    assert b"not-json" in note
    assert b"Bundle" not in note


async def test_invalid_content_is_refused_with_every_place(client: httpx.AsyncClient, database: Database) -> None:
    entries = report(status="banana", valueQuantity={"value": "7"})
    entries[1]["resource"]["gender"] = 7
    answer = await send(client, message(entries=entries))
    assert answer.status_code == 422
    header, issues, receipt = parts(answer)
    assert (header["response"]["code"], receipt) == ("fatal-error", None)
    assert {issue["expression"][0] for issue in issues} >= {
        "Bundle.entry[3].resource.status",
        "Bundle.entry[3].resource.valueQuantity.value",
        "Bundle.entry[2].resource.gender",
    }
    assert all(issue["location"] for issue in issues)
    assert await total(client) == 0
    assert len(await database.notes("submission-refused")) == 1
    assert await database.notes("submission-received") == []


@pytest.mark.parametrize("change,place", [
    ("time", "Bundle.timestamp"),
    ("empty", "Bundle.entry"),
    ("tasks", "Bundle.entry[4].resource"),
    ("twice", "Bundle.entry[4].resource.id"),
    ("focus", "Bundle.entry[0].resource.focus[0].reference"),
])  # fmt: skip
async def test_message_that_is_no_submission_says_why(client: httpx.AsyncClient, change: str, place: str) -> None:
    sent = message(entries=[] if change == "empty" else None)
    if change == "time":
        del sent["timestamp"]
    elif change == "tasks":
        sent["entry"].append(entry(report("2")[0]["resource"]))
    elif change == "twice":
        sent["entry"].append(
            {**copy.deepcopy(sent["entry"][3]), "fullUrl": "urn:uuid:0b7e4c52-8a3e-4d0c-9a4e-5d8f1c2b3a41"}
        )
    elif change == "focus":
        sent["entry"][0]["resource"]["focus"] = [{"reference": "Patient/nobody"}]
    answer = await send(client, sent)
    assert answer.status_code == 422, answer.text
    assert place in {issue["expression"][0] for issue in parts(answer)[1]}
    assert await total(client) == 0


async def test_reference_that_leads_nowhere_is_refused_whole(client: httpx.AsyncClient) -> None:
    entries = report(encounter={"reference": "Encounter/nobody"})
    entries[2]["fullUrl"] = "urn:uuid:0b7e4c52-8a3e-4d0c-9a4e-5d8f1c2b3a41"
    answer = await send(client, message(entries=entries))
    assert answer.status_code == 409
    assert parts(answer)[1][0]["expression"] == ["Bundle.entry[3].resource.encounter.reference"]
    assert await total(client) == 0


async def test_reference_to_what_stayed_at_home_leads_there(client: httpx.AsyncClient) -> None:
    links = {"encounter": {"reference": "Encounter/7"}, "focus": [{"reference": "Patient/p1/_history/3"}]}
    receipt_of(await send(client, message(entries=report(**links))))
    (lab,), (who,) = await found(client, "Observation"), await found(client, "Patient")
    assert lab["encounter"]["reference"] == f"{HOSPITAL}/Encounter/7"
    assert lab["focus"][0]["reference"] == f"Patient/{who['id']}"


async def test_void_keeps_history_and_receipt_and_leaves_searches(client: httpx.AsyncClient) -> None:
    receipt = receipt_of(await send(client, message()))
    (lab,) = await found(client, "Observation")
    void = message("m2", [], kind="submission-void", replaces="m1")
    first = await send(client, void)
    assert receipt_of(first)["target"][0]["reference"] == f"Provenance/{receipt['id']}"
    assert [await found(client, type_) for type_ in ("Observation", "Patient")] == [[], []]
    assert (await client.get(f"/fhir/Observation/{lab['id']}")).status_code == 410
    assert (await client.get(f"/fhir/Observation/{lab['id']}/_history/1")).json()["code"] == lab["code"]
    assert (await client.get(f"/submissions/receipts/{receipt['id']}")).status_code == 200
    (task,) = await found(client, "Task")
    assert (task["status"], task["businessStatus"]["coding"][0]["code"]) == ("entered-in-error", "VOID")
    before = await total(client)
    assert (await send(client, void)).content == first.content
    assert await total(client) == before
    for id_, named, rule in (("m3", "m1", "submission-state"), ("m4", "none", "submission-unknown")):
        answer = await send(client, message(id_, [], kind="submission-void", replaces=named))
        assert (answer.status_code, rules(parts(answer)[1])) == (409, {rule})
    answer = await send(client, message("m5", [], kind="submission-void"))
    assert (answer.status_code, rules(parts(answer)[1])) == (422, {"submission-replaces"})


async def test_void_leaves_what_another_submission_brought_too(client: httpx.AsyncClient) -> None:
    shared = report("1")[1]
    other = [report("2")[0], shared]
    other[0]["resource"]["for"] = {"reference": "Patient/p1"}
    await send(client, message())
    receipt_of(await send(client, message("m2", other)))
    receipt_of(await send(client, message("m3", [], kind="submission-void", replaces="m1")))
    assert await found(client, "Observation") == []
    assert len(await found(client, "Patient")) == 1


async def test_older_late_message_has_to_replace(client: httpx.AsyncClient) -> None:
    await send(client, message("m2", at="2021-03-06T08:00:00+03:00"))
    older = report(status="amended")
    answer = await send(client, message("m1", older))
    assert (answer.status_code, rules(parts(answer)[1])) == (409, {"submission-older"})
    assert [one["status"] for one in await found(client, "Observation")] == ["final"]
    receipt_of(await send(client, message("m1", older, replaces="m2")))
    assert [one["status"] for one in await found(client, "Observation")] == ["amended"]
    answer = await send(client, message("m3", report(status="corrected"), replaces="m2"))
    assert (answer.status_code, rules(parts(answer)[1])) == (409, {"submission-state"})


async def test_newer_message_supersedes_and_takes_along_what_it_does_not_bring(client: httpx.AsyncClient) -> None:
    await send(client, message())
    newer = [*report()[:2], entry({**report()[2]["resource"], "id": "o2"})]
    receipt_of(await send(client, message("m2", newer, at="2021-03-05T08:00:00+03:00")))
    assert len(await found(client, "Observation")) == 1
    successor = report("1b")
    receipt_of(await send(client, message("m3", successor, at="2021-03-06T08:00:00+03:00", replaces="m2")))
    states = {
        one["identifier"][0]["value"]: one["businessStatus"]["coding"][0]["code"] for one in await found(client, "Task")
    }
    assert states == {"1": "SUP", "1b": "CMP"}


@pytest.mark.parametrize("way", ["put", "patch", "delete", "transaction", "conditional", "meta"])
async def test_receipt_is_never_changed(client: httpx.AsyncClient, way: str) -> None:
    receipt = receipt_of(await send(client, message()))
    place = f"/fhir/Provenance/{receipt['id']}"
    before = (await client.get(place)).content
    changed = {**receipt, "recorded": "2020-01-01T00:00:00Z"}
    patch = [{"op": "replace", "path": "/recorded", "value": "2020-01-01T00:00:00Z"}]
    request = {"method": "DELETE", "url": f"Provenance/{receipt['id']}"}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": request}]}
    tag = {"name": "meta", "valueMeta": {"tag": [{"system": HOSPITAL, "code": "x"}]}}
    calls = {
        "put": client.put(place, json=changed),
        "patch": client.patch(place, json=patch, headers={"content-type": "application/json-patch+json"}),
        "delete": client.delete(place),
        "transaction": client.post("/fhir", json=bundle),
        "conditional": client.delete("/fhir/Provenance", params={"_id": receipt["id"]}),
        "meta": client.post(f"{place}/$meta-add", json={"resourceType": "Parameters", "parameter": [tag]}),
    }
    answer = await calls.pop(way)
    for unused in calls.values():
        unused.close()
    assert (answer.status_code, rules(answer.json()["issue"])) == (409, {"receipt-immutable"})
    assert (await client.get(place)).content == before


def lines(*messages: object) -> bytes:
    return b"".join(encode(one) + b"\n" if isinstance(one, dict) else one + b"\n" for one in messages)


def counts(answer: httpx.Response) -> dict[str, int]:
    parameters = answer.json()["parameter"]
    return {one["name"]: one["valueInteger"] for one in parameters if "valueInteger" in one}


async def test_bulk_takes_the_valid_lines_and_tells_each(client: httpx.AsyncClient, definitions: Definitions) -> None:
    bad = message("m2", report("2", status="banana"))
    content = lines(message(), bad, b"", b'{"resourceType": ', message("m3", report("3")), message(), b"[]")
    answer = await client.post("/submissions/bulk", content=content, headers=NDJSON)
    assert answer.status_code == 200, answer.text
    assert Validator(definitions).errors(answer.json()) == []
    expected = {"lines": 7, "accepted": 2, "repeated": 1, "refused": 3, "empty": 1}
    assert counts(answer) == expected
    assert sum(expected.values()) == 2 * expected["lines"]
    told = [{part["name"]: part for part in one["part"]} for one in answer.json()["parameter"] if one["name"] == "line"]
    results = {one["number"]["valueInteger"]: one["result"]["valueCode"] for one in told}
    assert results == {1: "accepted", 2: "refused", 4: "refused", 5: "accepted", 6: "repeated", 7: "refused"}
    (issue,) = told[1]["outcome"]["resource"]["issue"]
    assert (issue["expression"], issue["location"]) == (["Bundle.entry[3].resource.status"], ["line 2, column 1"])
    assert told[2]["outcome"]["resource"]["issue"][0]["location"][0].startswith("line 4, ")
    assert told[0]["receipt"]["valueReference"] == told[4]["receipt"]["valueReference"]
    assert len(await found(client, "Observation")) == 2


async def test_bulk_without_a_valid_line_is_refused_with_all_places(client: httpx.AsyncClient) -> None:
    content = lines(message("m1", report(status="banana")), message("m2", report("2", status="banana")))
    answer = await client.post("/submissions/bulk", content=content, headers=NDJSON)
    assert answer.status_code == 422
    assert [one["location"][0] for one in answer.json()["issue"]] == ["line 1, column 1", "line 2, column 1"]
    assert await total(client) == 0


async def test_bulk_of_another_kind_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/submissions/bulk", content=lines(message()))).status_code == 415
    assert (await client.post("/submissions/bulk", content=b"\n", headers=NDJSON)).status_code == 400
