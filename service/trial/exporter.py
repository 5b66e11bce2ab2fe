"""Stored resources → the rows that they were imported from, with what was edited since."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from service.conformance.definitions import Definitions
from service.errors import Gone, NotFound
from service.fhir import search
from service.fhir.json import decode
from service.store.database import Database
from service.trial import provenance
from service.trial.mapping.dictionary import Table
from service.trial.mapping.readers import Row
from service.trial.mapping.reverse import rows_of
from service.trial.mapping.spec import load_study


async def export_rows(database: Database, definitions: Definitions, folder: Path) -> dict[str, list[Row]]:
    """The rows of every table of the study in `folder`, as the stored resources say them; its records are not read.

    A row whose resources were all deleted is left out. Raises Unprocessable where a resource was edited so that it no
    longer says what a cell is, naming file and row.
    """
    maps = [resource for resource in definitions.own_resources() if resource["resourceType"] == "ConceptMap"]
    study = load_study(folder, maps)
    made = []
    for stated in await provenances(database):
        rule = provenance.rule_of(study, stated)
        if rule is None:
            continue
        try:
            stored = await database.read(*stated["target"][0]["reference"].split("/"))
        except (NotFound, Gone):
            continue
        made.append(provenance.imported(rule, decode(stored.content or b"{}"), stated))
    return rows_of(study, made)


async def provenances(database: Database) -> list[dict]:
    """The Provenances of all that was ever imported."""
    pairs = [("agent:identifier", "|".join(provenance.SOFTWARE)), ("_count", "1000")]
    query = search.parse("Provenance", pairs, database.parameters, zone=database.zone, handling="strict")
    return [found async for found in database.resources(query)]


def as_csv(table: Table, rows: Iterable[Row]) -> str:
    """Rows as the CSV that they are read from."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table.columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.cells for row in rows)
    return text.getvalue()
