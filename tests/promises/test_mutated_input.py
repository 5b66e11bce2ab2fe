"""Whatever the bytes of a body are, they are read and checked to an end: BadRequest or findings, never a crash or hang.

`CART_FHIR_SOAK=1` sends 200,000 cases through, `make test` 1,500. A failing case names its number;
`CART_FHIR_MUTATED=number` runs that one alone.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import Any

import psutil

from service.conformance.definitions import Definitions
from service.conformance.validator import Validator
from service.conformance.xml import from_xml, to_xml
from service.errors import ISSUE_TYPES, BadRequest
from service.fhir.json import decode, encode
from service.settings import shipped
from tests.generators.resources import builder_of
from tests.promises.mutations import body, mutate

ONLY = os.environ.get("CART_FHIR_MUTATED")
TIMES = 200_000 if os.environ.get("CART_FHIR_SOAK") else 1_500
CASES = range(int(ONLY), int(ONLY) + 1) if ONLY else range(TIMES)
DEPTH = 64
LONGEST = 500_000
HANG_SECONDS = 1.0  # of the processor's time: what runs longer hangs
STUCK_SECONDS = 120.0  # for a thousand cases: outside Python no alarm is heard
GROWTH_MB = 96
JSON_PIECES = (
    b"null", b"{}", b"[]", b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b'"\\ud800"', b"1e999999999", b"-1E-99999",
    b"-", b"NaN", b"\xef\xbb\xbf", b"\x00", b"\xff", b'"extension":[', b'"contained":[{', b'"resourceType":"Bundle"',
    b"9" * 5000, b'"_', b'"value', b'{"reference":"#"}', b'"url":"http://hl7.org/fhir/StructureDefinition/tz-code",',
    b"[" * 70,
)  # fmt: skip
XML_PIECES = (
    b"<", b">", b"</", b"/>", b"&", b"&#0;", b"&#x1F600;", b"&lt;", b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"x:",
    b"<?x y?>", b"<![CDATA[", b"]]>", b"<!--", b"-->", b" xmlns='urn:x'", b" value=''", b" value='x'", b"\x00", b"\xff",
    b"\xef\xbb\xbf", b"<?xml version='1.0' encoding='utf-16'?>", b"<extension url='x'>", b"</extension>",
    b"<id value='1'/>", b"<contained>", b"<div xmlns='http://www.w3.org/1999/xhtml'>", b"<a>" * 70,
    b"<valueDecimal value='1e999999999'/>",
)  # fmt: skip
VALUE = re.compile(rb' [a-z]+="([^"]*)"')
VALUES = (
    b"", b" ", b"x", b"2021-02-30", b"2021-01-01T10:00:00", b"true", b"0", b"-1", b"1e999999999", b"9" * 5000, b"#",
    b"Patient/1", b"x/1", b"urn:uuid:x", b"http://x.example/ y", "Ayşe".encode(), b"&#x1F600;", b"&lt;", b"x" * 70_000,
    b"&#13;&#10;&#9;",
)  # fmt: skip


class Hang(BaseException):
    """A case takes too long; no `except Exception` in the code under test may swallow it."""


@contextmanager
def watched() -> Iterator[None]:
    """An alarm after the seconds of the processor that tell a hang."""

    def ring(number: int, frame: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGPROF, ring)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        faulthandler.cancel_dump_traceback_later()


def scrambled(made: bytes, pieces: tuple[bytes, ...], random: Random) -> bytes:
    """The bytes with a few places flipped, cut out, doubled, moved or put in."""
    for _ in range(random.choice((0, 1, 1, 2, 4, 16))):
        start = random.randrange(len(made) + 1)
        end = min(len(made), start + random.choice((0, 1, 1, 2, 8, 40, 400)))
        middle = made[start:end]
        middle = random.choice(
            (
                b"",
                middle * 2,
                random.choice(pieces),
                middle + random.choice(pieces),
                bytes(byte ^ 1 << random.randrange(8) for byte in middle),
                random.randbytes(len(middle)),
                middle[::-1],
            )
        )
        made = made[:start] + middle + made[end:]
    return made[:LONGEST] if random.random() < 0.9 else made[: random.randrange(len(made) + 1)][:LONGEST]


def revalued(made: bytes, random: Random) -> bytes:
    """XML with one attribute of another value."""
    places = list(VALUE.finditer(made))
    if not places:
        return made
    place = random.choice(places)
    return made[: place.start(1)] + random.choice(VALUES) + made[place.end(1) :]


def weight(value: Any) -> int:
    """About how long the JSON of a value is; no more is counted than is of interest."""
    total, todo = 0, [value]
    while todo and total <= LONGEST:
        node = todo.pop()
        total += len(node) + 2 if isinstance(node, str) else 8
        if isinstance(node, dict):
            todo += node
            todo += node.values()
        elif isinstance(node, list):
            todo += node
    return total


class Cases:
    """Makes the body of a case: the same for the same number."""

    def __init__(self, definitions: Definitions) -> None:
        folder = shipped("fhir_profiles", "fsh-generated", "resources")
        self._examples = [path.read_bytes() for path in sorted(folder.glob("*-example-*.json"))]
        self._builder = builder_of(definitions)
        self._definitions = definitions

    def valid(self, random: Random) -> dict[str, Any]:
        """A resource that nothing has been done to."""
        if random.random() < 0.3:
            return decode(random.choice(self._examples))
        return self._builder.resource(random.choice(self._builder.types), random, random.choice((0.0, 0.1, 0.3)))

    def body(self, number: int) -> tuple[str, bytes]:
        """`xml` or `json`, and the bytes."""
        random = Random(number)
        resource = self.valid(random)
        if random.random() < 0.3:
            made = to_xml(resource, self._definitions)
            for _ in range(random.choice((0, 1, 1, 4))):
                made = revalued(made, random)
            return "xml", scrambled(made, XML_PIECES, random) if random.random() < 0.4 else made
        value = json.loads(encode(resource))
        with suppress(RecursionError, IndexError):  # too deep, or nothing left to change
            for _ in range(random.choice((0, 1, 1, 2, 3, 8))):
                mutate(value, random)
        if weight(value) > LONGEST:  # a long string three hundred times, or so
            value = json.loads(encode(resource))
        made = body(value, random)[:LONGEST]
        return "json", scrambled(made, JSON_PIECES, random) if random.random() < 0.4 else made


def ends(kind: str, made: bytes, definitions: Definitions, validator: Validator) -> str:
    """Reads and checks a body; how that ended."""
    try:
        value = decode(made, DEPTH) if kind == "json" else from_xml(made, definitions, DEPTH)
    except BadRequest as error:
        refused = error.issues
    else:
        refused = ()
        issues = validator.check(value)
    if refused:
        assert all(issue.code in ISSUE_TYPES and issue.rule and issue.text for issue in refused)
        return f"{kind} unreadable"
    assert all(issue.code in ISSUE_TYPES and issue.rule and issue.text and issue.expression for issue in issues)
    return f"{kind} refused" if any(issue.severity == "error" for issue in issues) else f"{kind} valid"


def test_mutated_bodies_are_read_and_checked_to_an_end(definitions: Definitions) -> None:
    validator, cases = Validator(definitions), Cases(definitions)
    for number in range(400):  # what is compiled at its first use is no hang, and its memory no leak
        validator.check(cases.valid(Random(f"warm {number}")))
    ended: Counter[str] = Counter()
    slowest, memory, process = (0.0, 0), 0, psutil.Process()
    with watched():
        for done, number in enumerate(CASES):
            if done % 1000 == 0:
                faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True, file=sys.__stderr__)
            kind, made = cases.body(number)
            begun = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
            try:
                ended[ends(kind, made, definitions, validator)] += 1
            except (Exception, Hang) as error:
                raise AssertionError(f"CART_FHIR_MUTATED={number}: {kind}, {type(error).__name__}") from error
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            slowest = max(slowest, (time.process_time() - begun, number))
            if done == len(CASES) // 4:
                memory = process.memory_info().rss
    growth = (process.memory_info().rss - memory) / 2**20
    print(f"{sum(ended.values())} bodies: {dict(ended)}; slowest {slowest}; memory grew by {growth:.1f} MB")
    assert ONLY or min(ended[f"{kind} {end}"] for kind in ("json", "xml") for end in ("unreadable", "refused", "valid"))
    assert ONLY or growth < GROWTH_MB
