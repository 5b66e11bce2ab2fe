"""Every hole is a column: rows → resources → the same rows."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapping_study import PERSON, VISIT, map_folder, person, visit, write_study

from service.fhir.json import decode, encode
from service.trial.mapping.engine import Mapped, read_records
from service.trial.mapping.reverse import rows_of

WORD = st.text("abcxyzÇğıİ0179 _/#%.{}'\"-", min_size=1, max_size=8).map(str.strip).filter(bool)
MAYBE_WORD = st.one_of(st.just(""), WORD)
INTEGER = st.integers(0, 120).map(str)
DECIMAL = st.one_of(st.integers(0, 20).map(str), st.decimals(0, 20, places=3).map(str), st.just("1.10"))
DATE = st.sampled_from(["", "2001", "2001-02", "2001-02-03", "2001-02-03T04:05:06+03:00"])
COMMA = st.one_of(st.just(""), DECIMAL.map(lambda text: text.replace(".", ",")))

PEOPLE = {
    "sex": st.sampled_from("MF"),
    "born": DATE,
    "bulky": st.sampled_from(["", "yes", "no"]),
    "alive": st.sampled_from(["", "y", "n"]),
    "age": st.one_of(st.just(""), INTEGER),
    "ferritin": st.one_of(st.just(""), DECIMAL),
    "dose": st.one_of(st.just(""), DECIMAL),
    "disease": st.sampled_from(["", "ALL", "DHL", "NHL"]),
    "therapies": st.lists(st.sampled_from(["CHOP", "ICE", "RT"]), max_size=4).map(";".join),
    "names": st.lists(WORD, max_size=3).map(",".join),
    "lot": MAYBE_WORD,
    "note": MAYBE_WORD,
    "passage": MAYBE_WORD,
    "page": MAYBE_WORD,
}
VISITS = {"test": st.just("crp"), "value": COMMA, "place": WORD}


@st.composite
def studies(draw: st.DrawFn) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Rows of both tables with unique keys, whose references are to rows that exist."""
    subjects = draw(st.lists(WORD, min_size=1, max_size=4, unique=True))
    people = [person(subject, **{name: draw(cell) for name, cell in PEOPLE.items()}) for subject in subjects]
    keys = draw(st.lists(st.tuples(st.sampled_from(subjects), INTEGER), max_size=4, unique=True))
    visits = [visit(subject, visit=number, **{n: draw(cell) for n, cell in VISITS.items()}) for subject, number in keys]
    return people, visits


def plain(rows: list) -> list[dict[str, str]]:
    """The cells of rows."""
    return [row.cells for row in rows]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(studies())
def test_reverse_gives_back_every_row(rows: tuple[list[dict[str, str]], list[dict[str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        study, mapped = map_folder(write_study(Path(folder), *rows))
        records = read_records(study)
        back = rows_of(study, mapped)
    for table in ("people", "visits"):
        assert back[table] == list(records[table].rows)
    assert plain(back["people"]) == rows[0]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(studies())
def test_reverse_works_on_what_was_encoded_and_decoded(rows: tuple[list, list]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        study, mapped = map_folder(write_study(Path(folder), *rows))
    sent = [
        Mapped(decode(encode(one.resource)), one.name, one.template, one.rule, one.item, (), one.citations)
        for one in mapped
    ]
    assert rows_of(study, sent) == rows_of(study, mapped)


def test_reverse_covers_every_column_of_the_study_of_this_test() -> None:
    """The property above varies every column; a new column of the study must be added to it."""
    assert set(PERSON) - {"internal"} == set(PEOPLE)
    assert set(VISIT) - {"visit", "about"} == set(VISITS)


def test_reverse_gives_back_references_by_cell(tmp_path: Path) -> None:
    people = [person("a/b#1", therapies="CHOP;ICE"), person("c%d")]
    about = ["people.therapy/a%2Fb%231#2", "visits.visit/c%25d/1"]
    visits = [visit("a/b#1", about=about[0]), visit("c%d", about=about[1])]
    study, mapped = map_folder(write_study(tmp_path, people, visits))
    assert plain(rows_of(study, mapped)["visits"]) == visits
