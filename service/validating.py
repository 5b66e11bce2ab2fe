"""`cart-fhir validate`: files are checked as the server would check them, without a server or a database.

One resource is read at a time, so that a file of any number of lines needs no more memory than its longest one.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from service.api.patch import patch_reader
from service.api.server import parse_search
from service.conformance.definitions import Definitions
from service.conformance.search_terms import SearchTerms
from service.conformance.validator import Validator
from service.conformance.xml import from_xml
from service.conformance.xml import positions as xml_positions
from service.errors import BadRequest, CartFhirError, Issue
from service.fhir import bundle
from service.fhir import positions as json_positions
from service.fhir.conditions import Query, Scope
from service.fhir.json import decode, encode
from service.fhir.operations import Resource
from service.fhir.positions import steps
from service.settings import Settings

STDIN = "-"
LINES = frozenset({".ndjson", ".jsonl"})
KNOWN = frozenset({".json", ".xml", *LINES})
_NOT_SHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Item:
    """One resource as it was found: the file, the number of its first line, and its bytes."""

    file: str
    line: int
    body: bytes
    xml: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found in one resource; lines of the issues are those of the file."""

    file: str
    line: int
    issues: tuple[Issue, ...]

    @property
    def valid(self) -> bool:
        """Whether the server would take it."""
        return not any(issue.severity == "error" for issue in self.issues)


class Checker:
    """Checks what files hold, by R4, by the profiles that apply of themselves and by `profiles`."""

    def __init__(self, settings: Settings, definitions: Definitions, profiles: Iterable[str] = ()) -> None:
        """Raises CartFhirError for a profile that is not known."""
        self._settings, self._definitions, self._profiles = settings, definitions, tuple(profiles)
        self._validator, self._terms = Validator(definitions), SearchTerms(definitions)
        self._patches = patch_reader(definitions, settings.max_depth)
        for url in self._profiles:
            if definitions.structure(url) is None:
                raise CartFhirError(f"The profile {url} is not known")

    def judge(self, item: Item) -> Judged:
        """All findings of the item, with their places in the file. Never raises for what it holds."""
        try:
            found = self._findings(self._read(item))
        except CartFhirError as error:
            found = list(error.issues)
        return Judged(item.file, item.line, tuple(_placed(item, found)))

    def _read(self, item: Item) -> Resource:
        if item.xml:
            return from_xml(item.body, self._definitions, self._settings.max_depth)
        value = decode(item.body, self._settings.max_depth)
        if not isinstance(value, dict):
            raise BadRequest("A resource is a JSON object", rule="not-an-object")
        return value

    def _findings(self, resource: Resource) -> list[Issue]:
        if resource.get("resourceType") != "Bundle" or resource.get("type") not in ("batch", "transaction"):
            return self._validator.check(resource, self._profiles)
        found: list[Issue] = []
        for entry in bundle.parse(resource, self._query, "", self._settings.max_bundle_entries, self._patches):
            if entry.error is not None:
                found += entry.error.issues
            if entry.resource is not None and entry.forward is None:
                sent = {key: value for key, value in entry.resource.items() if key != "id" or entry.method != "POST"}
                checked = self._validator.check(sent, self._profiles if entry.method != "PATCH" else ())
                found += [issue.under(f"{entry.place}.resource") for issue in checked]
        return found

    def _query(self, scope: Scope, pairs: list[tuple[str, str]], strict: bool) -> Query:
        handling = "strict" if strict else "lenient"
        return parse_search(self._settings, self._definitions, scope, pairs, handling, self._terms)


def files(name: str) -> Iterator[str]:
    """The file, all files below a folder that may hold resources, or `-`. Raises OSError, CartFhirError."""
    if name == STDIN or not Path(name).is_dir():
        yield name
        return
    found = False
    for file in _below(Path(name)):
        if file.suffix.lower() in KNOWN:
            found = True
            yield str(file)
    if not found:
        raise CartFhirError(f"{as_text(name)} has no file that ends in {', '.join(sorted(KNOWN))}")


def _below(folder: Path) -> Iterator[Path]:
    """The files below the folder, in the order of their names. Raises OSError for a folder that cannot be read."""

    def fail(error: OSError) -> None:
        raise error

    for root, folders, names in os.walk(folder, onerror=fail):
        folders.sort()
        yield from (Path(root) / name for name in sorted(names))


def items(file: str) -> Iterator[Item]:
    """The resources in one file, or of standard input (`-`). Raises OSError."""
    if file == STDIN:
        yield from _of_stream("(stdin)", sys.stdin.buffer)
        return
    with Path(file).open("rb") as stream:
        yield from _of_file(Path(file), stream)


def _of_file(path: Path, stream: BinaryIO) -> Iterator[Item]:
    suffix = path.suffix.lower()
    if suffix in LINES:
        yield from _of_lines(str(path), enumerate(stream, 1))
    elif suffix in KNOWN:
        yield Item(str(path), 1, stream.read(), suffix == ".xml")
    else:
        yield from _of_stream(str(path), stream)


