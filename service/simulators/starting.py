"""What the commands `ehr-simulator` and `registry-simulator` start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from service.errors import CartFhirError
from service.fhir import json
from service.simulators import serving
from service.simulators.ehr import PROFILES, Ehr, hospital
from service.simulators.registry import Registry
from service.simulators.wire import Resource


def read_folder(folder: Path) -> Iterator[Resource]:
    """The resources of the `*.json` (a resource or a Bundle) and `*.ndjson` files of `folder`. Raises CartFhirError."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".ndjson"))
    if not files:
        raise CartFhirError(f"{folder} has no JSON or NDJSON files")
    for path in files:
        lines = path.read_bytes().splitlines() if path.suffix == ".ndjson" else [path.read_bytes()]
        for line in filter(None, map(bytes.strip, lines)):
            resource = json.decode(line)
            if not isinstance(resource, dict) or "resourceType" not in resource:
                raise CartFhirError(f"{path} has something that is no resource")
            if resource["resourceType"] == "Bundle":
                yield from (entry["resource"] for entry in resource.get("entry", []) if "resource" in entry)
            else:
                yield resource


def run_ehr(profile: str, host: str, port: int, folder: Path | None, seed: int, secured: bool) -> None:
    """Serves a hospital until it is stopped. Raises CartFhirError."""
    if profile not in PROFILES:
        raise CartFhirError(f"There is no profile {profile}: {', '.join(PROFILES)}")
    resources = list(read_folder(folder)) if folder else hospital(seed)
    ehr = Ehr(resources, PROFILES[profile], secured=secured)
    serving.run(ehr, host, port, lambda url: _say(url, f"{len(ehr.resources())} resources, profile {profile}"))


def run_registry(host: str, port: int, folder: Path | None) -> None:
    """Serves a registry until it is stopped. Raises CartFhirError."""
    serving.run(Registry(folder=folder), host, port, lambda url: _say(url, "a registry that takes messages"))


def _say(url: str, what: str) -> None:
    print(f"· {what}\n    FHIR     {url}/fhir\n    Control  {url}/control/log\n· Stop with Ctrl+C", flush=True)
