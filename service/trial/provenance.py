"""The Provenance of an imported resource: rule, source cells, and the hash of what was written.

https://hl7.org/fhir/R4/provenance.html; profile trial-provenance with the extensions source-cell and content-hash.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from service.trial.mapping.engine import Mapped
from service.trial.mapping.identity import BASE, content_hash, id_of
from service.trial.mapping.readers import Records
from service.trial.mapping.template import Study

STRUCTURE = f"{BASE}/StructureDefinition"
RULES = f"{BASE}/mapping"
ACTIVITY = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
SOFTWARE = (f"{BASE}/identifier/software", "cart-fhir")
AGENT = {
    "type": {"coding": [{"system": PARTICIPANT, "code": "assembler"}]},
    "who": {
        "type": "Device",
        "identifier": {"system": SOFTWARE[0], "value": SOFTWARE[1]},
        "display": "cart-fhir record import",
    },
}


@dataclass(frozen=True, slots=True)
class Imported:
    """A stored resource read back with its Provenance; what `reverse` needs."""

    resource: dict[str, Any]
    template: str
    rule: str
    item: int | None
    citations: tuple[tuple[int, dict[str, str]], ...]


def provenance_id(study: str, name: str) -> str:
    """The id of the Provenance of the resource with this name."""
    return id_of(study, f"provenance.{name}")


def of_mapped(study: Study, one: Mapped, records: Records) -> dict[str, Any]:
    """The Provenance of a mapped resource, without `recorded`; `records` is the file that it came from."""
    policy = f"{RULES}/{study.name}/{one.template}/{one.rule}" + (f"#{one.item}" if one.item is not None else "")
    cells = dict.fromkeys((origin.row, origin.column) for origin in one.origins if origin.column)
    file = {"identifier": {"system": f"{BASE}/identifier/sha256", "value": records.sha256}, "display": records.file}
    table = study.templates[one.template].table.name
    entities = [_entity("source", file, table=table, row=str(row), column=str(column)) for row, column in cells]
    entities += [_entity("quotation", study.dictionary.source, **cited) for _, cited in one.citations if cited]
    return _provenance(provenance_id(study.name, one.name), one.resource, [policy], entities)


def of_derived(study: Study, resource: dict[str, Any], rule: str, sources: Iterable[str]) -> dict[str, Any]:
    """The Provenance of a resource that was derived from other resources (`Type/id`), such as a DetectedIssue."""
    entities = [{"role": "derivation", "what": {"reference": source}} for source in sources]
    name = f"{rule}/{resource['id']}"
    return _provenance(provenance_id(study.name, name), resource, [f"{RULES}/{study.name}/{rule}"], entities)


def stated_hash(provenance: dict[str, Any]) -> str | None:
    """The content hash that a Provenance states."""
    url = f"{STRUCTURE}/content-hash"
    return next((found["valueString"] for found in provenance.get("extension", []) if found.get("url") == url), None)


def rule_of(study: Study, provenance: dict[str, Any]) -> tuple[str, str, int | None] | None:
    """Template, rule and item that a Provenance states; None where it is of no rule of this study."""
    policy = next(iter(provenance.get("policy", [])), "")
    path, _, item = policy.removeprefix(f"{RULES}/{study.name}/").partition("#")
    template, _, rule = path.partition("/")
    if template not in study.templates or rule not in study.templates[template].rules:
        return None
    return template, rule, int(item) if item else None


def imported(rule: tuple[str, str, int | None], resource: dict[str, Any], provenance: dict[str, Any]) -> Imported:
    """A stored resource with its rule and the rows that its Provenance states."""
    rows: dict[int, None] = {}
    quoted: list[dict[str, str]] = []
    for entity in provenance.get("entity", []):
        cell = _cell(entity)
        if entity.get("role") == "source" and "row" in cell:
            rows[int(cell["row"])] = None
        elif entity.get("role") == "quotation":
            quoted.append(cell)
    # A resource that several rows share quotes each of them, or none of them can be told apart.
    citations = zip(rows, quoted if len(quoted) == len(rows) else [{}] * len(rows), strict=True)
    return Imported(resource, *rule, tuple(citations))


def _provenance(id_: str, target: dict[str, Any], policy: list[str], entities: list[dict[str, Any]]) -> dict[str, Any]:
    # It quotes the record, so it is as confidential as its target.
    security = target.get("meta", {}).get("security")
    return {
        "resourceType": "Provenance",
        "id": id_,
        "meta": {"profile": [f"{STRUCTURE}/trial-provenance"]} | ({"security": security} if security else {}),
        "extension": [{"url": f"{STRUCTURE}/content-hash", "valueString": content_hash(target)}],
        "target": [{"reference": f"{target['resourceType']}/{target['id']}"}],
        "policy": policy,
        "agent": [AGENT],
        "entity": entities,
    }


def _entity(role: str, what: dict[str, Any], **cell: str) -> dict[str, Any]:
    parts = [{"url": name, "valueString": value} for name, value in cell.items()]
    return {"extension": [{"url": f"{STRUCTURE}/source-cell", "extension": parts}], "role": role, "what": what}


def _cell(entity: dict[str, Any]) -> dict[str, str]:
    found = [part for part in entity.get("extension", []) if part.get("url") == f"{STRUCTURE}/source-cell"]
    return {part["url"]: part["valueString"] for cell in found for part in cell.get("extension", [])}
