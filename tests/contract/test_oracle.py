"""The page of the oracle shows what `oracle/explained.toml` explains, and each explanation is whole and narrow."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle import explained
from oracle.agreement import Disagreement, disagreements, near
from oracle.engine import Message
from service.errors import Issue

WHOLE = """
[[explained]]
name = "x"
side = "engine"
rule = 'A'
verdict = "open"
reason = "y"
clause = "http://hl7.org/fhir/R4/"
"""


def test_page_shows_every_explanation() -> None:
    assert explained.PAGE.read_text() == explained.page_with(explained.load())


@pytest.mark.parametrize(
    "change",
    [
        ("rule = 'A'", "rule = '.*'"),
        ("rule = 'A'", "rule = ''"),
        ('reason = "y"', ""),
        ('"open"', '"perhaps"'),
        ("http:", ""),
    ],
)
def test_explanation_that_is_wide_or_not_whole_is_refused(tmp_path: Path, change: tuple[str, str]) -> None:
    file = tmp_path / "explained.toml"
    file.write_text(WHOLE)
    assert explained.load(file)
    file.write_text(WHOLE.replace(*change))
    with pytest.raises(ValueError):
        explained.load(file)


def test_explanation_for_what_follows_fits_only_where_both_refuse(tmp_path: Path) -> None:
    file = tmp_path / "explained.toml"
    file.write_text(WHOLE + "both = true\n")
    (entry,) = explained.load(file)
    assert entry.covers(Disagreement("k/1", "engine", "A", "Patient", "", True))
    assert not entry.covers(Disagreement("k/1", "engine", "A", "Patient", "", False))


@pytest.mark.parametrize(
    ("ours", "engine", "agree"),
    [
        ("Observation.valueQuantity.code", "Observation.value.ofType(Quantity).code", True),
        ("Bundle.entry[1].resource.gender", "Bundle.entry[1].resource/*Patient/7*/.gender", True),
        ("Patient.name[0]._given[1]", "Patient.name[0].given[1]", True),
        ("Patient.birthDate", "Patient", True),
        ("Patient.name[0].given", "Patient.name[1].given", False),
        ("Patient.contact[0].name.family", "Patient", False),
        ("Patient.active", "Patient.address", False),
    ],
)
def test_places_that_are_near(ours: str, engine: str, agree: bool) -> None:
    assert near(ours, engine) is agree


def test_errors_of_one_side_are_disagreements() -> None:
    error = Issue("value", "x", "Patient.gender", "format-code")
    there = Message("error", "Patient.gender", "A", "y")
    elsewhere = Message("error", "Patient.contact[0].gender", "B", "z")
    assert disagreements("c", [error], [there]) == []
    assert [(one.side, one.rule) for one in disagreements("c", [error], [there, elsewhere])] == [("engine", "B")]
    assert [(one.side, one.rule, one.both) for one in disagreements("c", [error], [])] == [
        ("ours", "format-code", False)
    ]
