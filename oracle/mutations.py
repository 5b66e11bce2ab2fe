"""Changes of JSON trees that make resources wrong, or odd and still right. All randomness is the caller's."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from random import Random
from typing import Any

Json = Any
Holder = dict[str, Json] | list[Json]
Key = str | int
_DAY = re.compile(r"\d{4}-\d\d(-\d\d)?(T.*)?")
_DAYS = (
    "2021-02-30",
    "2021-13-01",
    "21-01-01",
    "2021-1-1",
    "2021-01-01T10:00:00",
    "2021-01-01T25:00:00Z",
    "01.02.2021",
)
_REFERENCES = (
    "Medication/1",
    "#nobody",
    "Nothing/1",
    "Patient/a b",
    "http://x.example/fhir/Device/1",
    "urn:uuid:x",
    "",
)
_SUFFIXES = ("String", "Boolean", "Quantity", "DateTime", "CodeableConcept")


def mutate(resource: Json, random: Random, changes: int) -> tuple[Json, list[str]]:
    """A copy with so many changes, and their names; `resourceType` of the whole stays."""
    changed, names = copy.deepcopy(resource), []
    while len(names) < changes:
        holder, key = random.choice(list(_places(changed)))
        name = random.choice(list(CHANGES))
        if holder is changed and key == "resourceType" and name != "add":
            continue
        if CHANGES[name](holder, key, random):
            names.append(name)
    return changed, names


def _places(value: Json) -> Iterator[tuple[Holder, Key]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _put(make: Callable[[Json, Random], Json]) -> Callable[[Holder, Key, Random], bool]:
    """A change that replaces the value; where it would stay the same it was none."""

    def change(holder: Holder, key: Key, random: Random) -> bool:
        before = holder[key]
        after = make(before, random)
        if type(after) is type(before) and after == before:
            return False
        holder[key] = after
        return True

    return change


def _drop(holder: Holder, key: Key, random: Random) -> bool:
    del holder[key]
    return True


def _duplicate(holder: Holder, key: Key, random: Random) -> bool:
    if not isinstance(holder, list):
        return False
    holder.append(copy.deepcopy(holder[key]))
    return True


def _rename(holder: Holder, key: Key, random: Random) -> bool:
    if not isinstance(holder, dict):
        return False
    name = random.choice((f"{key}s", str(key)[:-1], f"_{key}", str(key).upper(), "unknown"))
    if name in holder or not name:
        return False
    holder[name] = holder.pop(key)
    return True


def _choose_again(holder: Holder, key: Key, random: Random) -> bool:
    """`valueQuantity` becomes another `value…`, or stands beside it."""
    match = re.fullmatch(r"([a-z]+)([A-Z]\w+)", str(key))
    if not isinstance(holder, dict) or match is None:
        return False
    name = match.group(1) + random.choice(_SUFFIXES)
    if name in holder:
        return False
    holder[name] = copy.deepcopy(holder[key]) if random.random() < 0.5 else "x"
    if random.random() < 0.5:
        del holder[key]
    return True


def _retype(value: Json, random: Random) -> Json:
    if isinstance(value, bool):
        return random.choice((str(value).lower(), int(value)))
    if isinstance(value, (int, Decimal)):
        return random.choice((str(value), [value], {"value": value}))
    if isinstance(value, str):
        return random.choice((1, True, Decimal("1.50"), {"value": value}))
    return "x"


def _wrap(value: Json, random: Random) -> Json:
    return value[0] if isinstance(value, list) and value else [value]


def _bad_text(value: Json, random: Random) -> Json:
    if not isinstance(value, str):
        return value
    return random.choice((f"{value}x", f" {value}", f"{value} ", value.upper(), "x  y", "\u00a0", f"{value}\u0007"))


def _bad_day(value: Json, random: Random) -> Json:
    return random.choice(_DAYS) if isinstance(value, str) and _DAY.fullmatch(value) else value


def _bad_number(value: Json, random: Random) -> Json:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return value
    return random.choice((-value, 0, Decimal("0.5"), 2**31, 10**15))


def _reference(holder: Holder, key: Key, random: Random) -> bool:
    if key != "reference" or not isinstance(holder, dict):
        return False
    holder[key] = random.choice(_REFERENCES)
    return True


def _system(holder: Holder, key: Key, random: Random) -> bool:
    if key != "system" or not isinstance(holder, dict):
        return False
    holder[key] = random.choice(("http://loinc.org", "http://x.example/s", "urn:oid:1.2.3"))
    return True


def _add(holder: Holder, key: Key, random: Random) -> bool:
    """Something more in an object."""
    if not isinstance(holder, dict):
        return False
    name, value = random.choice(ADDED)
    if name in holder:
        return False
    holder[name] = copy.deepcopy(value)
    return True


ADDED: tuple[tuple[str, Json], ...] = (
    ("unknown", "x"),
    ("id", "a b"),
    ("id", "x"),
    ("extension", []),
    ("extension", [{"url": "http://x.example/e", "valueString": "x"}]),
    ("extension", [{"url": "http://x.example/e"}]),
    ("extension", [{"valueString": "x"}]),
    ("modifierExtension", [{"url": "http://x.example/e", "valueBoolean": True}]),
    ("contained", [{"resourceType": "Patient", "id": "p"}]),
    ("contained", [{"resourceType": "Nothing", "id": "p"}]),
    ("text", {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}),
    ("text", {"status": "generated", "div": "<div>x</div>"}),
    ("meta", {"profile": ["http://x.example/unknown"]}),
    ("meta", {"lastUpdated": "2021-01-01"}),
    ("language", "tr TR"),
    ("status", "banana"),
    ("identifier", [{}]),
)

CHANGES: dict[str, Callable[[Holder, Key, Random], bool]] = {
    "drop": _drop,
    "duplicate": _duplicate,
    "rename": _rename,
    "choose-again": _choose_again,
    "retype": _put(_retype),
    "wrap": _put(_wrap),
    "bad-text": _put(_bad_text),
    "bad-day": _put(_bad_day),
    "bad-number": _put(_bad_number),
    "reference": _reference,
    "system": _system,
    "add": _add,
    "null": _put(lambda value, random: None),
    "empty": _put(lambda value, random: random.choice(("", {}, []))),
}
