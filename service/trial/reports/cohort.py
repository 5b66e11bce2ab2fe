"""The trial's subjects as the store has them: one person with all that is known of the figures of the tables.

Everything is asked of the database by FHIR search; no source file is read. What was entered in error does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.fhir import search
from service.store.database import Database
from service.trial.mapping.identity import BASE
from service.trial.quality import subject_of
from service.trial.reports.words import Words

Resource = dict[str, Any]
CONCEPTS = f"{BASE}/CodeSystem/trial-concept"
SUBJECTS = f"{BASE}/identifier/subject"
# Of these all that a subject has; Observations are many, so only those that a table shows.
TYPES = ("Condition", "Procedure", "MedicationStatement", "MedicationAdministration", "AdverseEvent")
OWN_CODES = "bulky-disease months-from-hsct-to-infusion toxicity crs-grade cres-grade icans-grade"
LOINC_CODES = "http://loinc.org|30525-0 http://loinc.org|97509-4"
STAGES = ("enrolled", "apheresed", "product-released", "treated")
CHUNK = 40  # subjects in one search: a query string of about 2,000 characters


@dataclass(slots=True)
class Person:
    """One subject: Patient reference, identifier (pseudonym), the Patient and its resources by type."""

    reference: str
    identifier: str
    patient: Resource
    resources: dict[str, list[Resource]] = field(default_factory=dict)

    def of(self, type_: str) -> list[Resource]:
        """The resources of a type."""
        return self.resources.get(type_, [])


@dataclass(frozen=True, slots=True)
class Cohort:
    """The subjects in the order of their identifiers, and the trial's Groups."""

    people: tuple[Person, ...]
    groups: tuple[Resource, ...]


async def read_cohort(database: Database, words: Words) -> Cohort:
    """The cohort of the study: every Patient with a ResearchSubject of it."""
    studies = await find(database, "ResearchStudy", ("identifier", words.study))
    references = ",".join(f"ResearchStudy/{one['id']}" for one in studies)
    subjects = await find(database, "ResearchSubject", ("study", references)) if studies else []
    patients = {subject_of(one) or "" for one in subjects}
    people: dict[str, Person] = {}
    for chunk in _chunks(sorted(reference for reference in patients if reference.startswith("Patient/"))):
        people.update(await _people(database, chunk, words))
    groups = await find(database, "Group", ("code", ",".join(f"{CONCEPTS}|cohort-{stage}" for stage in STAGES)))
    return Cohort(tuple(sorted(people.values(), key=lambda one: (one.identifier, one.reference))), tuple(groups))


async def find(database: Database, type_: str, *pairs: tuple[str, str]) -> list[Resource]:
    """Every match of a search that counts: entered in error is left out."""
    counted = [*pairs, ("_count", "1000")]
    query = search.parse(type_, counted, database.parameters, zone=database.zone, handling="strict")
    return [one async for one in database.resources(query) if counts(one)]


def counts(resource: Resource) -> bool:
    """Whether a resource counts: not entered in error, and not refuted."""
    verification = resource.get("verificationStatus", {}).get("coding", [])
    wrong = {"entered-in-error", "refuted"}
    return resource.get("status") not in ("entered-in-error", "cancelled") and not any(
        coding.get("code") in wrong for coding in verification
    )


async def _people(database: Database, references: Sequence[str], words: Words) -> dict[str, Person]:
    ids = ",".join(reference.partition("/")[2] for reference in references)
    patients = await find(database, "Patient", ("_id", ids))
    people = {f"Patient/{one['id']}": Person(f"Patient/{one['id']}", _pseudonym(one), one) for one in patients}
    subjects = ("subject", ",".join(references))
    for type_ in TYPES:
        _give(people, await find(database, type_, subjects))
    _give(people, await find(database, "Observation", subjects, ("code", _observed(words))))
    return people


def _observed(words: Words) -> str:
    own = [f"{CONCEPTS}|{code}" for code in OWN_CODES.split()]
    analytes = [f"{system}|{code}" for codes in words.analytes.values() for system, code in sorted(codes)]
    return ",".join([*own, *LOINC_CODES.split(), *analytes])


def _give(people: dict[str, Person], resources: Iterable[Resource]) -> None:
    for resource in resources:
        person = people.get(subject_of(resource) or "")
        if person is not None:
            person.resources.setdefault(resource["resourceType"], []).append(resource)


def _pseudonym(patient: Resource) -> str:
    identifiers = patient.get("identifier", [])
    own = (one.get("value") for one in identifiers if one.get("system") == SUBJECTS)
    return next((value for value in own if value), f"Patient/{patient['id']}")


def _chunks(references: Sequence[str]) -> Iterable[Sequence[str]]:
    return (references[start : start + CHUNK] for start in range(0, len(references), CHUNK))
