"""Vendor strategies: those that ship load, and a mistake is named with file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import NotFound, Unprocessable
from service.settings import shipped
from service.sync.strategy import load_strategy, vendors

PLAIN = shipped("mappings", "ehr", "plain.yaml").read_text("utf-8")


def test_shipped_strategies_load_and_do_not_break_their_own_requirements() -> None:
    assert {"plain", "generic", "epic", "cerner"} <= set(vendors())
    for name in vendors():
        strategy = load_strategy(name)
        assert [strategy.lacks(search) for search in strategy.pull] == [None] * len(strategy.pull)


def test_requirements_and_scopes_are_those_of_the_vendor() -> None:
    epic = load_strategy("epic")
    assert "category, code" in (epic.lacks("Observation") or "")
    assert epic.lacks("Observation?code=http://loinc.org|2276-4") is None
    assert load_strategy("cerner").count == 200
    assert (epic.scope("Observation"), load_strategy("plain").scope("Observation")) == (
        "system/Observation.read",
        "system/Observation.rs",
    )


@pytest.mark.parametrize(
    ("old", "new", "key", "line"),
    [
        ("asked-by: type", "asked-by: everybody", "asked-by", 3),
        ("count: 500", "count: none", "count", 4),
        ("id-lists: true", "id-lists: 'true'", "id-lists", 5),
        ("works: true", "works: maybe", "last-updated.works", 6),
        ("sort: _lastUpdated, ", "", "last-updated.order", 6),
        ("requires: {}", "requires: {Observation: []}", "requires.Observation", 7),
        ("  - Encounter", "  - Patient", "pull.0", 9),
        ("  - Encounter", "  - Encounter?_count=5", "pull.0", 9),
        ("conflict: [412, 409]", "conflict: [500]", "conflict", 16),
        ("scopes: v2", "scopes: v2\nscope: v2", "scope", 19),
    ],
)
def test_mistake_is_named_with_file_line_and_key(tmp_path: Path, old: str, new: str, key: str, line: int) -> None:
    assert old in PLAIN
    (tmp_path / "plain.yaml").write_text(PLAIN.replace(old, new), "utf-8")
    with pytest.raises(Unprocessable) as caught:
        load_strategy("plain", tmp_path)
    assert [f"plain.yaml, line {line}, {key}" in issue.text for issue in caught.value.issues] == [True]


def test_unknown_vendor_is_not_found() -> None:
    with pytest.raises(NotFound, match="plain"):
        load_strategy("../plain")
