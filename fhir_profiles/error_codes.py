"""The invariants as codes: the service names a broken one by its key, so the code system of errors has them all.

The words are those of the definitions: our profiles, then R4.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

FILE = "CodeSystem-error.json"
R4 = "4.0.1"


def complete(folder: Path, core: Path) -> None:
    """Add the invariants of the compiled profiles in `folder` and of the core archive to its code system of errors."""
    own = (json.loads(path.read_bytes()) for path in sorted(folder.glob("StructureDefinition-*.json")))
    concepts = {concept["code"]: concept for concept in invariants([*own, *_core(core)])}
    path = folder / FILE
    system = json.loads(path.read_bytes())
    written = {concept["code"] for concept in system["concept"]}
    system["concept"] += [concepts[key] for key in sorted(concepts.keys() - written)]
    system["count"] = len(system["concept"])
    path.write_text(json.dumps(system, indent=2, ensure_ascii=False), encoding="utf-8")


def invariants(structures: Iterable[dict[str, Any]]) -> Iterator[dict[str, str]]:
    """A concept for each key, by the first definition that has it."""
    seen: set[str] = set()
    for structure in structures:
        for element in structure["snapshot"]["element"]:
            for rule in element.get("constraint", []):
                if rule["key"] not in seen:
                    seen.add(rule["key"])
                    yield {
                        "code": rule["key"],
                        "display": f"{rule['key']} of {structure['name']}",
                        "definition": " ".join(rule["human"].split()),
                    }


def _core(archive: Path) -> Iterator[dict[str, Any]]:
    """The StructureDefinitions of R4, types before profiles, by name."""
    with tarfile.open(archive, "r:gz") as tar:
        files = [tar.extractfile(one) for one in tar if one.name.startswith("package/StructureDefinition-")]
        found = [json.loads(file.read()) for file in files if file is not None]
    kept = [one for one in found if one.get("fhirVersion", R4) == R4 and "snapshot" in one]
    return iter(sorted(kept, key=lambda one: (one.get("derivation") == "constraint", one["name"])))
