"""The form in which a resource goes out, what is carried onto theirs, and what may be named in `push`."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from service.fhir.operations import Stored
from service.sync.capable import capable
from service.sync.delivery import in_order
from service.sync.origin import TAG, origin_of
from service.sync.outgoing import carried, identifies, outgoing, own_id, patient_of, without_own
from service.sync.pushable import TRIAL, pushed_types, wrong_push
from service.sync.step import Item
from tests.sync.pushing import OURS, THEIRS, observation

BASE = "https://trial.example/fhir"
LINKS = {OURS: THEIRS, "Observation/o2": "Observation/h2"}


def test_outgoing_form_has_their_links_our_identifier_and_no_meta_of_ours() -> None:
    ours = observation(
        "o1",
        meta={"versionId": "3", "profile": ["https://x.example"], "security": [{"code": "R"}]},
        identifier=[{"system": "https://lab.example", "value": "7"}],
        derivedFrom=[{"reference": "Observation/o2/_history/4"}, {"reference": "Observation/o3", "display": "d"}],
        focus=[{"reference": "#inside"}, {"reference": "https://other.example/fhir/Device/1"}],
    )
    before = deepcopy(ours)
    out = outgoing(ours, LINKS, BASE)
    assert ours == before
    sent = out.resource
    assert "id" not in sent
    assert sent["meta"] == {"tag": [{"system": TAG, "code": "cart-fhir"}]}
    assert sent["subject"] == {"reference": THEIRS}
    assert sent["derivedFrom"][0] == {"reference": "Observation/h2"}
    logical = {"system": f"{BASE}/identifier/Observation", "value": "o3"}
    assert sent["derivedFrom"][1] == {"display": "d", "type": "Observation", "identifier": logical}
    assert sent["focus"] == ours["focus"]
    assert out.unlinked == ("Observation.derivedFrom[1].reference",)
    assert sent["identifier"] == [ours["identifier"][0], out.identifier]
    assert identifies(out.identifier, sent)
    assert own_id(sent, BASE) == "Observation/o1"
    assert own_id(sent, "https://another.example") is None
    assert without_own(sent, BASE)["identifier"] == ours["identifier"]
    assert (patient_of(ours), origin_of(sent)) == (OURS, "cart-fhir")


@pytest.mark.parametrize("own", [None, {"system": "https://ae.example", "value": "1"}, {"value": "1"}])
def test_adverse_event_has_room_for_one_identifier(own: dict[str, str] | None) -> None:
    event = {"resourceType": "AdverseEvent", "id": "e", "subject": {"reference": OURS}}
    out = outgoing(event | ({"identifier": own} if own else {}), LINKS, BASE)
    assert out.resource["identifier"]["value"] == ("e" if own is None or "system" not in own else "1")
    assert identifies(out.identifier, out.resource)


def test_change_is_carried_onto_what_they_made_of_it() -> None:
    before = outgoing(observation("o1", note=[{"text": "a"}], method={"text": "m"}), LINKS).resource
    now = outgoing(observation("o1", note=[{"text": "a"}, {"text": "b"}], status="amended"), LINKS).resource
    tag = {"system": "https://hospital.example", "code": "filed"}
    onto: dict[str, Any] = {**before, "id": "h1", "meta": {"versionId": "9", "tag": [tag]}, "issued": "2026-01-01"}
    onto["identifier"] = [*onto["identifier"], {"value": "theirs"}]
    result = carried(before, now, onto)
    assert (result["id"], result["status"], result["issued"]) == ("h1", "amended", "2026-01-01")
    assert result["note"] == [{"text": "a"}, {"text": "b"}]
    assert result["identifier"] == onto["identifier"]
    assert "method" not in result
    assert result["meta"] == {"tag": [tag, {"system": TAG, "code": "cart-fhir"}]}


def test_targets_go_before_those_that_refer_to_them_even_in_a_circle() -> None:
    def item(id_: str, *targets: str) -> Item:
        links = [{"reference": f"Observation/{target}"} for target in targets]
        return Item(f"Observation/{id_}", Stored("Observation", id_, 1, 0, b""), observation(id_, derivedFrom=links))

    found = [one.local[-1] for one in in_order([item("a", "b", "x"), item("b", "c"), item("c", "a"), item("d")])]
    assert found == ["c", "b", "a", "d"]


@pytest.mark.parametrize(
    ("entry", "good"),
    [("trial", True), ("Observation", True), ("Procedure?code=x", True), ("Patient", False), ("observation", False),
     ("Task?code=x", False), (7, False), ("", False)],
)  # fmt: skip
def test_entries_of_push(entry: object, good: bool) -> None:
    assert (wrong_push(entry) is None) == good


def test_trial_stands_for_its_types() -> None:
    assert all(wrong_push(entry) is None for entry in TRIAL)
    assert pushed_types(["trial", "Condition"]) == [
        "AdverseEvent", "Condition", "MedicationAdministration", "Observation", "Procedure",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "statement", [{}, {"rest": None}, {"rest": [{"mode": "client"}, 7]}, {"rest": [{"mode": "server"}]}]
)
def test_statement_that_promises_nothing(statement: dict[str, Any]) -> None:
    can = capable(statement, True)
    assert (can.transactions, can.conditional) == (False, frozenset())


def test_vendor_that_is_known_not_to_do_conditional_creates() -> None:
    resource = {"type": "Observation", "conditionalCreate": True}
    rest = {"mode": "server", "interaction": [{"code": "transaction"}], "resource": [resource]}
    assert capable({"rest": [rest]}, True).conditional == {"Observation"}
    assert capable({"rest": [rest]}, False).conditional == frozenset()
    assert capable({"rest": [rest]}, False).transactions
