"""The write door: what is written, found, refused, and what happens at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.errors import BadRequest, Conflict, Gone, NotFound, PreconditionFailed
from service.fhir import json, search
from service.fhir.operations import Create, Delete, Plan, Read, Search, Update, plan_of
from service.fhir.search import Query
from service.store.database import Database

MRN = "https://hospital.example/mrn"


def patient(**changes: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": MRN, "value": "1"}], "gender": "female", **changes}


def observation(subject: str = "Patient/a", **changes: Any) -> dict[str, Any]:
    coding = [{"system": "http://loinc.org", "code": "2276-4"}]
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": coding},
        "subject": {"reference": subject},
        **changes,
    }


def ask(database: Database, type_: str, **criteria: str) -> Query:
    pairs = [(name.replace("__", ":"), value) for name, value in criteria.items()]
    return search.parse(type_, pairs, database.parameters, zone=database.zone, handling="strict")


async def ids(database: Database, type_: str, **criteria: str) -> list[str]:
    page = await database.search(ask(database, type_, **criteria))
    return [match.id for match in page.matches]


async def test_create_assigns_id_and_version(database: Database) -> None:
    (applied,) = await database.write(plan_of(Create(patient(id="ignored"))))
    assert applied.outcome == "created"
    assert applied.stored is not None
    assert applied.stored.id != "ignored"
    body = json.decode((await database.read("Patient", applied.stored.id)).content or b"")
    assert body["meta"]["versionId"] == "1"
    assert body["id"] == applied.stored.id
    assert await ids(database, "Patient", identifier=f"{MRN}|1") == [applied.stored.id]


async def test_update_keeps_history_and_moves_search_values(database: Database) -> None:
    await database.write(plan_of(Update(patient(id="a"))))
    (applied,) = await database.write(plan_of(Update(patient(id="a", gender="male"))))
    assert (applied.outcome, applied.stored and applied.stored.version) == ("updated", 2)
    assert await ids(database, "Patient", gender="female") == []
    assert await ids(database, "Patient", gender="male") == ["a"]
    first = await database.read_version("Patient", "a", 1)
    assert b'"female"' in (first.content or b"")
    history = await database.history("Patient", "a")
    assert [version.version for version in history.versions] == [2, 1]


async def test_update_that_changes_nothing_makes_no_version(database: Database) -> None:
    await database.write(plan_of(Update(patient(id="a"))))
    (applied,) = await database.write(plan_of(Update(patient(id="a", meta={"versionId": "7"}))))
    assert (applied.outcome, applied.stored and applied.stored.version) == ("unchanged", 1)


async def test_decimals_and_letters_are_kept(database: Database) -> None:
    body = json.decode(
        b'{"resourceType":"Observation","id":"o","status":"final","code":{"text":"\xc4\xb0\xc4\xb1\xc5\x9f"},'
        b'"valueQuantity":{"value":1.00},"component":[{"code":{"text":"x"},"valueQuantity":{"value":1e-2}}]}'
    )
    await database.write(plan_of(Update(body)))
    content = (await database.read("Observation", "o")).content or b""
    assert b'"value":1.00' in content
    assert b'"value":1e-2' in content
    assert "İış".encode() in content


async def test_delete_then_read_is_gone_and_put_resurrects(database: Database) -> None:
    await database.write(plan_of(Update(patient(id="a"))))
    (deleted,) = await database.write(plan_of(Delete("Patient", "a")))
    assert deleted.status == 204
    with pytest.raises(Gone) as gone:
        await database.read("Patient", "a")
    assert gone.value.headers["ETag"] == 'W/"2"'
    assert await ids(database, "Patient", gender="female") == []
    (again,) = await database.write(plan_of(Delete("Patient", "a")))
    assert again.outcome == "absent"
    (back,) = await database.write(plan_of(Update(patient(id="a"))))
    assert (back.outcome, back.stored and back.stored.version) == ("created", 3)
    assert await ids(database, "Patient", gender="female") == ["a"]


async def test_delete_of_a_referenced_resource_names_the_referrers(database: Database) -> None:
    await database.write(plan_of(Update(patient(id="a")), Update(observation(id="o"))))
    with pytest.raises(Conflict, match="Observation/o"):
        await database.write(plan_of(Delete("Patient", "a")))
    await database.write(plan_of(Delete("Patient", "a"), Delete("Observation", "o")))
    with pytest.raises(Gone):
        await database.read("Patient", "a")


async def test_delete_leaves_the_provenance(database: Database) -> None:
    provenance = {
        "resourceType": "Provenance",
        "id": "v",
        "target": [{"reference": "Patient/a"}],
        "recorded": "2021-03-04T08:00:00Z",
        "agent": [{"who": {"display": "importer"}}],
    }
    await database.write(plan_of(Update(patient(id="a")), Update(provenance)))
    (deleted,) = await database.write(plan_of(Delete("Patient", "a")))
    assert deleted.outcome == "deleted"
    (changed,) = await database.write(plan_of(Update(provenance | {"recorded": "2021-03-05T08:00:00Z"})))
    assert changed.outcome == "updated"
    assert await ids(database, "Provenance", target="Patient/a") == ["v"]


async def test_reference_to_nothing_is_refused(database: Database) -> None:
    with pytest.raises(Conflict) as refused:
        await database.write(Plan((Create(observation("Patient/none")),), ("Bundle.entry[0]",)))
    assert refused.value.issues[0].expression == "Bundle.entry[0].resource.subject.reference"


async def test_plan_that_fails_changes_nothing(database: Database) -> None:
    with pytest.raises(Conflict):
        await database.write(plan_of(Update(patient(id="a")), Create(observation("Patient/none"))))
    with pytest.raises(NotFound):
        await database.read("Patient", "a")


async def test_conditional_create_under_race_creates_one(database: Database) -> None:
    def plan() -> Plan:
        return plan_of(Create(patient(), ask(database, "Patient", identifier=f"{MRN}|1")))

    results = await asyncio.gather(*(database.write(plan()) for _ in range(100)))
    outcomes = [applied.outcome for (applied,) in results]
    assert outcomes.count("created") == 1
    assert outcomes.count("existing") == 99
    assert len({applied.stored.id for (applied,) in results if applied.stored}) == 1


async def test_if_match_under_race_lets_one_through(database: Database) -> None:
    await database.write(plan_of(Update(patient(id="a"))))
    plans = [plan_of(Update(patient(id="a", birthDate=f"19{i:02}-01-01"), if_match=1)) for i in range(10, 60)]
    results = await asyncio.gather(*(database.write(plan) for plan in plans), return_exceptions=True)
    assert sum(isinstance(result, tuple) for result in results) == 1
    assert sum(isinstance(result, PreconditionFailed) for result in results) == 49
    assert (await database.read("Patient", "a")).version == 2


async def test_condition_that_matches_many_is_refused(database: Database) -> None:
    await database.write(plan_of(Create(patient()), Create(patient())))
    with pytest.raises(PreconditionFailed) as refused:
        await database.write(plan_of(Create(patient(), ask(database, "Patient", identifier=f"{MRN}|1"))))
    assert refused.value.issues[0].code == "multiple-matches"


async def test_transaction_links_by_urn_and_condition(database: Database) -> None:
    who = patient()
    plan = Plan(
        (
            Create(observation("urn:uuid:1")),
            Create(observation(f"Patient?identifier={MRN}|1")),
            Create(who, ask(database, "Patient", identifier=f"{MRN}|1"), "urn:uuid:1"),
        ),
        tuple(f"Bundle.entry[{i}]" for i in range(3)),
    )
    applied = await database.write(plan)
    assert [one.outcome for one in applied] == ["created"] * 3
    for one in applied[:2]:
        assert one.stored is not None
        assert applied[2].stored is not None
        reference = json.decode(one.stored.content or b"")["subject"]["reference"]
        assert reference == f"Patient/{applied[2].stored.id}"
    assert len(await ids(database, "Observation", subject=f"Patient/{applied[2].stored.id}")) == 2


async def test_transaction_delete_goes_before_conditional_create(database: Database) -> None:
    await database.write(plan_of(Update(patient(id="old"))))
    condition = ask(database, "Patient", identifier=f"{MRN}|1")
    created, deleted = await database.write(plan_of(Create(patient(), condition), Delete("Patient", "old")))
    assert (created.outcome, deleted.outcome) == ("created", "deleted")
    assert created.stored is not None
    assert await ids(database, "Patient", identifier=f"{MRN}|1") == [created.stored.id]


async def test_transaction_with_one_identity_twice_is_refused(database: Database) -> None:
    operations = (Update(patient(id="a")), Delete("Patient", "a"))
    with pytest.raises(BadRequest) as refused:
        await database.write(Plan(operations, ("Bundle.entry[0]", "Bundle.entry[1]")))
    assert refused.value.issues[0].code == "duplicate"
    assert "Bundle.entry[0]" in refused.value.issues[0].text
    condition = ask(database, "Patient", identifier=f"{MRN}|1")
    twice = (Create(patient(), condition), Create(patient(), condition))
    with pytest.raises(BadRequest):
        await database.write(Plan(twice, ("Bundle.entry[0]", "Bundle.entry[1]")))
    assert await ids(database, "Patient") == []


async def test_transaction_unresolved_urn_is_refused(database: Database) -> None:
    with pytest.raises(BadRequest) as refused:
        await database.write(Plan((Create(observation("urn:uuid:none")),), ("Bundle.entry[0]",)))
    assert refused.value.issues[0].rule == "unresolved-urn"
    assert refused.value.issues[0].expression == "Bundle.entry[0].resource.subject.reference"


async def test_transaction_reads_after_its_writes(database: Database) -> None:
    query = ask(database, "Patient", identifier=f"{MRN}|1")
    found, read, _ = await database.write(plan_of(Search(query), Read("Patient", "a"), Update(patient(id="a"))))
    assert found.page is not None
    assert [match.id for match in found.page.matches] == ["a"]
    assert read.stored is not None
    assert read.stored.version == 1


async def test_circular_references_are_linked(database: Database) -> None:
    first = observation("Patient/a", hasMember=[{"reference": "urn:uuid:2"}])
    second = observation("Patient/a", derivedFrom=[{"reference": "urn:uuid:1"}])
    plan = plan_of(Update(patient(id="a")), Create(first, full_url="urn:uuid:1"), Create(second, full_url="urn:uuid:2"))
    applied = await database.write(plan)
    for here, there, element in ((1, 2, "hasMember"), (2, 1, "derivedFrom")):
        body = json.decode(applied[here].stored.content)  # type: ignore[union-attr,arg-type]
        assert body[element][0]["reference"] == f"Observation/{applied[there].stored.id}"  # type: ignore[union-attr]


async def test_failing_plan_leaves_its_neighbours_alone(database: Database) -> None:
    plans = [plan_of(Create(observation("Patient/none"))) if i % 2 else plan_of(Create(patient())) for i in range(40)]
    results = await asyncio.gather(*(database.write(plan) for plan in plans), return_exceptions=True)
    assert [isinstance(result, Conflict) for result in results] == [bool(i % 2) for i in range(40)]
    assert len(await ids(database, "Patient")) == 20