def _of_stream(name: str, stream: BinaryIO) -> Iterator[Item]:
    """What its name does not tell: XML by its first character, NDJSON where the first line is a whole resource."""
    before, first = 0, b""
    for first in stream:
        if first.strip():
            break
        before += 1
    if first.lstrip(b"\xef\xbb\xbf \t").startswith(b"<"):
        yield Item(name, before + 1, first + stream.read(), True)
    elif _is_whole(first):
        yield from _of_lines(name, enumerate(_chain(first, stream), before + 1))
    else:
        yield Item(name, before + 1, first + stream.read())


def _chain(first: bytes, stream: BinaryIO) -> Iterator[bytes]:
    yield first
    yield from stream


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(decode(line, 10_000), dict)
    except CartFhirError:
        return False


def _of_lines(name: str, lines: Iterable[tuple[int, bytes]]) -> Iterator[Item]:
    return (Item(name, number, line.rstrip(b"\r\n")) for number, line in lines if line.strip())


def _placed(item: Item, found: list[Issue]) -> Iterator[Issue]:
    """The issues with line and column in the file; without a place of their own they stand where the resource does."""
    wanted = {steps(issue.expression) for issue in found if issue.expression and not issue.line}
    look = xml_positions.positions if item.xml else json_positions.positions
    known = look(item.body, wanted) if wanted else {}
    for issue in found:
        place = (issue.line, issue.column or 1) if issue.line else known.get(steps(issue.expression or ""), (1, 1))
        yield replace(issue, line=place[0] + item.line - 1, column=place[1])


def report(judged: Judged, form: str, errors_only: bool) -> Iterator[str]:
    """What is printed of one resource; `form` is text, or json for one OperationOutcome."""
    if form == "text":
        yield from _as_lines(judged, errors_only)
    elif (outcome := _as_outcome(judged, errors_only)) is not None:
        yield encode(outcome).decode()


def _as_lines(judged: Judged, errors_only: bool) -> Iterator[str]:
    """The findings as text: `file:line:column: severity element: text [rule] source`."""
    for issue in judged.issues:
        if issue.severity == "error" or not errors_only:
            where = f"{as_text(judged.file)}:{issue.line}:{issue.column}"
            rule = f" [{issue.rule}]" if issue.rule else ""
            source = f" {issue.source}" if issue.source else ""
            yield f"{where}: {issue.severity} {issue.expression or '-'}: {as_text(issue.text)}{rule}{source}"


def _as_outcome(judged: Judged, errors_only: bool) -> dict[str, object] | None:
    """The findings as an OperationOutcome, each with its place in the file; None where there is nothing to say."""
    told = [issue for issue in judged.issues if issue.severity == "error" or not errors_only]
    if errors_only and not told:
        return None
    fine = Issue("informational", "No errors were found", None, "valid", "information", judged.line, 1)
    if judged.valid:
        told.insert(0, fine)
    issues = [{**one.as_fhir(), "location": [f"{judged.file}:{one.line}:{one.column}"]} for one in told]
    return {"resourceType": "OperationOutcome", "issue": issues}


def as_text(text: str) -> str:
    """The text without characters that a terminal would obey."""
    return _NOT_SHOWN.sub("?", text)


@dataclass(slots=True)
class Count:
    """What was seen so far."""

    resources: int = 0
    invalid: int = 0
    errors: int = 0
    warnings: int = 0
    unread: int = 0

    def add(self, judged: Judged) -> None:
        """Counts one resource."""
        self.resources += 1
        self.invalid += not judged.valid
        self.errors += sum(issue.severity == "error" for issue in judged.issues)
        self.warnings += sum(issue.severity == "warning" for issue in judged.issues)

    @contextmanager
    def reading(self, name: str, complain: Callable[[str], None]) -> Iterator[None]:
        """A file that cannot be read is named, and counted; the next ones are still read."""
        try:
            yield
        except OSError as error:
            self.unread += 1
            complain(f"{as_text(name)} cannot be read: {error.strerror or type(error).__name__}")
        except CartFhirError as error:
            self.unread += 1
            complain(str(error))

    def __str__(self) -> str:
        unread = f", {self.unread} cannot be read" if self.unread else ""
        valid = self.resources - self.invalid
        return (
            f"{self.resources} resources: {valid} valid, {self.invalid} invalid; "
            f"{self.errors} errors, {self.warnings} warnings{unread}"
        )

    @property
    def exit_code(self) -> int:
        """0: all are valid, 1: some are not, 2: something could not be read."""
        return 2 if self.unread else 1 if self.invalid else 0


def judge_all(
    checker: Checker, names: Iterable[str], count: Count, complain: Callable[[str], None]
) -> Iterator[Judged]:
    """Everything that the files and folders hold, one resource after the other, counted on the way."""
    for name in names:
        with count.reading(name, complain):
            for file in files(name):
                with count.reading(file, complain):
                    for item in items(file):
                        judged = checker.judge(item)
                        count.add(judged)
                        yield judged
