"""The definitions compiled into one compact value, kept on disk by the hash of what it was made from.

4,482 JSON files (31 MB) become about 3 MB of msgpack; each definition stays packed until it is asked for.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from service.conformance import concepts, records, search_parameters
from service.fhir.parameters import SearchParameter

R4 = "4.0.1"
_DIGEST = 32
_CODE = (Path(__file__), Path(records.__file__), Path(concepts.__file__), Path(search_parameters.__file__))


class Package(msgspec.Struct):
    """Every definition by canonical, packed; `own` are the canonicals of ours → file name."""

    structures: dict[str, msgspec.Raw]
    value_sets: dict[str, msgspec.Raw]
    code_systems: dict[str, msgspec.Raw]
    concept_maps: dict[str, msgspec.Raw]
    parameters: list[SearchParameter]
    compartments: dict[str, dict[str, list[str]]]
    resource_types: list[str]
    own: dict[str, str]


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Package).decode


def read(core: Path, own: Path, cache_dir: Path | None) -> Package:
    """The package of the core archive and of our folder: from the cache where it is current, else compiled.

    A cache file that is torn, foreign or old is replaced; a cache that cannot be written is done without.
    """
    if cache_dir is None:
        return _unpack(_pack(compile_package(core, own)))
    file = cache_dir / f"definitions-{_key(core, own)}.msgpack"
    package = _cached(file)
    if package is None:
        body = _pack(compile_package(core, own))
        _write(file, hashlib.blake2b(body, digest_size=_DIGEST).digest() + body)
        package = _unpack(body)
    return package


def _key(core: Path, own: Path) -> str:
    digest = hashlib.blake2b(msgspec.__version__.encode(), digest_size=16)
    for path in (*_CODE, core, *_own_files(own)):
        digest.update(path.name.encode() + b"\0")
        digest.update(hashlib.blake2b(path.read_bytes()).digest())
    return digest.hexdigest()


def _cached(file: Path) -> Package | None:
    try:
        content = file.read_bytes()
        if hashlib.blake2b(content[_DIGEST:], digest_size=_DIGEST).digest() != content[:_DIGEST]:
            return None
        return _unpack(content[_DIGEST:])
    except (OSError, msgspec.MsgspecError):
        return None


def _write(file: Path, content: bytes) -> None:
    """Atomically: readers see the old file or the new one; files of older inputs are removed."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".definitions-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            os.replace(name, file)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
        for old in file.parent.glob("definitions-*.msgpack"):
            if old != file:
                old.unlink(missing_ok=True)
    except OSError:
        return


def _own_files(own: Path) -> list[Path]:
    return sorted(own.glob("*.json")) if own.is_dir() else []


def _core_resources(core: Path) -> Iterator[dict[str, Any]]:
    with tarfile.open(core, "r:gz") as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".json") and not member.name.endswith("/.index.json"):
                stream = archive.extractfile(member)
                resource = msgspec.json.decode(stream.read()) if stream is not None else {}
                # The archive also carries SubscriptionStatus of 4.3.0, which R4 does not know.
                if resource.get("fhirVersion", R4) == R4:
                    yield resource


def compile_package(core: Path, own: Path) -> dict[str, Any]:
    """The content of a `Package` with each definition packed."""
    ours: dict[str, str] = {}

    def own_resources() -> Iterator[dict[str, Any]]:
        for path in _own_files(own):
            resource = msgspec.json.decode(path.read_bytes())
            if isinstance(resource, dict) and "resourceType" in resource and isinstance(resource.get("url"), str):
                ours[resource["url"]] = path.name
                yield resource

    package = _collect(_core_resources(core))
    _collect(own_resources(), package)
    package["own"] = ours
    package["resource_types"].sort()
    package["parameters"].sort(key=lambda parameter: (parameter.base, parameter.code))
    return package


def _collect(resources: Iterable[dict[str, Any]], package: dict[str, Any] | None = None) -> dict[str, Any]:
    package = package or {
        "structures": {},
        "value_sets": {},
        "code_systems": {},
        "concept_maps": {},
        "parameters": [],
        "compartments": {},
        "resource_types": [],
        "own": {},
    }
    for resource in resources:
        _KEEP.get(resource.get("resourceType", ""), _ignore)(package, resource)
    return package


def _ignore(package: dict[str, Any], resource: dict[str, Any]) -> None:
    return


def _structure(package: dict[str, Any], resource: dict[str, Any]) -> None:
    record = records.structure(resource)
    package["structures"][record.url] = msgspec.Raw(_pack(record))
    if record.kind == "resource" and record.derivation == "specialization" and not record.abstract:
        package["resource_types"].append(record.type)


def _value_set(package: dict[str, Any], resource: dict[str, Any]) -> None:
    package["value_sets"][resource["url"]] = msgspec.Raw(_pack(concepts.value_set(resource)))


def _code_system(package: dict[str, Any], resource: dict[str, Any]) -> None:
    if resource.get("content") != "supplement":
        package["code_systems"][resource["url"]] = msgspec.Raw(_pack(concepts.code_system(resource)))


def _concept_map(package: dict[str, Any], resource: dict[str, Any]) -> None:
    package["concept_maps"][resource["url"]] = msgspec.Raw(_pack(concepts.concept_map(resource)))


def _parameter(package: dict[str, Any], resource: dict[str, Any]) -> None:
    package["parameters"].extend(search_parameters.split(resource))


def _compartment(package: dict[str, Any], resource: dict[str, Any]) -> None:
    members = {entry["code"]: entry["param"] for entry in resource.get("resource", ()) if entry.get("param")}
    package["compartments"][resource["code"]] = members


_KEEP = {
    "StructureDefinition": _structure,
    "ValueSet": _value_set,
    "CodeSystem": _code_system,
    "ConceptMap": _concept_map,
    "SearchParameter": _parameter,
    "CompartmentDefinition": _compartment,
}
