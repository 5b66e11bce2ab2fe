"""docs/simulators.md says what the simulators have."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from service.simulators.ehr import HOSTILE, PLAIN, Ehr, Quirks
from service.simulators.registry import Behaviour, Registry

PAGE = (Path(__file__).parents[2] / "docs" / "simulators.md").read_text()


def test_fields_are_those_of_the_page() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE)
    assert rows == [field.name for kind in (Quirks, Behaviour) for field in fields(kind)]


def test_controls_are_on_the_page() -> None:
    named = set(re.findall(r"/control/([a-z]+)", PAGE))
    assert named == set(Ehr().controls) | set(Registry().controls)


def test_hostile_turns_on_every_quirk_but_those_that_no_one_could_end() -> None:
    same = {field.name for field in fields(Quirks) if getattr(HOSTILE, field.name) == getattr(PLAIN, field.name)}
    assert same == {"withholds", "token_seconds", "retry_after", "slow_seconds"}
