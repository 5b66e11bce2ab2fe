"""What the tables say of one subject, each figure from its stored resources; None or "missing" where there is none."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from service.trial.mapping.identity import BASE
from service.trial.reports.cohort import CONCEPTS, Person, Resource
from service.trial.reports.words import Words, printed, word_for

MISSING = "missing"
LINE = f"{BASE}/StructureDefinition/line-number"
GRADE = f"{BASE}/StructureDefinition/adverse-event-grade"
FOLLOWING = "http://hl7.org/fhir/StructureDefinition/condition-occurredFollowing"
SNOMED = "http://snomed.info/sct"
NCIT = "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"
HSCT = frozenset(
    {(SNOMED, "425843001"), (SNOMED, "425983008"), (SNOMED, "77465005"), (NCIT, "C46089"), (NCIT, "C16039")}
)
SEX = {"male": "M", "female": "F", "other": "other"}
NOBODY_KNOWS = 10_000  # a therapy without a line number stands last


def age_and_sex(person: Person) -> str | None:
    """`52/M`."""
    ages = [str(number(one)) for one in observations(person, "http://loinc.org", "30525-0") if number(one) is not None]
    sex = SEX.get(person.patient.get("gender", ""))
    if not ages and sex is None:
        return None
    return f"{' or '.join(dict.fromkeys(ages)) or MISSING}/{sex or MISSING}"


def condition(person: Person) -> Resource | None:
    """The disease that was treated: active, and no other transformed from it."""
    active = [one for one in person.of("Condition") if _active(one)]
    origins = {
        extension.get("valueReference", {}).get("reference")
        for one in active
        for extension in one.get("extension", [])
        if extension.get("url") == FOLLOWING
    }
    return next((one for one in active if f"Condition/{one['id']}" not in origins), None)


def disease(person: Person) -> str | None:
    """`DLBCL, bulky`."""
    found = printed((condition(person) or {}).get("code"))
    bulky = any(
        has(one.get("valueCodeableConcept"), SNOMED, "52101004")
        for one in observations(person, CONCEPTS, "bulky-disease")
    )
    return f"{found}, bulky" if found and bulky else found


def diagnosis(person: Person, words: Words) -> str | None:
    """ALL or NHL, by the code of the disease, or by its words where no public code fits."""
    code = (condition(person) or {}).get("code")
    return word_for(words.diagnoses, code)


def treatments(person: Person) -> list[str]:
    """The pre-CAR-T treatments in their order, as printed."""
    lines: list[tuple[int, str]] = []
    for one in person.of("MedicationStatement") + person.of("Procedure"):
        if one.get("status") in ("not-done", "not-taken") or not has(one.get("category"), CONCEPTS, "prior-therapy"):
            continue
        name = printed(one.get("medicationCodeableConcept") or one.get("code"))
        if name and (one["resourceType"] == "MedicationStatement" or not _transplantation(one)):
            lines.append((_line(one), name))
    return [name for _, name in sorted(lines)]


def laboratory(person: Person, words: Words) -> str | None:
    """`177/1536/8.9`: LDH, ferritin and CRP."""
    values = []
    for codes in words.analytes.values():
        found = [one for system, code in sorted(codes) for one in observations(person, system, code)]
        numbers = dict.fromkeys(str(number(one)) for one in found if number(one) is not None)
        values.append(" or ".join(numbers) or MISSING)
    return None if set(values) == {MISSING} else "/".join(values)


def transplantation(person: Person) -> str | None:
    """`Allogenic (DLI+) Post-HSCT Time: 19 months`, or `No`."""
    found = [one for one in person.of("Procedure") if codings(one.get("code")) & HSCT]
    done = [printed(one.get("code")) or MISSING for one in found if one.get("status") != "not-done"]
    if not done:
        return "No" if found else None
    lymphocytes = any(
        has(one.get("code"), CONCEPTS, "donor-lymphocyte-infusion") and one.get("status") != "not-done"
        for one in person.of("Procedure")
    )
    months = [str(number(one)) for one in observations(person, CONCEPTS, "months-from-hsct-to-infusion")]
    parts = [", ".join(done), "(DLI+)" if lymphocytes else ""]
    parts += [f"Post-HSCT Time: {' or '.join(dict.fromkeys(months))} months"] if months else []
    return " ".join(part for part in parts if part)


def transplantations(person: Person) -> int:
    """How many transplantations were done."""
    done = (one for one in person.of("Procedure") if one.get("status") != "not-done")
    return sum(bool(codings(one.get("code")) & HSCT) for one in done)


def bridging(person: Person) -> list[str] | None:
    """The bridging therapies as printed; [] where there was none, None where nothing is known."""
    found = [
        one
        for one in person.of("Procedure") + person.of("MedicationAdministration")
        if has(one.get("category"), CONCEPTS, "bridging")
    ]
    if not found:
        return None
    given = [one for one in found if one.get("status") != "not-done"]
    names = (printed(one.get("medicationCodeableConcept") or one.get("code")) or MISSING for one in given)
    return sorted(names)


def dose(person: Person) -> str | None:
    """`5x10⁶/kg`: the total dose with its unit."""
    found = []
    for one in person.of("MedicationAdministration"):
        quantity = one.get("dosage", {}).get("dose", {})
        cells = has(one.get("medicationCodeableConcept"), CONCEPTS, "car-t-product")
        if cells and "value" in quantity and one.get("status") != "not-done":
            unit = quantity.get("unit") or quantity.get("code")
            found.append(f"{quantity['value']}x{unit}" if unit else f"{quantity['value']} (unit {MISSING})")
    return " or ".join(dict.fromkeys(found)) or None


def treated(person: Person) -> bool:
    """Whether a CAR-T infusion is recorded as done or going on."""
    return any(
        has(one.get("code"), CONCEPTS, "car-t-infusion") and one.get("status") in ("completed", "in-progress")
        for one in person.of("Procedure")
    )


def response_words(person: Person, words: Words) -> list[str]:
    """The different responses that are recorded; more than one is a contradiction, and none of them counts."""
    found = observations(person, "http://loinc.org", "97509-4")
    named = (
        word_for(words.responses, one["valueCodeableConcept"]) or printed(one["valueCodeableConcept"])
        for one in found
        if "valueCodeableConcept" in one
    )
    return sorted({name for name in named if name})


def response(person: Person, words: Words) -> str | None:
    """The response, where exactly one is known."""
    found = response_words(person, words)
    return found[0] if len(found) == 1 else None


def toxicities(person: Person, words: Words) -> dict[str, str | None] | None:
    """Term → grade (None: not graded); {} where none is reported, None where nothing is known."""
    found: dict[str, str | None] = {}
    for event in person.of("AdverseEvent"):
        if event.get("actuality") == "actual":
            term = word_for(words.toxicities, event.get("event")) or printed(event.get("event")) or MISSING
            grades = [one.get("valueCodeableConcept") for one in event.get("extension", []) if one.get("url") == GRADE]
            found[term] = next((word_for(words.grades, one) for one in grades), None)
    for scale in ("crs-grade", "cres-grade", "icans-grade"):
        for one in observations(person, CONCEPTS, scale):
            grade = word_for(words.grades, one.get("valueCodeableConcept"))
            if grade:
                found[word_for(words.toxicities, one.get("code")) or scale] = grade
    denied = observations(person, CONCEPTS, "toxicity")
    known = found or any(has(one.get("valueCodeableConcept"), SNOMED, "2667000") for one in denied)
    return dict(sorted(found.items(), key=lambda item: _order(item[0], words))) if known else None


def observations(person: Person, system: str, code: str) -> list[Resource]:
    """The person's Observations with a code."""
    return [one for one in person.of("Observation") if has(one.get("code"), system, code)]


