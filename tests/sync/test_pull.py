"""A pull end to end, from a hospital over real HTTP: what arrives, as what, and that nothing arrives twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.conformance.definitions import Definitions
from service.settings import Settings
from service.store.database import Database
from service.sync.origin import TAG
from service.sync.units import ORIGINAL
from tests.sync.pulling import LAB, LOINC, SUBJECT, UCUM, WHEN, counts, here, hospital, person, subject, value

OWN = "https://cart-fhir.example/fhir/CodeSystem/test"
P1 = person("p1", "ISIKOK19-001")


async def test_results_arrive_linked_harmonised_named_and_valid(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Very Secret</div>'}
    sent = value("o1", text=text, performer=[{"reference": "Practitioner/d1", "display": "A doctor"}])
    sent["subject"]["display"] = "Very Secret"
    with hospital([P1, sent]) as (_, base):
        it = await here(settings, definitions, database, base)
        task = await it.run()
        assert (task["status"], counts(task)["created"]) == ("completed", 1)
        found = (await it.observations())["o1"]
        assert found["id"] != "o1"
        assert found["subject"] == {"reference": "Patient/isikok19-001"}
        assert found["performer"] == [{"reference": f"{base}/Practitioner/d1", "display": "A doctor"}]
        assert found["meta"]["source"] == f"{base}/Observation/o1"
        assert {"system": TAG, "code": "north"} in found["meta"]["tag"]
        assert found["code"] == sent["code"]
        quantity = found["valueQuantity"]
        assert (str(quantity["value"]), quantity["code"]) == ("255", "U/L")
        assert str(quantity["extension"][0]["valueQuantity"]["value"]) == "4.25"
        assert quantity["extension"][0]["url"] == ORIGINAL
        assert "Secret" not in str(await it.all("Observation") + await it.all("Patient") + await it.all("Task"))
        (said,) = await it.all("Provenance")
        assert [one["reference"] for one in said["target"]] == [f"Observation/{found['id']}"]
        for resource in (found, said, task, *await it.all("Endpoint")):
            assert [one for one in it.rooms.validator.check(resource) if one.severity == "error"] == []


async def test_second_pull_writes_nothing_and_a_change_is_one_version(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    with hospital([P1, value("o1"), value("o2")]) as (ehr, base):
        it = await here(settings, definitions, database, base)
        await it.run()
        before = await it.observations()
        ehr.touch("Observation/o1")
        task = await it.run()
        assert await it.observations() == before
        assert counts(task)["created"] + counts(task)["updated"] == 0
        assert len(await it.all("Provenance")) == 1
        ehr.put([value("o1", number="5.00")])
        assert counts(await it.run())["updated"] == 1
        after = await it.observations()
        assert (after["o1"]["meta"]["versionId"], after["o1"]["id"]) == ("2", before["o1"]["id"])
        assert str(after["o1"]["valueQuantity"]["value"]) == "300"
        assert after["o2"] == before["o2"]


async def test_250_resources_of_one_instant_arrive_in_pages_of_20(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    with hospital(
        [P1],
    ) as (ehr, base):
        ehr.configure({"most_count": 20})
        ehr.put([value(f"o{number}") for number in range(250)], WHEN)
        it = await here(settings, definitions, database, base)
        assert counts(await it.run())["created"] == 250
        ehr.put([value("late")], WHEN)
        task = await it.run()
        assert counts(task)["created"] == 1
        assert len(await it.observations()) == 251


@pytest.mark.parametrize("vendor", ["plain", "generic", "epic", "cerner"])
async def test_date_in_the_future_moves_no_watermark_and_is_not_lost(
    settings: Settings, definitions: Definitions, database: Database, vendor: str
) -> None:
    with hospital([P1]) as (ehr, base):
        it = await here(settings, definitions, database, base, vendor=vendor)
        ehr.put([value("early")], WHEN)
        ehr.put([value("future")], WHEN.replace(year=2090))
        await it.run()
        ehr.put([value("next")])
        assert counts(await it.run())["created"] == 1
        assert set(await it.observations()) == {"early", "future", "next"}


async def test_insert_while_paging_on_a_descending_server_is_not_lost(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    with hospital([P1]) as (ehr, base):
        ehr.configure({"most_count": 10, "descending": True, "ignores_sort": True, "live_paging": True})
        for number in range(35):
            ehr.put([value(f"o{number:02d}")], WHEN + timedelta(minutes=number))
        ehr.put_after(2, [value("inserted")], match="Observation?")
        it = await here(settings, definitions, database, base, vendor="generic")
        await it.run()
        await it.run()
        assert set(await it.observations()) == {*(f"o{number:02d}" for number in range(35)), "inserted"}


async def test_omitted_resource_makes_the_run_partial_and_leaves_the_watermark(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    with hospital([P1, value("o1"), value("o2")]) as (ehr, base):
        it = await here(settings, definitions, database, base)
        ehr.configure({"withholds": ["Observation/o1"], "informs": True})
        task = await it.run()
        assert task["businessStatus"]["text"] == "partial"
        assert "suppressed" in str(task["contained"])
        assert set(await it.observations()) == {"o2"}
        assert await database.notes("watermark/north", prefix="Observation?") == []
        ehr.configure({"withholds": []})
        task = await it.run()
        assert "businessStatus" not in task
        assert set(await it.observations()) == {"o1", "o2"}
        assert len(await database.notes("watermark/north", prefix="Observation?")) == 1


async def test_local_codes_and_unclear_units_become_one_task_each(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    odd = [value(f"s{number}", code="SEDIM", number="12") for number in range(3)]
    with hospital([P1, *odd, value("c1", code="CRP-L", number="5.0"), value("l1", code="LDH-U", number="200")]) as (
        ehr,
        base,
    ):
        it = await here(settings, definitions, database, base)
        await it.run()
        (unmapped,) = await it.tasks("code-unmapped")
        assert unmapped["input"][0]["valueCoding"] == {"system": LAB, "code": "SEDIM"}
        assert unmapped["input"][-1]["valueUnsignedInt"] == 3
        (unit,) = await it.tasks("unit-unclear")
        assert "mg/L" in str(unit["input"])
        found = await it.observations()
        assert [one["system"] for one in found["l1"]["code"]["coding"]] == [LAB, LOINC]
        assert "system" not in found["c1"]["valueQuantity"]
        for task in (unmapped, unit):
            assert [one for one in it.rooms.validator.check(task) if one.severity == "error"] == []
        group = {"source": LAB, "target": OWN}
        group["element"] = [{"code": "SEDIM", "target": [{"code": "sedimentation", "equivalence": "equivalent"}]}]
        await it.put({"resourceType": "ConceptMap", "id": "m", "status": "active", "group": [group]})
        task = await it.run()
        assert counts(task)["mapped"] == 3
        assert await it.tasks("code-unmapped") == []
        found = await it.observations()
        assert found["s1"]["code"]["coding"][1] == {"system": OWN, "code": "sedimentation"}
        ehr.put([value("s1", code="SEDIM", number="13")])
        assert counts(await it.run())["updated"] == 1
        assert UCUM not in str(found["s1"])


async def test_data_of_an_unlinked_patient_wait_and_come_when_the_subject_does(
    settings: Settings, definitions: Definitions, database: Database
) -> None:
    stranger = person("p2", "ISIKOK19-002")
    with hospital([P1, stranger, value("o1"), value("o2", "p2")]) as (_, base):
        it = await here(settings, definitions, database, base)
        assert counts(await it.run())["waiting"] == 1
        assert set(await it.observations()) == {"o1"}
        (task,) = await it.tasks("patient-unlinked")
        assert task["focus"]["identifier"]["value"] == f"{base}/Patient/p2"
        assert task["input"][0]["valueIdentifier"] == {"system": SUBJECT, "value": "ISIKOK19-002"}
        assert [one for one in it.rooms.validator.check(task) if one.severity == "error"] == []
        await it.run()
        assert len(await it.tasks("patient-unlinked")) == 1
        await it.put(subject("ISIKOK19-002"))
        assert counts(await it.run())["created"] == 1
        assert (await it.observations())["o2"]["subject"]["reference"] == "Patient/isikok19-002"
        assert await it.tasks("patient-unlinked") == []
        assert await database.notes("again/north") == []
