"""Table 1 and Table 2 of the paper, computed by querying the stored resources, beside the published figures.

Erdoğan et al., Turk J Hematol 2022;39:206-210, Tables 1 and 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from service.store.database import Database
from service.trial.reports import person as of
from service.trial.reports.cohort import CONCEPTS, Cohort, Person, read_cohort
from service.trial.reports.rates import MEASURES, percent, rates
from service.trial.reports.rendering import Figure, Row, Table, figure
from service.trial.reports.words import Published, Words, read_published, read_words, word_for

UNORDERED = frozenset({"Bridging therapy", "Toxicity"})  # the paper's order of these means nothing
COLUMNS_1: dict[str, Callable[[Person, Words], str | None]] = {
    "Age/gender": lambda one, words: of.age_and_sex(one),
    "Disease": lambda one, words: of.disease(one),
    "Pre-CAR-T treatments": lambda one, words: ", ".join(of.treatments(one)) or None,
    "Pre-CAR-T LDH/Ferritin/CRP": of.laboratory,
    "HSCT before CAR-T": lambda one, words: of.transplantation(one),
    "Bridging therapy": lambda one, words: _bridging(one),
    "CAR-T dose (total)": lambda one, words: of.dose(one),
    "Response": lambda one, words: " or ".join(of.response_words(one, words)) or None,
    "Toxicity": lambda one, words: _toxicity(one, words),
}


async def table1(database: Database, folder: Path) -> Table:
    """Patient characteristics: a row for every subject of the trial, in the order of their pseudonyms."""
    words, published = read_words(folder), read_published(folder)
    cohort = await read_cohort(database, words)
    rows = tuple(_row1(one, words, published) for one in cohort.people)
    shown = _rates(cohort, words, published)
    return Table("1", "Patient characteristics", "Patient", tuple(COLUMNS_1), rows, shown)


async def table2(database: Database, folder: Path) -> Table:
    """Clinical outcomes: a row for every diagnosis; subjects whose diagnosis is not known have a row of their own."""
    words, published = read_words(folder), read_published(folder)
    cohort = await read_cohort(database, words)
    people: dict[str, list[Person]] = {name: [] for name in words.diagnoses}
    for one in cohort.people:
        people.setdefault(of.diagnosis(one, words) or "unknown", []).append(one)
    rows = tuple(_row2(name, group, cohort, words, published) for name, group in people.items())
    columns = tuple(rows[0].figures)
    shown = _rates(cohort, words, published)
    return Table("2", "Clinical outcomes according to diagnosis", "Diagnosis", columns, rows, shown)


def _row1(one: Person, words: Words, published: Published) -> Row:
    match = words.subject_row.fullmatch(one.identifier)
    label = match[1] if match and match[1] in published.table1 else one.identifier
    computed = {column: compute(one, words) for column, compute in COLUMNS_1.items()}
    return Row(label, _figures("1", label, computed, published.table1.get(label), published), one.reference)


def _row2(name: str, people: Sequence[Person], cohort: Cohort, words: Words, published: Published) -> Row:
    treated = [one for one in people if of.treated(one)]
    known = [found for one in treated if (found := of.response(one, words))]
    bridged = [of.bridging(one) for one in treated]
    responders = sum(found in words.responders for found in known)
    computed = {
        "Number of patients": str(max(_enrolled(name, cohort, words), len(people))),
        "Number of treated patients": str(len(treated)),
        "Number of bridging therapies": _with_missing(sum(map(bool, bridged)), bridged.count(None)),
        "ORR": percent(responders, len(known)),
        "CR": _share(known.count("CR"), len(known)),
        "PR": _share(known.count("PR"), len(known)),
        "NR": _share(sum(found in words.non_responders for found in known), len(known)),
        "Toxicity": _toxicity_counts(treated, words),
    }
    missing = len(treated) - len(known)
    for column in ("ORR", "CR", "PR", "NR") if missing else ():
        computed[column] = f"{computed[column]}, {missing} missing"
    return Row(name, _figures("2", name, computed, published.table2.get(name), published))


def _figures(
    table: str, row: str, computed: dict[str, str | None] | dict[str, str], said: dict[str, str] | None, all_: Published
) -> dict[str, Figure]:
    known = {column: all_.known.get((table, row, column)) for column in computed}
    return {
        column: figure(value, said[column] if said else None, known[column], column not in UNORDERED)
        for column, value in computed.items()
    }


def _enrolled(name: str, cohort: Cohort, words: Words) -> int:
    """The number that the Group of enrolled patients with this diagnosis states; the paper names only those treated."""
    for group in cohort.groups:
        if of.has(group.get("code"), CONCEPTS, "cohort-enrolled"):
            for characteristic in group.get("characteristic", []):
                concept = characteristic.get("valueCodeableConcept", {})
                if name in (word_for(words.diagnoses, concept), concept.get("text")):
                    return int(group.get("quantity", 0))
    return 0


def _rates(cohort: Cohort, words: Words, published: Published) -> tuple[Row, ...]:
    rows = []
    for measure in MEASURES:
        rate = rates(cohort, words, published, measure)[0]
        score = percent(len(rate.numerator), len(rate.denominator))
        said = rate.published
        figures = {
            "numerator": figure(str(len(rate.numerator)), said["numerator"] or None, None),
            "denominator": figure(str(len(rate.denominator)), said["denominator"] or None, None),
            "score": figure(score, said["score"] or None, published.known.get(("rates", measure, ""))),
            "missing": Figure(str(rate.missing)),
        }
        rows.append(Row(measure, figures))
    return (*rows, _lines(cohort, published))


def _lines(cohort: Cohort, published: Published) -> Row:
    """Prior lines of those treated. The paper's median needs radiotherapy and HSCT to count, so the rule is said."""
    counts = [len(of.treatments(one)) + of.transplantations(one) for one in cohort.people if of.treated(one)]
    middle = f"{median(counts):g}" if counts else None
    said = published.rate("prior-lines-of-therapy", "")["score"]
    figures = {
        "median": figure(middle, said, published.known.get(("rates", "prior-lines-of-therapy", ""))),
        "lines": Figure(", ".join(map(str, counts)) or None),
        "counted by": Figure("every treatment before CAR-T counts as one line, radiotherapy and HSCT as well"),
    }
    return Row("prior-lines-of-therapy", figures)


def _bridging(one: Person) -> str | None:
    found = of.bridging(one)
    return None if found is None else " ".join(found) or "No"


def _toxicity(one: Person, words: Words) -> str | None:
    found = of.toxicities(one, words)
    if found is None:
        return None
    return " ".join(f"{term} Grade {grade}" if grade else term for term, grade in found.items()) or "No"


def _toxicity_counts(treated: Sequence[Person], words: Words) -> str:
    """`2 CRS (66.7%), 1 CRES (33.3%)`: subjects with each term, of those of whom it is known."""
    found = [of.toxicities(one, words) for one in treated]
    known = [terms for terms in found if terms is not None]
    order = dict.fromkeys([*words.toxicities, *(term for terms in known for term in terms)])
    counts = {term: sum(term in terms for terms in known) for term in order}
    parts = [f"{count} {term} ({percent(count, len(known))})" for term, count in counts.items() if count]
    return _with_missing(", ".join(parts) or "-", found.count(None))


def _share(part: int, whole: int) -> str:
    return f"{part} ({percent(part, whole)})" if part else "-"


def _with_missing(value: object, missing: int) -> str:
    return f"{value}, {missing} missing" if missing else str(value)
