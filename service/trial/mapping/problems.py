"""What a mapping finds wrong: one Issue per finding, named by file, row, column and rule, never by a cell's value."""

from __future__ import annotations

from service.errors import Issue

# Rule → R4 issue code (hl7.org/fhir/R4/valueset-issue-type.html). The rules are explained in docs/mapping.md.
RULES = {
    "mapping-file": "processing",
    "mapping-unknown-column": "structure",
    "mapping-missing-column": "required",
    "mapping-duplicate-column": "duplicate",
    "mapping-ragged-row": "structure",
    "mapping-required": "required",
    "mapping-duplicate-key": "duplicate",
    "mapping-type": "value",
    "mapping-range": "value",
    "mapping-pattern": "value",
    "mapping-code": "code-invalid",
    "mapping-unmapped-code": "code-invalid",
    "mapping-unknown-resource": "not-found",
    "mapping-unused-value": "incomplete",
    "mapping-not-reversible": "processing",
    "mapping-spec": "structure",
    "import-conflict": "conflict",
}


def problem(rule: str, file: str, text: str, *, row: int | None = None, column: str | None = None) -> Issue:
    """A finding in `file`; `row` is numbered as in a spreadsheet (the header is 1)."""
    place = file + (f", row {row}" if row is not None else "") + (f", column {column}" if column else "")
    return Issue(RULES[rule], f"{place}: {text}", None, rule)


def spec_problem(file: str, line: int | None, key: str, text: str) -> Issue:
    """A finding in a template or dictionary: file, line (1-based), dotted key."""
    place = file + (f", line {line}" if line else "") + (f", {key}" if key else "")
    return Issue(RULES["mapping-spec"], f"{place}: {text}", None, "mapping-spec")
