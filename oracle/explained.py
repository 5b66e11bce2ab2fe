"""The disagreements that are understood: `explained.toml`, and the page that is made of it.

An entry says for whom it speaks: `side` and `rule` (our rule, or the engine's message id; a regular expression that
must fit the whole), and may narrow that by `path` and `text` (regular expressions that must be found) and by `kind` of
the case; `both = true` is for what follows from an error of both: it fits where both call the resource invalid. The
first entry that fits counts. Each has a `reason`, the `clause` of the specification that decides it, and
`verdict`: who is right (`ours`, `engine`, or `open` where the specification leaves it to the implementation).
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from oracle.agreement import Disagreement

FILE = Path(__file__).parent / "explained.toml"
PAGE = Path(__file__).parents[1] / "docs" / "oracle.md"
BEGIN, END = "<!-- from oracle/explained.toml -->\n", "<!-- end -->\n"
VERDICTS = ("ours", "engine", "open")
_KEYS = frozenset({"name", "side", "rule", "path", "text", "kind", "both", "verdict", "reason", "clause"})


@dataclass(frozen=True)
class Explanation:
    """One entry."""

    name: str
    side: str
    rule: str
    verdict: str
    reason: str
    clause: str
    path: str = ""
    text: str = ""
    kind: str = ""
    both: bool = False

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], ...]:
        return re.compile(self.rule), re.compile(self.path), re.compile(self.text, re.DOTALL), re.compile(self.kind)

    def covers(self, found: Disagreement) -> bool:
        """Whether the disagreement is of this kind."""
        rule, path, text, kind = self._patterns
        return (
            self.side == found.side
            and (found.both or not self.both)
            and rule.fullmatch(found.rule) is not None
            and path.search(found.path) is not None
            and text.search(found.text) is not None
            and kind.match(found.case) is not None
        )


def load(file: Path = FILE) -> list[Explanation]:
    """The entries. Raises ValueError where one is not complete, not narrow or named twice."""
    entries = [_entry(source) for source in tomllib.loads(file.read_text())["explained"]]
    names = [entry.name for entry in entries]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"explained twice: {', '.join(sorted(twice))}")
    return entries


def _entry(source: dict[str, Any]) -> Explanation:
    name = source.get("name", "an entry without name")
    if not source.keys() <= _KEYS or not all(
        source.get(key) for key in ("name", "side", "verdict", "reason", "clause")
    ):
        raise ValueError(f"{name}: name, side, rule, verdict, reason and clause are needed; path, text and kind may be")
    if source["side"] not in ("ours", "engine") or source["verdict"] not in VERDICTS:
        raise ValueError(f"{name}: the side is ours or engine, the verdict {', '.join(VERDICTS)}")
    if "rule" not in source or (re.fullmatch(source["rule"], "") and not source.get("text")):
        raise ValueError(f"{name}: a message without an id is explained by its text")
    if re.fullmatch(source["rule"], "anything-at-all"):
        raise ValueError(f"{name}: the rule fits everything")
    if not source["clause"].startswith("http"):
        raise ValueError(f"{name}: the clause is an address")
    return Explanation(**source)


def table(entries: list[Explanation]) -> str:
    """The entries as a Markdown table."""
    rows = [
        f"| {entry.name} | {_who(entry)} | {entry.verdict} | {entry.reason} | [clause]({entry.clause}) |"
        for entry in entries
    ]
    return "\n".join(["| name | who says it | right is | why | decided by |", "|---|---|---|---|---|", *rows, ""])


def _who(entry: Explanation) -> str:
    said = f"`{entry.rule}`" if entry.rule else "a message without an id"
    narrowed = [f"{what} `{pattern}`" for what, pattern in (("path", entry.path), ("text", entry.text)) if pattern]
    narrowed += ["both refuse it"] if entry.both else []
    return ", ".join([f"{'we' if entry.side == 'ours' else 'the engine'}: {said}", *narrowed]).replace("|", "\\|")


def page_with(entries: list[Explanation]) -> str:
    """The documentation page with the table of these entries."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return before + BEGIN + table(entries) + END + rest.partition(END)[2]
