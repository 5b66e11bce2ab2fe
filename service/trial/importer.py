"""A study's records, and the service's own definitions, through the write door.

An import is one plan. What the last import wrote is known from the content hash of each Provenance, so importing again
writes nothing, and what somebody edited since is never taken back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.errors import Conflict, Gone, Issue, NotFound, Unprocessable
from service.fhir.json import decode
from service.fhir.operations import Plan, Stored, Update
from service.store.database import Database
from service.trial import provenance, quality
from service.trial.exporter import provenances
from service.trial.flags import Flags
from service.trial.mapping.engine import Mapped, map_records, read_records
from service.trial.mapping.identity import content_hash
from service.trial.mapping.problems import problem
from service.trial.mapping.spec import load_study
from service.trial.mapping.template import Study

Progress = Callable[[str], None]
# Those with a `url` that are served as they are; an ImplementationGuide refers to examples that are not stored.
CONFORMANCE = frozenset(
    {"StructureDefinition", "ValueSet", "CodeSystem", "ConceptMap", "SearchParameter", "Measure", "Questionnaire"}
)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. Counts are of resources, their Provenances not counted.

    `left` are resources of an earlier import that the
    records no longer make (they stay); `types` counts all resources of the records by type.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    left: tuple[str, ...] = ()
    types: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A resource to be stored: its Provenance (without `recorded`) and its place in the records."""

    resource: dict[str, Any]
    provenance: dict[str, Any]
    place: str

    @property
    def reference(self) -> str:
        """`Type/id`."""
        return f"{self.resource['resourceType']}/{self.resource['id']}"


def read_study(definitions: Definitions, folder: Path) -> tuple[Study, list[Mapped], list[Candidate]]:
    """The study in `folder`, what its records map to, and all that is to be stored. Raises Unprocessable."""
    maps = [resource for resource in definitions.own_resources() if resource["resourceType"] == "ConceptMap"]
    study = load_study(folder, maps)
    records = read_records(study)
    mapped = map_records(study, records)
    candidates = []
    for one in mapped:
        table = study.templates[one.template].table
        place = f"{table.file}, row {', '.join(map(str, one.rows))}, rule {one.template}.{one.rule}"
        candidates.append(Candidate(one.resource, provenance.of_mapped(study, one, records[table.name]), place))
    return study, mapped, candidates


async def import_study(
    database: Database,
    definitions: Definitions,
    validator: Validator,
    folder: Path,
    *,
    check: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Imports the study in `folder` as one plan; with `check` everything but the write.

    Raises Unprocessable (records, templates, profiles) or Conflict (edited since), with all findings.
    """
    tell = progress or (lambda text: None)
    study, mapped, candidates = await asyncio.to_thread(read_study, definitions, folder)
    tell(f"{len(candidates)} resources from {len(study.dictionary.tables)} tables of {study.name}")
    candidates += [_derived(study, issue) for issue in quality.examine([one.resource for one in mapped], folder)]
    await asyncio.to_thread(_validate, validator, candidates)
    tell("all resources are valid")
    before = {found["id"]: found for found in await provenances(database)}
    updates, counts = await _compare(database, candidates, before)
    if updates and not check:
        await database.write(Plan(tuple(updates), beside=Flags()))
        tell(f"{counts['created']} created, {counts['updated']} updated")
    left = _left(study, before, candidates)
    types = Counter(one.resource["resourceType"] for one in candidates)
    return ImportReport(counts["created"], counts["updated"], counts["unchanged"], left, dict(types))


async def import_conformance(database: Database, definitions: Definitions) -> ImportReport:
    """Stores the service's own definitions, so that they can be read and searched like any resource."""
    own = [resource for resource in definitions.own_resources() if resource["resourceType"] in CONFORMANCE]
    applied = await database.write(Plan(tuple(map(Update, own))))
    counts = Counter(one.outcome for one in applied)
    types = Counter(resource["resourceType"] for resource in own)
    return ImportReport(counts["created"], counts["updated"], counts["unchanged"], (), dict(types))


def _derived(study: Study, resource: dict[str, Any]) -> Candidate:
    sources = [reference["reference"] for reference in resource.get("implicated", [])]
    return Candidate(resource, provenance.of_derived(study, resource, "quality", sources), "quality rules")


def _validate(validator: Validator, candidates: Iterable[Candidate]) -> None:
    recorded = {"recorded": _now()}
    issues = []
    for one in candidates:
        for resource in (one.resource, {**one.provenance, **recorded}):
            for issue in validator.check(resource):
                if issue.severity in ("error", "fatal"):
                    text = f"{one.place}: {issue.text}"
                    issues.append(Issue(issue.code, text, issue.expression, issue.rule))
    if issues:
        raise Unprocessable(issues=issues)


async def _compare(
    database: Database, candidates: Sequence[Candidate], before: dict[str, dict[str, Any]]
) -> tuple[list[Update], Counter[str]]:
    """The operations that make the store hold `candidates`. Raises Conflict with all that was edited since."""
    updates: list[Update] = []
    issues: list[Issue] = []
    counts: Counter[str] = Counter()
    for one in candidates:
        last = before.get(one.provenance["id"])
        written = provenance.stated_hash(last) if last else None
        if written == provenance.stated_hash(one.provenance):
            counts["unchanged"] += 1
            continue
        stored = await _stored(database, one)
        if _was_edited(stored, written, provenance.stated_hash(one.provenance)):
            text = f"{one.reference} was edited or deleted since it was imported, and the record has changed as well"
            issues.append(problem("import-conflict", one.place, text))
            continue
        counts["updated" if written else "created"] += 1
        updates.append(Update(one.resource, if_match=stored.version if stored else None))
        updates.append(Update(_recorded(one.provenance, "UPDATE" if written else "CREATE")))
    if issues:
        raise Conflict(issues=issues)
    return updates, counts


async def _stored(database: Database, one: Candidate) -> Stored | None:
    try:
        return await database.read(one.resource["resourceType"], one.resource["id"])
    except (NotFound, Gone):
        return None


def _was_edited(stored: Stored | None, written: str | None, new: str | None) -> bool:
    """Whether what is stored is not what the last import wrote (`written`: its hash, None: unknown)."""
    if stored is None or stored.content is None:
        return written is not None
    return content_hash(decode(stored.content)) != (written or new)


def _recorded(content: dict[str, Any], operation: str) -> dict[str, Any]:
    activity = {"coding": [{"system": provenance.ACTIVITY, "code": operation}], "text": "record import"}
    return {**content, "recorded": _now(), "activity": activity}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _left(study: Study, before: dict[str, dict[str, Any]], candidates: Iterable[Candidate]) -> tuple[str, ...]:
    now = {one.provenance["id"] for one in candidates}
    prefix = f"{provenance.RULES}/{study.name}/"
    return tuple(
        found["target"][0]["reference"]
        for id_, found in before.items()
        if id_ not in now and found.get("policy", [""])[0].startswith(prefix)
    )
