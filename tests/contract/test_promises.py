"""docs/promises.md names tests: each exists, and each row has one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def functions(path: Path) -> set[str]:
    """The names of the test functions of a file."""
    tree = ast.parse(path.read_text())
    defined = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return {node.name for node in defined if node.name.startswith("test_")}


def test_every_named_test_exists() -> None:
    named = NAMED.findall(PAGE)
    assert named
    missing = [f"{file}::{name}" for file, name in named if not (ROOT / file).is_file()]
    missing += [
        f"{file}::{name}" for file, name in named if (ROOT / file).is_file() and name not in functions(ROOT / file)
    ]
    assert missing == []


def test_every_promise_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and line != "| promise | test |"]
    assert rows
    assert [row for row in rows if not NAMED.search(row)] == []


def test_every_behaviour_is_promised() -> None:
    files = sorted((ROOT / "tests" / "promises").glob("test_behaviours*.py"))
    shown = {f"{path.relative_to(ROOT)}::{name}" for path in files for name in functions(path)}
    assert shown
    assert shown - {"::".join(pair) for pair in NAMED.findall(PAGE)} == set()


def test_readme_links_the_page() -> None:
    assert "(docs/promises.md)" in (ROOT / "README.md").read_text()
