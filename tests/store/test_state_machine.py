"""Random plans, played on the store and on a dict: no difference may be seen, in whatever order the entries stand."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from service.errors import CartFhirError
from service.fhir import json, search
from service.fhir.operations import Create, Delete, Operation, Plan, Read, Stored, Update
from service.fhir.search import Query
from service.store.database import Database
from service.store.tables import INDEXES
from tests.store.store_model import Identity, Model, Op, Refused, Row, named, shown

LONG = bool(os.environ.get("CART_FHIR_SOAK"))
EXAMPLES = {"sqlite": 600 if LONG else 20, "postgresql": 100 if LONG else 4}
SYSTEM = "https://hospital.example/mrn"
VALUES = st.sampled_from("123")
GENDERS = ("female", "male")

KINDS = ["create"] * 3 + ["update"] * 8 + ["delete"] * 3 + ["read"]


@st.composite
def operations(draw: st.DrawFn) -> Op:
    def one_in(number: int) -> bool:
        return draw(st.integers(0, number - 1)) == number - 1

    kind = draw(st.sampled_from(KINDS))
    type_ = "Observation" if one_in(3) else "Patient"
    where = draw(VALUES) if kind != "read" and one_in(3) else None
    nameless = kind == "create" or (where is not None and (kind == "delete" or one_in(2)))
    id_ = None if nameless else draw(st.sampled_from("abc" if type_ == "Patient" else "xy"))
    if_match = draw(st.integers(1, 3)) if kind in ("update", "delete") and one_in(8) else None
    identifier = where if where is not None and not one_in(4) else draw(VALUES)
    ref = draw(references) if kind in ("create", "update") and one_in(3) else None
    return Op(kind, type_, id_, identifier, draw(st.sampled_from(GENDERS)), where, if_match, ref)


references = st.one_of(
    st.tuples(st.just("id"), st.sampled_from("abc")),
    st.tuples(st.just("urn"), st.integers(0, 2)),
    st.tuples(st.just("where"), VALUES),
)
plans = st.lists(st.lists(operations(), min_size=1, max_size=4), min_size=8, max_size=20)


def condition(database: Database, type_: str, **criteria: str) -> Query:
    return search.parse(type_, list(criteria.items()), database.parameters, zone=database.zone, handling="strict")


def built(database: Database, op: Op, place: int) -> Operation:
    """The real operation; a new one each time, since links are rewritten in place."""
    where = condition(database, op.type, identifier=f"{SYSTEM}|{op.where}") if op.where is not None else None
    if op.kind == "delete":
        return Delete(op.type, op.id, where, op.if_match)
    if op.kind == "read":
        return Read(op.type, op.id or "")
    resource: dict[str, Any] = {"resourceType": op.type, "identifier": [{"system": SYSTEM, "value": op.identifier}]}
    resource |= {"id": op.id} if op.id is not None else {}
    resource |= {"gender": op.gender} if op.type == "Patient" else {"code": {"text": op.gender}}
    if op.ref is not None:
        kind, value = op.ref
        reference = {
            "id": f"Patient/{value}",
            "urn": f"urn:uuid:{value}",
            "where": f"Patient?identifier={SYSTEM}|{value}",
        }[kind]
        link = {"other": {"reference": reference}, "type": "seealso"}
        resource |= {"link": [link]} if op.type == "Patient" else {"subject": {"reference": reference}}
    url = f"urn:uuid:{place}"
    return Create(resource, where, url) if op.kind == "create" else Update(resource, where, op.if_match, url)


async def play(database: Database, plan: list[Op], order: list[int]) -> list[str] | None:
    """The outcomes in the order of `plan`, its entries being sent in another; None where it was refused."""
    sent = tuple(built(database, plan[place], place) for place in order)
    try:
        done = await database.write(Plan(sent, tuple(f"Bundle.entry[{place}]" for place in order)))
    except CartFhirError as error:
        if error.status >= 500:
            raise
        return None
    by_place = dict(zip(order, done, strict=True))
    return [by_place[place].outcome for place in range(len(plan))]


def expected(model: Model, plan: list[Op]) -> list[str] | None:
    try:
        return model.apply(plan)
    except Refused:
        return None


def row_of(stored: Stored) -> tuple[Identity, Row]:
    """A stored version as the model has it."""
    identity = (stored.type, stored.id)
    if stored.content is None:
        return identity, Row(stored.version, None)
    body = json.decode(stored.content)
    assert (body["id"], body["meta"]["versionId"]) == (stored.id, str(stored.version))
    links = body.get("link", [{}])[0].get("other") or body.get("subject") or {}
    target = tuple(links["reference"].split("/")) if links else None
    gender = body["gender"] if stored.type == "Patient" else body["code"]["text"]
    return identity, Row(stored.version, body["identifier"][0]["value"], gender, target)  # type: ignore[arg-type]


async def feed_of(database: Database) -> list[tuple[Identity, Row]]:
    """All versions, oldest first, read in small pages."""
    feed: list[tuple[Identity, Row]] = []
    cursor = None
    while True:
        page = await database.history(count=7, cursor=cursor)
        feed += [row_of(stored) for stored in page.versions]
        cursor = page.next
        if cursor is None:
            return feed[::-1]


async def assert_same(database: Database, model: Model, *, ordered: bool) -> None:
    """Contents, versions, history and searches of the store are those of the model."""
    feed = await feed_of(database)
    rows = dict(feed)
    assert Counter(shown(rows, i) for i in rows) == Counter(shown(model.rows, i) for i in model.rows)
    real = [(identity[0], named(identity[1]), row.version, row.identifier, row.gender) for identity, row in feed]
    wanted = [
        (identity[0], named(identity[1]), row.version, row.identifier, row.gender) for identity, row in model.feed
    ]
    assert real == wanted if ordered else Counter(real) == Counter(wanted)

    async def found(type_: str, **criteria: str) -> Counter[Any]:
        page = await database.search(condition(database, type_, **criteria))
        return Counter(shown(rows, (match.type, match.id)) for match in page.matches)

    for value in "123":
        for type_ in ("Patient", "Observation"):
            got = await found(type_, identifier=f"{SYSTEM}|{value}")
            assert got == model.found(type_, identifier=value)
    for gender in GENDERS:
        assert await found("Patient", gender=gender) == model.found("Patient", gender=gender)
    for id_ in "abc":
        got = await found("Observation", subject=f"Patient/{id_}")
        assert got == model.found("Observation", target=("Patient", id_))
        row = model.rows.get(("Patient", id_))
        if row is not None and row.alive:
            assert row_of(await database.read("Patient", id_))[1].version == row.version


def emptied(database: Database) -> None:
    """Takes everything out of the store, so that the next example finds a new one."""
    with database.engine.begin() as connection:
        for table in ("version", "resource", *(index.__tablename__ for index in INDEXES)):
            connection.execute(text(f"DELETE FROM {table}"))


@pytest.fixture
def examples(database: Database) -> int:
    return EXAMPLES["sqlite" if database.sqlite else "postgresql"]


@pytest.mark.parametrize("way", ["in order", "shuffled", "at once"])
async def test_plans_do_what_the_dict_does(database: Database, examples: int, way: str) -> None:
    played = versions = 0

    async def run(chosen: list[list[Op]], seed: int) -> None:
        nonlocal played, versions
        emptied(database)
        model, random = Model(), Random(seed)
        orders = [list(range(len(plan))) for plan in chosen]
        for order in orders if way == "shuffled" else ():
            random.shuffle(order)
        if way == "at once":  # the writer takes them as one group; a plan must not notice its neighbours
            tasks = [play(database, plan, order) for plan, order in zip(chosen, orders, strict=True)]
            done = await asyncio.gather(*tasks)
            assert done == [expected(model, plan) for plan in chosen]
        else:
            for plan, order in zip(chosen, orders, strict=True):
                assert await play(database, plan, order) == expected(model, plan)
                await assert_same(database, model, ordered=way == "in order")
        await assert_same(database, model, ordered=way != "shuffled")
        played += len(chosen)
        versions += len(model.feed)

    loop = asyncio.get_running_loop()

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(plans, st.integers(0, 1000))
    def search_for_a_difference(chosen: list[list[Op]], seed: int) -> None:
        asyncio.run_coroutine_threadsafe(run(chosen, seed), loop).result(60)

    await asyncio.to_thread(search_for_a_difference)
    print(f"{played} plans {way}, {versions} versions")
    assert versions > examples
