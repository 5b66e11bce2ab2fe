"""Asks both validators the same cases: `python -m oracle.compare [--short] [--page]`.

Exit code 1: a definition that is not that of R4, a disagreement that `explained.toml` does not explain, or (long form)
an explanation that no case needs. `--page` writes the table of docs/oracle.md anew, no more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from oracle import cases, core, engine, explained
from oracle.agreement import Disagreement, disagreements
from service.conformance.definitions import load
from service.conformance.validator import Validator
from service.errors import Issue

_SHOWN = 40


@dataclass
class Report:
    """What came out. A case agrees when nothing differs, is explained when all that differs is."""

    cases: Counter[str] = field(default_factory=Counter)
    agreed: Counter[str] = field(default_factory=Counter)
    invalid: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[Disagreement] = field(default_factory=list)
    understood: int = 0

    def add(
        self, case: cases.Case, ours: list[Issue], theirs: list[engine.Message], known: list[explained.Explanation]
    ) -> None:
        """Compare the verdicts on one case."""
        self.cases[case.kind] += 1
        self.invalid += any(issue.severity == "error" for issue in ours)
        found = disagreements(case.id, ours, theirs)
        if not found:
            self.agreed[case.kind] += 1
            return
        names = [next((entry.name for entry in known if entry.covers(one)), None) for one in found]
        self.explained.update({name for name in names if name is not None})
        self.unexplained += [one for one, name in zip(found, names, strict=True) if name is None]
        self.understood += all(name is not None for name in names)

    def text(self) -> str:
        """The figures, and the first of what is not explained."""
        total, agreed = self.cases.total(), self.agreed.total()
        open_cases = len({one.case for one in self.unexplained})
        lines = [
            f"{total} cases ({self.invalid} invalid by our validator): {agreed} agree, {self.understood} differ as "
            f"explained, {open_cases} differ unexplained",
            *(f"  {kind}: {count}, of which {self.agreed[kind]} agree" for kind, count in self.cases.items()),
            "explained, by cases:",
            *(f"  {count:5} {name}" for name, count in self.explained.most_common()),
        ]
        lines += [
            f"NOT EXPLAINED: {one.side} {one.rule} at {one.path} in {one.case}: {one.text}"
            for one in self.unexplained[:_SHOWN]
        ]
        return "\n".join(lines)


def run(amounts: cases.Amounts, known: list[explained.Explanation]) -> Report:
    """Build the cases, ask both, compare."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder)
        cases.definitions_into(own)
        definitions = load(None, own)
        asked = cases.build(definitions, amounts)
        theirs = engine.verdicts(asked, own)
        validator = Validator(definitions)
        report = Report()
        for case in asked:
            report.add(case, validator.check(case.resource, case.profiles), theirs[case.id], known)
    return report


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compare our validator with HL7's.")
    parser.add_argument("--short", action="store_true", help="a few hundred cases")
    parser.add_argument("--page", action="store_true", help="write the table of docs/oracle.md")
    options = parser.parse_args()
    known = explained.load()
    if options.page:
        explained.PAGE.write_text(explained.page_with(known))
        return 0
    tool = engine.missing()
    if tool is not None:
        print(f"The oracle needs {tool}.", file=sys.stderr)
        return 1
    start = time.monotonic()
    odd = list(core.differences())
    print("\n".join(f"NOT R4: {one}" for one in odd[:_SHOWN]) or "The definitions are those of R4.")
    report = run(cases.SHORT if options.short else cases.LONG, known)
    print(report.text())
    print(f"{time.monotonic() - start:.0f} s")
    idle = [] if options.short else [entry.name for entry in known if entry.name not in report.explained]
    if idle:
        print(f"Explanations that no case needs: {', '.join(idle)}")
    return 1 if odd or report.unexplained or idle else 0


if __name__ == "__main__":
    sys.exit(main())