def number(observation: Resource) -> Decimal | int | None:
    """The value of an Observation's quantity."""
    return observation.get("valueQuantity", {}).get("value")


def codings(concept: Any) -> set[tuple[str, str]]:
    """(system, code) of a CodeableConcept, or of a list of them."""
    concepts: Iterable[Any] = concept if isinstance(concept, list) else [concept or {}]
    return {(one.get("system", ""), one.get("code", "")) for each in concepts for one in each.get("coding", [])}


def has(concept: Any, system: str, code: str) -> bool:
    """Whether a CodeableConcept, or one of a list, has the code."""
    return (system, code) in codings(concept)


def _active(resource: Resource) -> bool:
    status = {code for _, code in codings(resource.get("clinicalStatus"))}
    return bool(status & {"active", "recurrence", "relapse"})


def _transplantation(procedure: Resource) -> bool:
    found = codings(procedure.get("code"))
    return bool(found & HSCT) or (CONCEPTS, "donor-lymphocyte-infusion") in found


def _line(resource: Resource) -> int:
    lines = [one.get("valuePositiveInt") for one in resource.get("extension", []) if one.get("url") == LINE]
    return lines[0] if lines and isinstance(lines[0], int) else NOBODY_KNOWS


def _order(term: str, words: Words) -> int:
    known = list(words.toxicities)
    return known.index(term) if term in known else len(known)
