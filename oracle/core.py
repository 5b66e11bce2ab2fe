"""Whether the R4 definitions that the service ships are those of HL7: elements, types, targets, bindings, codes."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator
from typing import Any

from oracle import engine
from service.conformance.definitions import CORE_PACKAGE
from service.settings import shipped

Json = dict[str, Any]
# The first is HAPI's own; in the engine's copy of the second, no-break spaces were read in another encoding.
BESIDE = frozenset(
    {
        "https://hapifhir.io/fhir/CodeSystem/hapi-fhir-storage-response-code",
        "http://terminology.hl7.org/CodeSystem/v2-0550",
    }
)


def differences() -> Iterator[str]:
    """A sentence for each definition that is not HL7's."""
    theirs = {line["url"]: line for line in engine.lines("oracle.Core")}
    ours = {line["url"]: line for line in _shipped()}
    for url in sorted(ours.keys() - theirs.keys()):
        yield f"{url} is none of R4"
    for url in sorted(theirs.keys() - ours.keys() - BESIDE):
        yield f"{url} of R4 is missing"
    for url in sorted((ours.keys() & theirs.keys()) - BESIDE):
        mine, right = (
            line.get("elements") or dict.fromkeys(line.get("codes", ())) for line in (ours[url], theirs[url])
        )
        odd = sorted(name for name in mine.keys() | right.keys() if mine.get(name, 0) != right.get(name, 0))
        if odd:
            yield f"{url} differs in {', '.join(odd[:8])}"


def _shipped() -> Iterator[Json]:
    with tarfile.open(shipped(*CORE_PACKAGE)) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".json") else None
            resource = json.load(stream) if stream else {}
            if resource.get("resourceType") == "StructureDefinition":
                yield {"url": resource["url"], "elements": dict(map(_element, resource["snapshot"]["element"]))}
            elif resource.get("resourceType") == "CodeSystem":
                yield {"url": resource["url"], "codes": list(_codes(resource.get("concept", ())))}


def _element(element: Json) -> tuple[str, list[Any]]:
    types: list[str] = []
    for reference in element.get("type", ()):
        types += [reference["code"], *reference.get("targetProfile", ())]
    binding = element.get("binding")
    bound = [f"{binding['strength']} {binding.get('valueSet', 'null')}"] if binding else []
    return element["id"], [element["min"], element["max"], types, *bound]


def _codes(concepts: Iterable[Json]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _codes(concept.get("concept", ()))
