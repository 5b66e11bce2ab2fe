"""Pull from a hospital that is down, lies, refuses, or sends what cannot be stored: plain words, nothing half done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from service.conformance.definitions import Definitions
from service.fhir.json import encode
from service.fhir.operations import Plan
from service.jobs import letters
from service.settings import Settings
from service.simulators.ehr import HOSTILE
from service.store.database import Database
from service.sync.cycle import REPLAYS
from service.sync.probe import probe
from tests.sync.pulling import WHEN, counts, here, hospital, person, subject, value

P1 = person("p1", "ISIKOK19-001")


async def steps(it: Any) -> dict[str, tuple[str, str]]:
    found = [one async for one in probe(it.database, it.rooms.definitions, it.connection)]
    return {one.name: (one.state, one.text) for one in found}


async def test_poison_goes_to_the_dead_letters_with_its_bytes_and_the_rest_proceeds(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    bare = value("bare")
    del bare["status"]
    dated = value("dated", effectiveDateTime="31.12.2021")
    with hospital([P1, value("o1"), bare, dated, value("o2")]) as (_, base):
        it = await here(settings, definitions, database, base)
        task = await it.run()
        assert (task["status"], counts(task)["created"], counts(task)["dead-letters"]) == ("completed", 2, 2)
        assert set(await it.observations()) == {"o1", "o2"}
        found = {one.place: one for one in await letters.listed(it.rooms)}
        assert set(found) == {"Observation/bare", "Observation/dated"}
        assert b'"value":4.25' in found["Observation/bare"].content
        assert found["Observation/dated"].content.startswith(b'{"resourceType":"Observation","id":"dated"')
        assert found["Observation/bare"].task == f"Task/{task['id']}"
        mended = letters.letter("sync-pull", "north", "Observation/bare", encode(value("bare")), ())
        await database.write(Plan((), notes=(mended,)))
        await letters.replay(it.rooms, REPLAYS, mended.key)
        assert (await it.observations())["bare"]["valueQuantity"]["code"] == "U/L"


async def test_references_inside_a_page_and_to_a_refused_resource(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    poison = value("bad")
    del poison["status"]
    panel = value("panel", hasMember=[{"reference": "Observation/part"}, {"reference": "Observation/bad"}])
    with hospital([P1, panel, value("part"), poison, value("other")]) as (_, base):
        it = await here(settings, definitions, database, base)
        task = await it.run()
        assert counts(task)["created"] == 3
        found = await it.observations()
        assert found["panel"]["hasMember"] == [
            {"reference": f"Observation/{found['part']['id']}"},
            {"reference": f"{base}/Observation/bad"},
        ]
        targets = {one["reference"] for said in await it.all("Provenance") for one in said["target"]}
        assert targets == {f"Observation/{one['id']}" for one in found.values()}


async def test_reference_to_what_comes_later_leads_to_it_in_the_end(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    panel = value("a-panel", hasMember=[{"reference": "Observation/z-part"}], encounter={"reference": "Encounter/e1"})
    visit = {"resourceType": "Encounter", "id": "e1", "status": "finished", "subject": {"reference": "Patient/p1"}}
    visit["class"] = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
    with hospital([P1, panel, *(value(f"m{number}") for number in range(20)), value("z-part")]) as (ehr, base):
        ehr.configure({"most_count": 10})
        it = await here(settings, definitions, database, base, pull=("Observation?category=laboratory", "Encounter"))
        task = await it.run()
        found = await it.observations()
        assert found["a-panel"]["hasMember"] == [{"reference": f"Observation/{found['z-part']['id']}"}]
        assert found["a-panel"]["encounter"] == {"reference": f"{base}/Encounter/e1"}
        assert counts(task)["relinked"] == 1
        ehr.put([visit])
        await it.run()
        (encounter,) = await it.all("Encounter")
        found = await it.observations()
        assert found["a-panel"]["encounter"] == {"reference": f"Encounter/{encounter['id']}"}
        task = await it.run()
        assert counts(task)["updated"] + counts(task)["conflict"] + counts(task)["relinked"] == 0


async def test_hostile_hospital_is_pulled_in_the_end(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    results = [value(f"o{number:02d}") for number in range(60)]
    with hospital([P1, *results], HOSTILE) as (ehr, base):
        ehr.configure({"slow_every": 0, "future_every": 3, "retry_after": 0})
        it = await here(settings, definitions, database, base, vendor="generic")
        for _ in range(4):
            task = await it.run("done", "failed", "waiting")
            if task["status"] == "completed" and len(await it.observations()) == 60:
                break
        assert set(await it.observations()) == {f"o{number:02d}" for number in range(60)}
        assert {one.place for one in await letters.listed(it.rooms)} == {
            "Observation/poison-bare",
            "Observation/poison-date",
        }


async def test_nobody_there_is_said_and_the_next_run_goes_on(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    it = await here(settings, definitions, database, "http://127.0.0.1:9/fhir")
    found = await steps(it)
    assert found["reachable"] == (
        "failed",
        "GET http://127.0.0.1:9/fhir/metadata: " + found["reachable"][1].partition(": ")[2],
    )
    assert "nothing listens there" in found["reachable"][1]
    task = await it.run("waiting")
    assert task["status"] in ("on-hold", "requested", "in-progress")
    with hospital([P1, value("o1")]) as (_, base):
        await it.connect(base=base)
        assert counts(await it.run())["created"] == 1


async def test_wrong_key_fails_in_plain_words_and_stores_nothing(
    settings: Settings, definitions: Definitions, database: Database, tmp_path: Path
) -> None:
    key = tmp_path / "key.pem"
    _new_key(key)
    with hospital([P1, value("o1")], secured=True) as (_, base):
        it = await here(settings, definitions, database, base, client_id="trial", key_file=str(key))
        found = await steps(it)
        assert found["login"][0] == "failed"
        assert "client id" in found["login"][1]
        task = await it.run()
        assert task["status"] == "failed"
        assert "client id" in task["statusReason"]["text"]
        assert await it.observations() == {}
        await it.connect(key_file=str(tmp_path / "missing.pem"))
        assert (await it.run())["status"] == "failed"


def _new_key(path: Path) -> None:
    private = ec.generate_private_key(ec.SECP384R1())
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


async def test_lying_capability_statement_is_found_out_and_loses_nothing(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    with hospital([P1, *(value(f"o{number}") for number in range(5))]) as (ehr, base):
        ehr.configure({"ignores_last_updated": True, "ignores_sort": True, "descending": True})
        it = await here(settings, definitions, database, base)
        found = await steps(it)
        assert found["Observation?category=laboratory: _lastUpdated"][0] == "warning"
        assert found["Observation?category=laboratory: _sort"][0] == "failed"
        await it.connect(vendor="generic")
        assert all(state != "failed" for state, _ in (await steps(it)).values())
        await it.run()
        ehr.put([value("later")])
        assert counts(await it.run())["created"] == 1
        assert len(await it.observations()) == 6


async def test_refused_search_is_told_and_the_others_go_on(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    with hospital([P1, value("o1")]) as (ehr, base):
        ehr.configure({"requires": {"Condition": ["code"]}})
        it = await here(settings, definitions, database, base, pull=("Condition", "Observation?category=laboratory"))
        task = await it.run()
        assert (task["status"], task["businessStatus"]["text"]) == ("completed", "partial")
        assert "Condition could not be pulled" in str(task["contained"])
        assert set(await it.observations()) == {"o1"}
        ehr.configure({"requires": {"Condition": ["code"], "Observation": ["code"]}})
        assert (await it.run())["status"] == "failed"


@pytest.mark.parametrize("vendor", ["plain", "generic"])
async def test_deletions_arrive_and_too_many_wait_for_a_person(
    settings: Settings, definitions: Definitions, database: Database, vendor: str
) -> None:
    with hospital([P1, *(value(f"o{number:03d}") for number in range(60))]) as (ehr, base):
        it = await here(settings, definitions, database, base, vendor=vendor)
        await it.run()
        ehr.delete("Observation/o001")
        assert counts(await it.run(compare=True))["deleted"] == 1
        assert len(await it.observations()) == 59
        if vendor == "plain":
            return
        for number in range(10, 13):
            ehr.delete(f"Observation/o{number:03d}")
        task = await it.run(compare=True)
        assert (counts(task)["missing"], counts(task)["deleted"]) == (3, 0)
        (matter,) = await it.tasks("resources-missing")
        assert matter["input"][-1]["valueUnsignedInt"] == 3
        assert counts(await it.run(confirm_deletions=True))["deleted"] == 3
        assert await it.tasks("resources-missing") == []
        assert len(await it.observations()) == 56
        ehr.put([value("o001")])
        assert counts(await it.run())["updated"] == 1
        assert len(await it.observations()) == 57


async def test_merge_and_its_undoing_move_the_data_both_times(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    p2 = person("p2", "ISIKOK19-002")
    with hospital([P1, p2, value("o1"), value("o2", "p2")]) as (ehr, base):
        it = await here(settings, definitions, database, base)
        await it.put(subject("ISIKOK19-002"))
        await it.run()
        merged = {**P1, "active": False, "link": [{"other": {"reference": "Patient/p2"}, "type": "replaced-by"}]}
        ehr.put([merged])
        ehr.put([value("o1", "p2")], WHEN)
        await it.run()
        owners = {id_: one["subject"]["reference"] for id_, one in (await it.observations()).items()}
        assert owners == {"o1": "Patient/isikok19-002", "o2": "Patient/isikok19-002"}
        assert len(await it.tasks("patients-merged")) == 1
        ehr.put([P1])
        ehr.put([value("o1")], WHEN)
        await it.run()
        owners = {id_: one["subject"]["reference"] for id_, one in (await it.observations()).items()}
        assert owners == {"o1": "Patient/isikok19-001", "o2": "Patient/isikok19-002"}
        assert await it.tasks("patients-merged") == []


async def test_merge_into_a_patient_without_pseudonym_and_its_undoing(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    y = person("y")
    with hospital([P1, y, value("o1"), value("o9", "y")]) as (ehr, base):
        it = await here(settings, definitions, database, base)
        await it.run()
        assert set(await it.observations()) == {"o1"}
        ehr.put([{**P1, "link": [{"other": {"reference": "Patient/y"}, "type": "replaced-by"}]}])
        ehr.put([value("o1", "y")], WHEN)
        await it.run()
        found = await it.observations()
        assert {id_: one["subject"]["reference"] for id_, one in found.items()} == {
            "o1": "Patient/isikok19-001",
            "o9": "Patient/isikok19-001",
        }
        ehr.put([P1])
        ehr.put([value("o1")], WHEN)
        task = await it.run()
        assert counts(task)["withdrawn"] == 1
        found = await it.observations()
        assert {id_: one["subject"]["reference"] for id_, one in found.items()} == {"o1": "Patient/isikok19-001"}
        before = await database.notes("link/north")
        await it.run()
        assert await database.notes("link/north") == before
        assert await database.notes("again/north") == []
