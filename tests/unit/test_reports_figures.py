"""When a computed figure and a printed one say the same, and what a spreadsheet gets."""

from __future__ import annotations

import pytest

from service.trial.reports.rendering import Figure, Row, Table, agree, figure


@pytest.mark.parametrize(
    ("computed", "published", "same"),
    [
        ("66.7%", "67%", True),
        ("66.7%", "66%", False),
        ("2 (66.7%)", "2 (67%)", True),
        ("3 (66.7%)", "2 (67%)", False),
        ("71.4%", "72%", False),
        ("DLBCL, bulky", "DLBCL bulky", False),
        ("177/1536/8.9", "177/1536/8.9", True),
        ("177/1536/8.90", "177/1536/8.9", False),
        (None, "PR", False),
        ("-", "-", True),
    ],
)
def test_figures_agree_at_the_printed_precision(computed: str | None, published: str, same: bool) -> None:
    assert agree(computed, published) is same


def test_figures_in_another_order_agree_only_where_order_means_nothing() -> None:
    assert agree("Methylprednisolone Vincristine", "Vincristine Methylprednisolone", ordered=False)
    assert not agree("ICE, R-CHOP", "R-CHOP, ICE")


def test_figure_gives_the_known_reason_only_for_the_known_figure() -> None:
    known = ("71.4%", "rounded up")
    assert figure("71.4%", "72%", known) == Figure("71.4%", "72%", True, "rounded up")
    edited = figure("57.1%", "72%", known)
    assert edited.differs
    assert edited.reason != "rounded up"
    assert figure("71.4%", None, known) == Figure("71.4%")


def test_csv_never_starts_a_formula() -> None:
    table = Table("1", "Title", "Patient", ("Disease",), (Row("=1+1", {"Disease": Figure("@SUM(A1)")}),))
    line = table.as_csv().splitlines()[1]
    assert line.startswith("'=1+1,'@SUM(A1)")


@pytest.mark.parametrize("harmless", ["-", "-5", "66.7%", "5x10⁶/kg"])
def test_csv_leaves_figures_as_they_are(harmless: str) -> None:
    table = Table("1", "Title", "Patient", ("Dose",), (Row("1", {"Dose": Figure(harmless)}),))
    assert table.as_csv().splitlines()[1] == f"1,{harmless},,"
