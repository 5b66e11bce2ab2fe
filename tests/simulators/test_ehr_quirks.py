"""Each quirk of the simulated hospital shows its effect, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest

from service.simulators.ehr import HOSTILE, Quirks
from tests.simulators.conftest import Client, matches, numbered, observation, outcomes

Hospital = Callable[..., Client]


def stamps(client: Client) -> list[str]:
    return [each["meta"]["lastUpdated"] for each in client.ehr.resources("Observation")]


def test_count_is_capped(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(45), Quirks(most_count=20))
    assert [len(matches(page)) for page in client.pages("Observation?_count=1000")] == [20, 20, 5]


def test_lists_are_descending_and_sort_is_ignored(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(3), Quirks(descending=True))
    assert client.ids("Observation") == ["o002", "o001", "o000"]
    assert client.ids("Observation?_sort=_lastUpdated") == ["o000", "o001", "o002"]
    client.ehr.configure({"ignores_sort": True})
    page = client.bundle("Observation?_sort=_lastUpdated")
    assert [each["id"] for each in matches(page)] == ["o002", "o001", "o000"]
    assert "_sort" not in page["link"][0]["url"]


def test_last_updated_is_ignored(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(3))
    query = "Observation?_lastUpdated=ge2199"
    assert client.ids(query) == []
    client.ehr.configure({"ignores_last_updated": True})
    assert len(client.ids(query)) == 3
    assert "_lastUpdated" not in client.bundle(query)["link"][0]["url"]


def test_unknown_parameter_is_400(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(1), Quirks(refuses_unknown_parameters=True))
    assert client.get("/fhir/Observation?shoe-size=44").status_code == 400
    assert client.ids("Observation?status=final&_count=1&_sort=_lastUpdated") == ["o000"]


def test_required_parameter_is_400_without(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(2), Quirks(requires={"Observation": ("category", "code")}))
    refused = client.get("/fhir/Observation?patient=p1")
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "required")
    assert len(client.ids("Observation?patient=p1&code=LDH&_count=1")) == 2
    assert client.ids("Observation?_id=o000") == ["o000"]
    assert client.get("/fhir/Patient").status_code == 200


def test_insert_shifts_the_pages_of_a_descending_server(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(4), Quirks(live_paging=True, descending=True))
    client.ehr.put_after(1, [observation("late")], "Observation?")
    assert client.ids("Observation?_count=2") == ["o003", "o002", "o002", "o001", "o000"]
    assert client.ids("Observation?_count=2")[0] == "late"


def test_change_while_paging_hides_another_from_an_ascending_one(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(4), Quirks(live_paging=True))
    client.post("/control/put", json={"resources": [observation("o000", 9)], "after": 1, "match": "Observation?"})
    assert client.ids("Observation?_count=2") == ["o000", "o001", "o003", "o000"]


def test_empty_pages_carry_next(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(5), Quirks(empty_pages=True))
    pages = client.pages("Observation?_count=2")
    assert [len(matches(page)) for page in pages] == [2, 0, 2, 0, 1]
    assert "entry" not in pages[1]


def test_entries_come_twice(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(4), Quirks(repeats_entries=True))
    assert client.ids("Observation?_count=2") == ["o000", "o001", "o001", "o002", "o003"]


def test_total_is_omitted(hospital_of: Hospital) -> None:
    assert "total" not in hospital_of(numbered(1), Quirks(omits_total=True)).bundle("Observation")


def test_outcome_that_informs_and_one_about_what_is_omitted(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(3), Quirks(informs=True))
    page = client.bundle("Observation")
    assert [each["issue"][0]["severity"] for each in outcomes(page)] == ["information"]
    assert len(matches(page)) == 3
    client.ehr.configure({"informs": False, "withholds": ["Observation/o001"]})
    page = client.bundle("Observation")
    assert [each["issue"][0]["code"] for each in outcomes(page)] == ["suppressed"]
    assert [each["id"] for each in matches(page)] == ["o000", "o002"]
    assert page["total"] == 3


def test_one_instant_for_all_of_an_import(hospital_of: Hospital) -> None:
    assert len(set(stamps(hospital_of(numbered(250))))) == 250
    client = hospital_of(numbered(250), Quirks(one_instant_per_import=True))
    assert len(set(stamps(client))) == 1
    entries = [{"resource": each, "request": {"method": "POST", "url": "Observation"}} for each in numbered(3)]
    client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert len(set(stamps(client))) == 2


def test_some_are_dated_ahead(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(6), Quirks(future_every=3))
    now = datetime.now(UTC).isoformat()
    assert [stamp > now for stamp in stamps(client)] == [False, False, True, False, False, True]


def test_conflict_is_409(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(1), Quirks(conflict_status=409))
    refused = client.put("/fhir/Observation/o000", json=observation("o000"), headers={"If-Match": 'W/"7"'})
    assert refused.status_code == 409


def test_if_none_exist_is_ignored(hospital_of: Hospital) -> None:
    client = hospital_of((), Quirks(ignores_if_none_exist=True))
    body = observation(identifier=[{"value": "1"}])
    answers = [client.post("/fhir/Observation", json=body, headers={"If-None-Exist": "identifier=1"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert len(client.ids("Observation?identifier=1")) == 2


def test_ids_of_clients_are_refused(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(1), Quirks(refuses_client_ids=True))
    assert client.put("/fhir/Observation/mine", json=observation("mine")).status_code == 405
    assert client.put("/fhir/Observation/o000", json=observation("o000", 2)).status_code == 200


def test_elements_are_dropped_and_bodies_empty(hospital_of: Hospital) -> None:
    client = hospital_of((), Quirks(drops={"Observation": ("note",), "*": ("text",)}, empty_bodies=True))
    made = client.post("/fhir/Observation", json=observation(note=[{"text": "x"}], text={"status": "empty"}))
    assert (made.status_code, made.content) == (201, b"")
    stored = client.get(made.headers["location"]).json()
    assert "note" not in stored
    assert "text" not in stored
    assert stored["valueQuantity"]["value"] == 1


def test_writes_are_touched_in_the_background(hospital_of: Hospital) -> None:
    client = hospital_of((), Quirks(touches_writes=True))
    made = client.post("/fhir/Observation", json=observation())
    assert made.headers["etag"] == 'W/"1"'
    stored = client.get(f"/fhir/Observation/{made.json()['id']}").json()
    assert (stored["meta"]["versionId"], len(stored["meta"]["tag"])) == ("2", 1)
    client.get("/fhir/Observation")
    assert client.ehr.versions(f"Observation/{stored['id']}") == 2
    client.post("/control/touch", json={"references": [f"Observation/{stored['id']}"]})
    touched = client.ehr.resources()[0]
    assert (touched["meta"]["versionId"], len(touched["meta"]["tag"])) == ("3", 1)


def test_deleted_is_seen_in_the_history_alone(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(1), Quirks(hides_deleted=True))
    client.post("/control/delete", json={"references": ["Observation/o000"]})
    assert client.get("/fhir/Observation/o000").status_code == 404
    assert client.ids("Observation") == []
    assert client.bundle("Observation/_history")["entry"][0]["request"]["method"] == "DELETE"


@pytest.mark.parametrize(
    ("mode", "promised", "status"), [("works", True, 200), ("fails", True, 500), ("absent", False, 400)]
)
def test_transactions(hospital_of: Hospital, mode: str, promised: bool, status: int) -> None:
    client = hospital_of((), Quirks(transactions=mode))  # type: ignore[arg-type]
    interactions = client.get("/fhir/metadata").json()["rest"][0]["interaction"]
    assert ({"code": "transaction"} in interactions) == promised
    entry = {"resource": observation(), "request": {"method": "POST", "url": "Observation"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert client.post("/fhir", json=bundle).status_code == status
    assert len(client.ehr.resources()) == (status == 200)


def test_poison_is_stored_once(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(1))
    for _ in range(2):
        client.ehr.configure({"poison": True})
    assert client.ids("Observation") == ["o000", "poison-bare", "poison-date"]
    bare = client.get("/fhir/Observation/poison-bare").json()
    assert not {"status", "code"} & set(bare)


def test_throttling_as_number_and_as_date(hospital_of: Hospital) -> None:
    client = hospital_of((), Quirks(throttles_every=2, retry_after=7200, retry_after_form="both"))
    answers = [client.get("/fhir/metadata") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200, 429, 200, 503, 200, 429]
    ahead = parsedate_to_datetime(answers[1].headers["retry-after"]) - datetime.now(UTC)
    assert 7100 < ahead.total_seconds() <= 7200
    assert answers[3].headers["retry-after"] == "7200"
    assert [exchange.fault for exchange in client.ehr.log] == [None, "throttles"] * 3


def test_slow_answers(hospital_of: Hospital) -> None:
    client = hospital_of((), Quirks(slow_every=2, slow_seconds=2))
    assert client.get("/fhir/metadata", timeout=1.5).status_code == 200
    with pytest.raises(httpx.ReadTimeout):
        client.get("/fhir/metadata", timeout=0.3)


def test_truncated_and_wrong_answers(hospital_of: Hospital) -> None:
    client = hospital_of((), Quirks(truncates_every=2))
    whole = client.post("/fhir/Observation", json=observation())
    cut = client.post("/fhir/Observation", json=observation())
    assert (cut.status_code, len(cut.content)) == (201, len(whole.content) // 2)
    assert len(client.ehr.resources()) == 2
    client.ehr.configure({"truncates_every": 0, "wrong_answer_every": 1})
    page, other = (client.get("/fhir/Observation") for _ in range(2))
    assert page.status_code == other.status_code == 200
    kinds = {page.headers["content-type"].partition(";")[0], other.json()["resourceType"]}
    assert kinds == {"text/html", "Basic"}


def test_hostile_hospital_can_still_be_read_whole(hospital_of: Hospital) -> None:
    client = hospital_of(numbered(60), HOSTILE)
    seen: set[str] = set()
    url: str | None = "/fhir/Observation?code=LDH&_count=3"
    for _ in range(80):
        answer = client.get(url)
        kind = answer.headers["content-type"].partition(";")[0]
        try:
            page = answer.json() if answer.status_code == 200 and kind == "application/fhir+json" else {}
        except ValueError:
            continue
        if page.get("resourceType") != "Bundle":
            continue
        seen |= {each["id"] for each in matches(page)}
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
        if url is None:
            break
    assert url is None
    assert len(seen) == 61  # and the poisoned one that has a code
    assert {exchange.fault for exchange in client.ehr.log} >= {"throttles", "slow"}
