"""Push to a simulated hospital over real HTTP: what goes there, how, and what comes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from service.conformance.definitions import Definitions
from service.errors import UpstreamRefused
from service.fhir.operations import Delete, Plan
from service.jobs import letters
from service.simulators.ehr import Quirks
from service.store.database import Database
from service.sync import peers
from service.sync.delivery import PATIENCE
from service.sync.origin import TAG
from service.sync.outgoing import system_of
from service.sync.pull import pull
from service.sync.push import REPLAYS
from tests.remote.smart import write_keys
from tests.sync.pushing import NAME, OURS, THEIRS, link, observation, ward

SINGLE = Quirks(transactions="absent")
BARE = Quirks(transactions="absent", ignores_if_none_exist=True)
WAYS = {"transaction": Quirks(), "broken-transaction": Quirks(transactions="fails"), "single": SINGLE, "bare": BARE}
EVENT = {
    "resourceType": "AdverseEvent",
    "id": "ae",
    "actuality": "actual",
    "event": {"text": "CRS"},
    "subject": {"reference": OURS},
    "suspectEntity": [{"instance": {"reference": "Procedure/infusion"}}],
}
CONCEPT = "https://cart-fhir.example/fhir/CodeSystem/trial-concept"


def procedure(id_: str, code: str) -> dict[str, Any]:
    coding = {"system": CONCEPT, "code": code} if code != "other" else {"system": "urn:x", "code": code}
    return {
        "resourceType": "Procedure",
        "id": id_,
        "status": "completed",
        "code": {"coding": [coding]},
        "subject": {"reference": OURS},
    }


@pytest.mark.parametrize("quirks", WAYS.values(), ids=WAYS.keys())
async def test_push_makes_each_resource_once_with_links_of_theirs(
    database: Database, definitions: Definitions, quirks: Quirks
) -> None:
    async with ward(database, definitions, quirks) as one:
        await one.put(EVENT, observation("o1"), procedure("infusion", "car-t-infusion"), procedure("other", "other"))
        await one.put(observation("o2", derivedFrom=[{"reference": "Observation/o1"}]))
        assert await one.push() == {"created": 4}
        event, derived = one.theirs("AdverseEvent/ae"), one.theirs("Observation/o2")
        infusion = one.theirs("Procedure/infusion")
        assert event["subject"] == {"reference": THEIRS}
        assert event["suspectEntity"][0]["instance"]["reference"] == f"Procedure/{infusion['id']}"
        assert derived["derivedFrom"] == [{"reference": f"Observation/{one.theirs('Observation/o1')['id']}"}]
        assert [tag["system"] for tag in derived["meta"]["tag"]] == [TAG]
        assert one.copies("Procedure/other") == []
        (task,) = await one.tasks("sync-push")
        assert task["status"] == "completed"
        assert {"type": {"text": "created"}, "valueUnsignedInt": 4} in task["output"]
        before = len(one.ehr.log)
        assert await one.push() == {}
        assert len(one.ehr.log) == before
        assert len(await one.tasks("sync-push")) == 1


@pytest.mark.parametrize("quirks", WAYS.values(), ids=WAYS.keys())
async def test_change_is_written_onto_what_they_have(
    database: Database, definitions: Definitions, quirks: Quirks
) -> None:
    async with ward(database, definitions, quirks) as one:
        await one.put(observation("o1", note=[{"text": "a"}]), observation("o2"))
        await one.push()
        one.edit("Observation/o1", issued="2026-01-01T00:00:00Z")
        await one.change("Observation/o1", status="amended", note=None)
        await one.change("Observation/o2", status="entered-in-error")
        assert (await one.push())["updated"] == 2
        there = one.theirs("Observation/o1")
        assert (there["status"], there["issued"], "note" in there) == ("amended", "2026-01-01T00:00:00Z", False)
        assert (await one.ours("Observation/o1"))["issued"] == "2026-01-01T00:00:00Z"
        assert one.theirs("Observation/o2")["status"] == "entered-in-error"
        before = len(one.ehr.log)
        assert await one.push() == {}
        assert len(one.ehr.log) == before


async def test_other_side_rewriting_meta_causes_no_traffic(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions, Quirks(touches_writes=True)) as one:
        await one.put(observation("o1"))
        await one.push()
        for _ in range(3):
            one.ehr.touch(f"Observation/{one.theirs('Observation/o1')['id']}")
        before = len(one.ehr.log)
        assert await one.push() == {}
        assert len(one.ehr.log) == before
        await one.change("Observation/o1", status="amended")
        assert await one.push() == {"updated": 1}
        there = one.theirs("Observation/o1")
        assert there["status"] == "amended"
        assert {"system": "https://hospital.example/workflow", "code": "filed"} in there["meta"]["tag"]
        assert len(await one.tasks("conflict")) == 0


async def test_what_is_dropped_is_told_by_its_path_and_not_taken_for_a_change(
    database: Database, definitions: Definitions
) -> None:
    drops = Quirks(drops={"Observation": ("note", "method")}, empty_bodies=True)
    async with ward(database, definitions, drops) as one:
        await one.put(observation("o1", note=[{"text": "secret"}], method={"text": "m"}))
        assert await one.push() == {"created": 1, "dropped": 2}
        (task,) = await one.tasks("sync-push")
        told = {issue["expression"][0]: issue["diagnostics"] for issue in task["contained"][0]["issue"]}
        assert told.keys() == {"Observation.note", "Observation.method"}
        assert "secret" not in str(task)
        one.edit("Observation/o1", issued="2026-01-01T00:00:00Z")
        await one.change("Observation/o1", status="amended")
        assert (await one.push())["updated"] == 1
        ours = await one.ours("Observation/o1")
        assert (ours["note"], ours["issued"]) == ([{"text": "secret"}], "2026-01-01T00:00:00Z")


async def test_reference_to_what_they_lack_becomes_logical(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions) as one:
        device = {"resourceType": "Device", "id": "d"}
        await one.put(device, observation("o1", device={"reference": "Device/d", "display": "Analyser"}))
        assert await one.push() == {"created": 1, "unlinked": 1}
        link_ = one.theirs("Observation/o1")["device"]
        assert (link_["display"], link_["type"], link_["identifier"]["value"]) == ("Analyser", "Device", "d")
        assert "reference" not in link_


async def test_only_linked_patients_and_what_was_made_here_go(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions) as one:
        came = {"tag": [{"system": TAG, "code": NAME}]}
        other = {"tag": [{"system": TAG, "code": "elsewhere"}]}
        await one.put({"resourceType": "Patient", "id": "p2"}, {"resourceType": "Patient", "id": "p3"})
        await one.put(observation("o2", subject={"reference": "Patient/p2"}), observation("came", meta=came))
        await one.put(observation("foreign", meta=other), observation("gone", status="entered-in-error"))
        assert await one.push() == {}
        assert one.writes() == 0
        one.ehr.put([{"resourceType": "Patient", "id": "hp2"}])
        await link(database, one.connection, "Patient/p2", "Patient/hp2")
        assert await one.push() == {"created": 1}
        assert one.theirs("Observation/o2")["subject"] == {"reference": "Patient/hp2"}


@pytest.mark.parametrize("quirks", [Quirks(), SINGLE], ids=["transaction", "single"])
async def test_what_went_to_another_patient_moves_when_the_link_does(
    database: Database, definitions: Definitions, quirks: Quirks
) -> None:
    async with ward(database, definitions, quirks) as one:
        await one.put(observation("o1"), observation("o2"))
        await one.push()
        one.ehr.put([{"resourceType": "Patient", "id": "hp2"}])
        await link(database, one.connection, OURS, "Patient/hp2")
        assert await one.push() == {"updated": 2}
        for local in ("Observation/o1", "Observation/o2"):
            assert one.theirs(local)["subject"] == {"reference": "Patient/hp2"}
        before = len(one.ehr.log)
        assert await one.push() == {}
        assert len(one.ehr.log) == before


async def test_foreign_and_deletes_where_the_connection_says_so(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions, push_foreign=True, push_deletes=True, push=["Observation?code=LDH"]) as one:
        other = {"tag": [{"system": TAG, "code": "elsewhere"}]}
        await one.put(observation("o1", meta=other), observation("o2", code={"text": "another"}))
        assert await one.push() == {"created": 1}
        assert one.theirs("Observation/o1")["meta"]["tag"] == other["tag"]
        await database.write(Plan((Delete("Observation", "o1"),)))
        assert await one.push() == {"deleted": 1}
        assert one.copies("Observation/o1") == []
        assert await peers.remote_of(database, NAME, "Observation/o1") is None


async def test_delete_stays_here(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions) as one:
        await one.put(observation("o1"))
        await one.push()
        await database.write(Plan((Delete("Observation", "o1"),)))
        assert await one.push() == {}
        assert one.theirs("Observation/o1")["status"] == "final"


async def test_copy_that_they_deleted_is_not_made_again(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions) as one:
        await one.put(observation("o1"))
        await one.push()
        one.ehr.delete(f"Observation/{one.theirs('Observation/o1')['id']}")
        await one.change("Observation/o1", status="amended")
        assert await one.push() == {"gone": 1}
        assert one.copies("Observation/o1") == []
        assert await one.push() == {}


async def test_refused_resource_becomes_a_dead_letter_and_the_rest_goes(
    database: Database, definitions: Definitions
) -> None:
    async with ward(database, definitions, SINGLE) as one:
        await one.put(observation("o1"), observation("o2"), observation("o3"))
        one.ehr.down(match="POST /fhir/Observation", status=422)
        assert await one.push() == {"created": 2, "refused": 1}
        (dead,) = await letters.listed(one.rooms)
        assert (dead.kind, dead.source, dead.place) == ("sync-push", NAME, "Observation/o1")
        assert await one.push() == {}
        await letters.replay(one.rooms, REPLAYS, dead.id)
        assert await one.push() == {"created": 1}
        assert {len(one.copies(f"Observation/o{number}")) for number in (1, 2, 3)} == {1}
        assert await letters.listed(one.rooms) == []


async def test_what_makes_them_fail_is_put_off_and_at_last_given_up(
    database: Database, definitions: Definitions
) -> None:
    async with ward(database, definitions, BARE) as one:
        await one.put(observation("o1"), observation("o2"))
        for number in range(PATIENCE):
            one.ehr.down(match="POST /fhir/Observation", status=500)
            counts = await one.push()
            assert counts.get("postponed", 0) == (number < PATIENCE - 1)
            assert counts.get("created", 0) == (number == 0)
        assert counts == {"refused": 1}
        (dead,) = await letters.listed(one.rooms)
        assert dead.place == "Observation/o1"
        assert await one.push() == {}


async def test_lost_access_ends_the_push_and_loses_nothing(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions, SINGLE) as one:
        await one.put(observation("o1"), observation("o2"))
        one.ehr.down(match="POST /fhir/Observation", status=403)
        with pytest.raises(UpstreamRefused):
            await one.push()
        assert await letters.listed(one.rooms) == []
        assert await one.push() == {"created": 2}
        assert {task["status"] for task in await one.tasks("sync-push")} == {"completed"}


async def test_what_was_there_before_is_taken_for_the_copy(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions, SINGLE) as one:
        await one.put(observation("o1"), observation("o2"))
        await one.push()
        one.edit("Observation/o1", issued="2026-01-01T00:00:00Z")
        for room in (f"peer/{NAME}", f"peer-of/{NAME}"):
            for key, content in await database.notes(room):
                if b"Observation" in key.encode() + content:
                    await database.write(Plan((), notes=(peers.Note(room, key, None),)))
        await one.change("Observation/o1", effectiveDateTime="2025-12-31")
        await one.change("Observation/o2", status="amended")
        await one.push()
        there = one.theirs("Observation/o1")
        assert (there["issued"], there["effectiveDateTime"]) == ("2026-01-01T00:00:00Z", "2025-12-31")
        assert (await one.ours("Observation/o1"))["issued"] == "2026-01-01T00:00:00Z"
        (task,) = await one.tasks("conflict")
        assert task["focus"]["reference"] == "Observation/o2"


async def test_parallel_conditional_creates_make_one(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions, SINGLE) as one:
        await one.put(observation("o1"))
        remote = one.connection.remote()
        query = "identifier=https%3A%2F%2Fx.example%7C1"
        sent = {**observation("o1"), "identifier": [{"system": "https://x.example", "value": "1"}]}
        try:
            answers = await asyncio.gather(*(remote.create(sent, query) for _ in range(100)))
        finally:
            await remote.close()
        assert sorted({answer.status for answer in answers}) == [200, 201]
        assert len({answer.id for answer in answers}) == 1


@pytest.mark.parametrize(("vendor", "quirks"), [("plain", Quirks()), ("generic", BARE)], ids=["v2", "v1"])
async def test_scopes_that_are_asked_for_suffice(
    database: Database, definitions: Definitions, tmp_path: Path, vendor: str, quirks: Quirks
) -> None:
    key = ECKey.generate_key("P-384", {"kid": "one"})
    file = write_keys(tmp_path / "keys.json", key)
    login = {"client_id": "cart", "key_file": str(file), "vendor": vendor, "push_deletes": True}
    async with ward(database, definitions, quirks, keys={"keys": [key.as_dict(private=False)]}, **login) as one:
        await one.put(observation("o1"), observation("o2"))
        assert await one.push() == {"created": 2}
        await one.change("Observation/o1", status="amended")
        await database.write(Plan((Delete("Observation", "o2"),)))
        assert await one.push() == {"updated": 1, "deleted": 1}
        assert {exchange.status for exchange in one.ehr.log} <= {200, 201, 204}


async def test_pull_leaves_copies_where_they_are(database: Database, definitions: Definitions) -> None:
    async with ward(database, definitions, pull=["Observation"]) as one:
        subject = {"reference": THEIRS}
        own = {"system": system_of("", "Observation"), "value": "o1"}
        one.ehr.put(
            [
                observation("native", subject=subject),
                observation("travelled", subject=subject, meta={"tag": [{"system": TAG, "code": "cart-fhir"}]}),
                observation("unacknowledged", subject=subject, identifier=[own]),
            ]
        )
        await one.put(observation("o1"))
        run = await one.begin()
        await pull(run, one.connection)
        query = database.parse_condition("Observation", "")
        found = [resource async for resource in database.resources(query)]
        assert {resource.get("meta", {}).get("source", "").rpartition("/")[2] for resource in found} == {"native", ""}
        assert await one.push() == {"adopted": 1}
