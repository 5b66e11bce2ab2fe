"""The hospital's token server, by SMART Backend Services."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from service.simulators.ehr import Quirks
from tests.simulators.conftest import Client, numbered

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
RSA = RSAKey.generate_key(2048, {"kid": "r1"})
EC = ECKey.generate_key("P-384", {"kid": "e1"})
OTHER = ECKey.generate_key("P-384", {"kid": "e1"})
JWKS = {"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]}
Hospital = Callable[..., Client]


@pytest.fixture
def client(hospital_of: Hospital) -> Client:
    return hospital_of(numbered(2), secured=True, clients={"cart-fhir": JWKS})


def asked(
    client: Client,
    key: Any = EC,
    header: dict[str, Any] | None = None,
    scope: str = "system/Observation.rs",
    form: dict[str, str] | None = None,
    **claims: Any,
) -> httpx.Response:
    """A request for a token, with changes to the assertion's header and claims and to the form."""
    algorithm = "RS384" if key.key_type == "RSA" else "ES384"
    told = {
        "iss": "cart-fhir",
        "sub": "cart-fhir",
        "aud": f"{client.base_url}/token".replace("//token", "/token"),
        "exp": int(time.time()) + 240,
        "jti": str(uuid4()),
    }
    signed = jwt.encode({"alg": algorithm, "kid": key.kid} | (header or {}), told | claims, key, [algorithm])
    fields = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": signed,
        "scope": scope,
    }
    return client.post("/token", data=fields | (form or {}))


def bearer(client: Client, **options: Any) -> dict[str, str]:
    answer = asked(client, **options)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_configuration_says_where_and_how(client: Client) -> None:
    for path in ("/.well-known/smart-configuration", "/fhir/.well-known/smart-configuration"):
        answer = client.get(path)
        assert answer.headers["content-type"] == "application/json"
        said = answer.json()
        assert said["token_endpoint"] == str(client.base_url.join("/token"))
        assert said["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]


@pytest.mark.parametrize("key", [RSA, EC], ids=["RS384", "ES384"])
def test_token_opens_the_door(client: Client, key: Any) -> None:
    assert client.get("/fhir/metadata").status_code == 200
    assert client.get("/fhir/Observation").status_code == 401
    answer = asked(client, key)
    said = answer.json()
    assert (said["token_type"], said["expires_in"], said["scope"]) == ("bearer", 300, "system/Observation.rs")
    assert answer.headers["cache-control"] == "no-store"
    headers = {"Authorization": f"Bearer {said['access_token']}"}
    assert client.get("/fhir/Observation", headers=headers).json()["total"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"exp": int(time.time()) - 10},
        {"exp": int(time.time()) + 900},
        {"exp": "soon"},
        {"aud": "https://elsewhere.example/token"},
        {"sub": "somebody"},
        {"iss": "somebody", "sub": "somebody"},
        {"jti": ""},
        {"header": {"kid": "unknown"}},
        {"header": {"kid": "r1"}},
        {"header": {"jku": "https://elsewhere.example/jwks"}},
        {"key": OTHER},
        {"form": {"client_assertion": "x.y"}},
        {"form": {"client_assertion": ""}},
    ],
    ids="over far-ahead no-time aud sub iss jti kid other-kid jku other-key malformed empty".split(),
)
def test_bad_assertion_is_invalid_client(client: Client, change: dict[str, Any]) -> None:
    answer = asked(client, **change)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert client.ehr.log[-1].fault == "invalid_client"


def test_assertion_is_good_once(client: Client) -> None:
    assert asked(client, jti="one").status_code == 200
    assert asked(client, jti="one").json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_assertion_type": "jwt"}, "invalid_request"),
        ({"scope": "patient/*.read"}, "invalid_scope"),
    ],
)
def test_bad_form(client: Client, form: dict[str, str], error: str) -> None:
    answer = asked(client, form=form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_kid_that_stands_twice_is_refused_and_rotation_works(client: Client) -> None:
    twice = {"keys": [*JWKS["keys"], OTHER.as_dict(private=False)]}
    assert client.post("/control/key", json={"client_id": "cart-fhir", "jwks": twice}).status_code == 200
    assert asked(client).json()["error"] == "invalid_client"
    new = ECKey.generate_key("P-384", {"kid": "e2"})
    both = {"keys": [*JWKS["keys"], new.as_dict(private=False)]}
    client.post("/control/key", json={"client_id": "cart-fhir", "jwks": both})
    assert [asked(client, key).status_code for key in (EC, new)] == [200, 200]


def test_scopes_hold(client: Client) -> None:
    reader = bearer(client, scope="system/Observation.rs system/Patient.read")
    assert client.get("/fhir/Observation/o000", headers=reader).status_code == 200
    assert client.post("/fhir/Observation/_search", data={"code": "LDH"}, headers=reader).status_code == 200
    assert client.get("/fhir/Encounter", headers=reader).status_code == 403
    assert client.put("/fhir/Observation/o000", json=numbered(1)[0], headers=reader).status_code == 403
    writer = bearer(client, scope="system/*.cruds")
    assert client.put("/fhir/Observation/o000", json=numbered(1)[0], headers=writer).status_code == 200


def test_token_ends_and_can_be_revoked(client: Client) -> None:
    client.ehr.configure({"token_seconds": 1})
    answer = asked(client)
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert answer.json()["expires_in"] == 1
    assert client.get("/fhir/Observation", headers=headers).status_code == 200
    time.sleep(1.1)
    assert client.get("/fhir/Observation", headers=headers).status_code == 401
    client.ehr.configure({"token_seconds": 300})
    headers = bearer(client)
    client.post("/control/revoke")
    refused = client.get("/fhir/Observation", headers=headers)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')


def test_every_nth_request_loses_its_token(client: Client) -> None:
    client.ehr.configure({"unauthorized_every": 3})
    headers = bearer(client)
    statuses = [client.get("/fhir/Observation", headers=headers).status_code for _ in range(4)]
    assert statuses == [200, 200, 401, 401]
    assert client.get("/fhir/Observation", headers=bearer(client)).status_code == 200


def test_jti_and_count_are_in_the_log(client: Client) -> None:
    with ThreadPoolExecutor(5) as pool:
        assert {answer.status_code for answer in pool.map(lambda _: asked(client), range(10))} == {200}
    lines = [exchange for exchange in client.ehr.log if exchange.path == "/token"]
    assert len({line.notes["jti"] for line in lines}) == 10
    assert client.ehr.count("POST /token") == 10


def test_open_hospital_loses_no_token(hospital_of: Hospital) -> None:
    client = hospital_of((), Quirks(unauthorized_every=1))
    assert client.get("/fhir/Observation").status_code == 200
