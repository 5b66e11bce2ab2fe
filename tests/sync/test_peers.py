"""Peers: hashes that see content alone, and notes in the plan of the data."""

from __future__ import annotations

from service.fhir.json import decode
from service.fhir.operations import Plan, Update
from service.store.database import Database
from service.sync import peers

CRP = b'{"resourceType":"Observation","id":"a","meta":{"versionId":"1"},"valueQuantity":{"value":1.50,"unit":"mg/L"}}'


def test_canonical_hash_sees_no_order_and_no_meta() -> None:
    other = b'{"valueQuantity":{"unit":"mg/L","value":1.50},"id":"b","resourceType":"Observation","meta":{"tag":[]}}'
    assert peers.canonical_hash(decode(CRP)) == peers.canonical_hash(decode(other))


def test_canonical_hash_sees_digits_exponents_and_the_order_of_lists() -> None:
    texts = [CRP, CRP.replace(b"1.50", b"1.5"), CRP.replace(b"1.50", b"15e-1"), CRP.replace(b"mg/L", b"mg/dL")]
    lists = [b'{"resourceType":"Basic","a":[1,2]}', b'{"resourceType":"Basic","a":[2,1]}']
    assert len({peers.canonical_hash(decode(text)) for text in [*texts, *lists]}) == 6


def test_local_ids_differ_by_connection_type_and_id() -> None:
    ids = {peers.local_id(*names) for names in (("a", "T", "1"), ("b", "T", "1"), ("a", "U", "1"), ("a", "T", "2"))}
    assert len(ids) == 4
    assert peers.local_id("a", "T", "1") in ids


async def test_peers_are_kept_and_found_from_both_sides(database: Database) -> None:
    id_ = peers.local_id("north", "Patient", "7")
    made = peers.Peer(f"Patient/{id_}", "3", "sha256:x", 1, local_hash="sha256:y")
    patient = {"resourceType": "Patient", "id": id_}
    await database.write(Plan((Update(patient),), notes=peers.notes("north", "Patient/7", made, None)))
    assert await peers.peer(database, "north", "Patient/7") == made
    assert await peers.peers(database, "north", ["Patient/7", "Patient/8"]) == {"Patient/7": made}
    assert await peers.remote_of(database, "north", made.local) == "Patient/7"
    assert await peers.remotes_of(database, "north", [made.local, "Patient/x"]) == {made.local: "Patient/7"}
    assert await peers.peer(database, "south", "Patient/7") is None
    await database.write(Plan((), notes=peers.forgotten("north", "Patient/7", made)))
    assert await peers.remote_of(database, "north", made.local) is None


def test_echo_is_the_same_content_or_where_none_is_known_the_same_version() -> None:
    peer = peers.Peer("Patient/1", "3", "sha256:x", 1)
    assert peer.is_echo("4", "sha256:x")
    assert not peer.is_echo("3", "sha256:changed")
    assert not peers.Peer("Patient/1", "3", "sha256:x", 1, deleted=True).is_echo("3", "sha256:x")
    unread = peers.Peer("Patient/1", "3", "", 1)
    assert unread.is_echo("3", "sha256:y")
    assert not unread.is_echo("4", "sha256:y")
    assert not peers.Peer("Patient/1", None, "", 1).is_echo(None, "sha256:y")
