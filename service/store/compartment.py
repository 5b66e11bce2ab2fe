"""A patient's compartment, page by page: the patient, what belongs to them, and what that refers to.

Membership is by the references that R4's CompartmentDefinition names. What a page's resources refer to comes along
when its type belongs to no patient (a practitioner, an organisation, a product); another patient's data never does.
Source: https://hl7.org/fhir/R4/compartmentdefinition-patient.html and patient-operation-everything.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.fhir.dates import EARLIEST, LATEST
from service.fhir.operations import SearchPage, Stored
from service.fhir.parameters import SearchParameters
from service.store.index import parameter_number
from service.store.reading import Reader

_ROWS = "r.key, r.type, r.id, v.version, v.updated, v.method, v.content"

# The date of care by type, where its parameter is not called `date`.
CARE_DATES = {
    "Condition": "onset-date", "MedicationAdministration": "effective-time", "MedicationStatement": "effective",
    "MedicationRequest": "authoredon", "MedicationDispense": "whenhandedover", "ServiceRequest": "authored",
    "Specimen": "collected", "DetectedIssue": "identified", "QuestionnaireResponse": "authored", "Goal": "start-date",
    "DeviceRequest": "event-date", "Communication": "sent", "ImagingStudy": "started", "Media": "created",
    "Claim": "created", "ClaimResponse": "created", "NutritionOrder": "datetime", "Account": "period",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a compartment: of these types (None: all), changed `since` (microseconds), with care in
    [start, end) (microseconds; None: open). What has no date of care is in."""

    types: frozenset[str] | None = None
    since: int | None = None
    start: int | None = None
    end: int | None = None


class Compartment:
    """The patient's compartment as numbers of the index, worked out once."""

    def __init__(
        self, members: Mapping[str, Sequence[str]], parameters: SearchParameters, numbers: Mapping[str, int]
    ) -> None:
        self.types = {numbers[type_] for type_ in members}
        self.numbers = numbers
        self._members = {type_: [parameter_number(type_, code) for code in codes] for type_, codes in members.items()}
        dates = ((type_, CARE_DATES.get(type_, "date")) for type_ in members)
        self._dates = [
            parameter_number(type_, code)
            for type_, code in dates
            if (parameter := parameters.get(type_, code)) is not None and parameter.type == "date"
        ]

    def page(self, reader: Reader, id_: str, part: Part, count: int, cursor: int | None) -> SearchPage:
        """One page, the patient first; `cursor` is the `next` of the page before. Raises NotFound or Gone."""
        patient = reader.current("Patient", id_)
        ((key,),) = reader.connection.rows(
            "SELECT key FROM resource WHERE type = ? AND id = ?", (self.numbers["Patient"], id_)
        )
        first = cursor is None and (part.types is None or "Patient" in part.types)
        rows = self._rows(reader, key, part, count + 1 - first, -1 if cursor is None else cursor)
        shown = rows[: count - first] if count > first else []
        matches = tuple(_stored(reader, row) for row in shown)
        following = None
        if len(rows) > len(shown):
            following = (shown[-1][0] if shown else (-1 if cursor is None else cursor),)
        included = self._referred(reader, [key, *(row[0] for row in shown)], part)
        return SearchPage((patient, *matches) if first else matches, included, None, following)

    def _rows(self, reader: Reader, key: int, part: Part, limit: int, after: int) -> list[Sequence[Any]]:
        members = [
            number
            for type_, numbers in self._members.items()
            if part.types is None or type_ in part.types
            for number in numbers
        ]
        if not members:
            return []
        where = [f"i.target = ? AND i.key <> ? AND i.key > ? AND i.param IN ({_marks(members)}) AND NOT r.deleted"]
        values: list[Any] = [key, key, after, *members]
        if part.since is not None:
            where.append("r.updated >= ?")
            values.append(part.since)
        if part.start is not None or part.end is not None:
            care = f"SELECT 1 FROM date_index d WHERE d.key = i.key AND d.param IN ({_marks(self._dates)})"
            where.append(f"(NOT EXISTS ({care}) OR EXISTS ({care} AND d.high > ? AND d.low < ?))")
            start = EARLIEST if part.start is None else part.start
            values += [*self._dates, *self._dates, start, LATEST if part.end is None else part.end]
        keys = (
            "SELECT DISTINCT i.key FROM reference_index i JOIN resource r ON r.key = i.key "
            f"WHERE {' AND '.join(where)} ORDER BY i.key LIMIT ?"
        )
        return reader.connection.rows(
            f"SELECT {_ROWS} FROM ({keys}) m JOIN resource r ON r.key = m.key "
            "JOIN version v ON v.seq = r.seq ORDER BY m.key",
            (*values, limit),
        )

    def _referred(self, reader: Reader, keys: Iterable[int], part: Part) -> tuple[Stored, ...]:
        others = [number for type_, number in self.numbers.items() if self._may_come(type_, number, part)]
        targets = reader.connection.among("SELECT DISTINCT target FROM reference_index WHERE key IN", (), keys)
        text = (
            f"SELECT {_ROWS} FROM resource r JOIN version v ON v.seq = r.seq "
            f"WHERE NOT r.deleted AND r.type IN ({_marks(others)}) AND r.key IN"
        )
        if not others:
            return ()
        rows = reader.connection.among(text, others, {target for (target,) in targets})
        return tuple(_stored(reader, row) for row in sorted(rows, key=lambda row: row[0]))

    def _may_come(self, type_: str, number: int, part: Part) -> bool:
        return number not in self.types and type_ != "Patient" and (part.types is None or type_ in part.types)


def _stored(reader: Reader, row: Sequence[Any]) -> Stored:
    _, number, id_, version, updated, method, content = row
    return Stored(reader.statements.types[number], id_, version, updated, bytes(content), method)


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))
