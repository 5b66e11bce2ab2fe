"""Response rate and toxicity rate: who counts, of how many, and what the paper prints.

A subject counts only where the answer is known; how many are missing is said beside the rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from service.trial.reports import person as of
from service.trial.reports.cohort import Cohort, Person
from service.trial.reports.words import Published, Words

Answer = Callable[[Person, Words], bool | None]
DIGITS = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Rate:
    """`numerator` and `denominator` are the subjects themselves; `initial` those that were treated.

    `published` are the figures of the paper: numerator, denominator, score as printed ("" where none is printed).
    """

    measure: str
    group: str
    initial: tuple[Person, ...]
    denominator: tuple[Person, ...]
    numerator: tuple[Person, ...]
    published: dict[str, str]

    @property
    def score(self) -> Decimal | None:
        """Numerator / denominator, at four decimals; None of nobody."""
        if not self.denominator:
            return None
        return (Decimal(len(self.numerator)) / len(self.denominator)).quantize(DIGITS, ROUND_HALF_UP)

    @property
    def missing(self) -> int:
        """Treated subjects whose answer is not known."""
        return len(self.initial) - len(self.denominator)


def responded(person: Person, words: Words) -> bool | None:
    """Complete or partial response; None where no response, or more than one, or one not evaluable is recorded."""
    found = of.response(person, words)
    if found in words.responders:
        return True
    return False if found in words.non_responders else None


def had_toxicity(person: Person, words: Words) -> bool | None:
    """Any CAR-T-related toxicity; None where neither one nor their absence is recorded."""
    found = of.toxicities(person, words)
    return None if found is None else bool(found)


MEASURES: dict[str, Answer] = {"response-rate": responded, "toxicity-rate": had_toxicity}


def rates(cohort: Cohort, words: Words, published: Published, measure: str) -> list[Rate]:
    """The rate of all treated subjects, then of each diagnosis."""
    treated = [one for one in cohort.people if of.treated(one)]
    groups = {"": treated} | {
        name: [one for one in treated if of.diagnosis(one, words) == name] for name in words.diagnoses
    }
    return [_rate(measure, name, people, words, published) for name, people in groups.items()]


def percent(part: int, whole: int) -> str:
    """`66.7%`, or `-` of nobody."""
    return f"{Decimal(part) * 100 / whole:.1f}%" if whole else "-"


def _rate(measure: str, group: str, people: Iterable[Person], words: Words, published: Published) -> Rate:
    answers = [(one, MEASURES[measure](one, words)) for one in people]
    return Rate(
        measure,
        group,
        tuple(one for one, _ in answers),
        tuple(one for one, answer in answers if answer is not None),
        tuple(one for one, answer in answers if answer),
        published.rate(measure, group),
    )
