"""The package is a FHIR package of the committed files, and the service offers what its requirements ask for."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import httpx
import yaml

from service.app import create_app
from service.conformance.capability import BASE, statement
from service.conformance.definitions import OWN_RESOURCES, Definitions
from service.settings import Settings, shipped
from service.web.guide import package
from service.web.guide.content import Document, guide

COMPILED = shipped(*OWN_RESOURCES)
CONFORMANCE = list(guide().by_url.values())


def archive() -> dict[str, bytes]:
    """The files of the package."""
    with tarfile.open(fileobj=io.BytesIO(package.archive().content), mode="r:gz") as tar:
        return {one.name: file.read() for one in tar if (file := tar.extractfile(one)) is not None}


def test_manifest_is_that_of_the_sources() -> None:
    made = json.loads(archive()["package/package.json"])
    config = yaml.safe_load(Path("fhir_profiles/sushi-config.yaml").read_text(encoding="utf-8"))
    assert made["name"] == config["id"]
    assert {name: made[name] for name in ("canonical", "version")} == {
        name: config[name] for name in ("canonical", "version")
    }
    assert made["fhirVersions"] == [config["fhirVersion"]]
    assert made["dependencies"] == {"hl7.fhir.r4.core": config["fhirVersion"]}
    assert made["type"] == "IG"
    assert (made["title"], made["description"]) == (config["title"], config["description"])
    assert {one.resource["version"] for one in CONFORMANCE} == {made["version"]}


def test_package_holds_the_committed_files_and_lists_them() -> None:
    files = archive()
    held = {name.rpartition("/")[2]: json.loads(content) for name, content in files.items() if "/." not in name}
    del held["package.json"]
    assert held == {path.name: json.loads(path.read_bytes()) for path in COMPILED.glob("*.json")}
    for folder in ("package", "package/example"):
        listed = json.loads(files[f"{folder}/.index.json"])["files"]
        inside = {name.removeprefix(f"{folder}/") for name in files if name.rpartition("/")[0] == folder}
        assert {one["filename"] for one in listed} == inside - {".index.json", "package.json"}
        for one in listed:
            resource = json.loads(files[f"{folder}/{one['filename']}"])
            assert (one["resourceType"], one["id"]) == (resource["resourceType"], resource["id"])
            assert one.get("url") == resource.get("url")
            assert ("url" in one) == (folder == "package")


def test_package_has_the_same_bytes_each_time() -> None:
    first = package.archive().content
    package.archive.cache_clear()
    assert package.archive().content == first
    assert gzip.decompress(first)[257:262] == b"ustar"
    assert first[4:8] == bytes(4)  # the time of gzip's header (RFC 1952 2.3)


def test_package_of_other_content_has_another_etag() -> None:
    assert package.packed([("a", b"1")]) == package.packed([("a", b"1")])
    assert package.packed([("a", b"1")]) != package.packed([("a", b"2")])


async def test_package_is_sent_once() -> None:
    app = create_app(Settings())  # the package asks neither database nor definitions
    web = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    answer = await web.get("/ig/package.tgz")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/gzip"
    assert answer.headers["content-disposition"] == 'attachment; filename="cart-fhir.isikok-19-0.1.0.tgz"'
    assert answer.content == package.archive().content
    again = await web.get("/ig/package.tgz", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    changed = await web.get("/ig/package.tgz", headers={"if-none-match": '"another"'})
    assert changed.status_code == 200


# What a server of the trial offers


def covers(offered: Any, required: Any) -> bool:
    """Whether all that is required is offered; items of a list by what they hold."""
    if isinstance(required, dict):
        return isinstance(offered, dict) and all(covers(offered.get(name), value) for name, value in required.items())
    if isinstance(required, list):
        return isinstance(offered, list) and all(any(covers(one, item) for one in offered) for item in required)
    return bool(offered == required)


def requirements_of_a_server() -> Document:
    return guide().document("CapabilityStatement", "trial-server")


def test_service_offers_what_a_server_of_the_trial_offers(definitions: Definitions) -> None:
    required = requirements_of_a_server().resource
    served = statement(definitions, create_app(Settings()).state.interactions)
    for name in ("fhirVersion", "format", "patchFormat"):
        assert covers(served[name], required[name]), name
    wanted, offered = dict(required["rest"][0]), served["rest"][0]
    del wanted["documentation"]
    for resource in wanted.pop("resource"):
        assert covers(offered["resource"], [resource]), resource["type"]
    assert covers(offered, wanted)


def test_server_of_the_trial_knows_every_profile_and_own_search() -> None:
    entries = requirements_of_a_server().resource["rest"][0]["resource"]
    assert {url for entry in entries for url in entry["supportedProfile"]} == {
        one.resource["url"] for one in guide().profiles()
    }
    named = {search["definition"] for entry in entries for search in entry.get("searchParam", ())}
    own = {one.resource["url"] for one in guide().of_kind("SearchParameter")}
    assert {url for url in named if url.startswith(BASE)} == own


def test_covers_finds_what_is_missing() -> None:
    assert covers({"a": [{"b": 1, "c": 2}], "d": 3}, {"a": [{"b": 1}]})
    assert not covers({"a": [{"b": 1}]}, {"a": [{"b": 2}]})
    assert not covers({"a": [{"b": 1}]}, {"e": 1})
